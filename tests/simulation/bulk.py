"""Answers that tell something else than what was done: members missing, turned round, doubled; a cent off."""

import re
from typing import Any

import httpx
import msgspec

from tests.simulation.catalogue import hit
from tests.simulation.direct import Answer
from web.sandbox.quickbooks.amounts import decode, encode

_LISTS = ("BatchItemResponse", "Invoices", "Payments", "BankTransactions", "CreditNotes")
_TOTAL = re.compile(rb'("(?:TotalAmt|Total|Amount)":\s?)(\d+\.\d\d)')


_ONE = re.compile(r"^/v1/(payment_intents|charges|refunds|disputes|payouts)/[^/]+$")


class Disorder:
    """Spoils one answer that carries several documents."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._is_used = False

    def __call__(self, request: httpx.Request, answer: Answer) -> Answer | None:
        if self._is_used or request.method not in ("POST", "PUT") or answer.status != 200:
            return None
        try:
            body: dict[str, Any] = decode(answer.body)
        except Exception:  # noqa: BLE001 - not an answer of that kind
            return None
        name = next((name for name in _LISTS if isinstance(body.get(name), list) and len(body[name]) > 1), None)
        if name is None:
            return None
        members = body[name]
        match self._how:
            case "drop":
                members.pop()
            case "turn":
                members.reverse()
            case _:
                members.append(members[0])
        self._is_used = True
        hit("F18")
        return Answer(answer.status, answer.headers, encode(body))


class CentOff:
    """Changes the total in one answer to a write by a cent; the document itself stands as sent."""

    def __init__(self) -> None:
        self._is_used = False

    def __call__(self, request: httpx.Request, answer: Answer) -> Answer | None:
        if self._is_used or request.method not in ("POST", "PUT") or answer.status != 200:
            return None
        found = _TOTAL.search(answer.body)
        if found is None or b"TO-" not in answer.body:
            return None
        off = b"%.2f" % (float(found.group(2)) + 0.01)
        self._is_used = True
        hit("F19")
        return Answer(answer.status, answer.headers, answer.body[: found.start(2)] + off + answer.body[found.end(2) :])


class Misshapen:
    """Takes what matters out of one answer of Stripe's about one object: nobody can read what is left (F33)."""

    def __init__(self) -> None:
        self._is_used = False

    def __call__(self, request: httpx.Request, answer: Answer) -> Answer | None:
        if self._is_used or request.method != "GET" or answer.status != 200 or not _ONE.search(request.url.path):
            return None
        body = msgspec.json.decode(answer.body)
        for name in ("amount", "created", "status", "charges", "latest_charge", "balance_transaction"):
            body[name] = ["nobody", "knows"]
        self._is_used = True
        hit("F33")
        return Answer(answer.status, answer.headers, msgspec.json.encode(body))
