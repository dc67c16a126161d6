"""A Xero sandbox in this process, and short words for talking to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.runtime import VirtualRuntime
from tests.xero_openapi import SPEC_FILE, request_problems, response_problems
from web.sandbox.clock import SandboxClock
from web.sandbox.doors import Doors
from web.sandbox.edge import Edge
from web.sandbox.faults import Faults
from web.sandbox.log import RequestLog
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero import XeroSandbox
from web.sandbox.xero.amounts import decode, encode
from web.sandbox.xero.client import Tokens, XeroControl

BASE = "http://sandbox.test"
EVERYTHING = (
    "openid profile email offline_access accounting.invoices accounting.payments accounting.banktransactions "
    "accounting.manualjournals accounting.contacts accounting.settings accounting.reports.trialbalance.read"
)
NO_ID = "00000000-0000-0000-0000-000000000000"


@dataclass
class Xero:
    """The whole stand-in, seen from outside."""

    http: httpx.AsyncClient
    sandbox: XeroSandbox
    clock: SandboxClock
    faults: Faults
    log: RequestLog
    control: XeroControl

    async def books(self, country: str = "GB", scope: str = EVERYTHING, **behaviour: Any) -> "Books":
        """A new organisation, connected; limits are off unless a test asks for them."""
        made = await self.control.create_organisation(f"Studio {country}", country)
        await self.control.set_behaviour(made.tenant_id, **{"throttle": False, **behaviour})
        tokens = await self.control.connect(made.tenant_id, scope=scope)
        books = Books(self, made.tenant_id, tokens)
        for account in await self.control.records(made.tenant_id, "Account"):
            books.accounts[account["Name"]] = account["AccountID"]
        return books


@dataclass
class Books:
    """One connected organisation."""

    xero: Xero
    tenant: str
    tokens: Tokens
    accounts: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, headers: Any = None, **query: str) -> httpx.Response:
        sent = {
            "authorization": f"Bearer {self.tokens.access_token}",
            "xero-tenant-id": self.tenant,
            "accept": "application/json",
            **({"content-type": "application/json"} if body is not None else {}),
            **(headers or {}),
        }
        content = None if body is None else body if isinstance(body, bytes) else encode(body)
        url = f"/api.xro/2.0/{path}"
        response = await self.xero.http.request(method, url, content=content, params=query, headers=sent)
        if SPEC_FILE.is_file() and "json" in response.headers["content-type"]:
            assert response_problems(method, path, response.status_code, decode(response.content)) == []
        return response

    async def get(self, path: str, headers: Any = None, **query: str) -> Any:
        """GET that must succeed; returns the body."""
        response = await self.call("GET", path, headers=headers, **query)
        assert response.status_code == 200, response.text
        return decode(response.content)

    async def rows(self, path: str, **query: str) -> list[Any]:
        """The elements of a list."""
        rows: list[Any] = (await self.get(path, **query))[path.partition("/")[0]]
        return rows

    async def put(self, path: str, *elements: Any, method: str = "PUT", **query: str) -> list[Any]:
        """Write with summarizeErrors=false; returns the elements, good or not."""
        name = path.partition("/")[0]
        if "/" not in path and name not in ("Accounts", "BankTransfers"):
            query.setdefault("summarizeErrors", "false")
        body = {name: list(elements)}
        if SPEC_FILE.is_file():
            assert request_problems(method, path, body) == []
        response = await self.call(method, path, body, **query)
        assert response.status_code == 200, response.text
        elements_back: list[Any] = decode(response.content)[name]
        return elements_back

    async def make(self, path: str, element: Any, **query: str) -> Any:
        """Write one element, which must be good."""
        [made] = await self.put(path, element, **query)
        assert not made.get("ValidationErrors"), made
        return made

    async def refused(self, path: str, element: Any, method: str = "PUT", **query: str) -> str:
        """Write one element, which must be wrong; returns all texts."""
        name = path.partition("/")[0]
        response = await self.call(method, path, {name: [element]}, **query)
        assert response.status_code == 400, response.text
        body = decode(response.content)
        assert body["Type"] == "ValidationException", body
        return " | ".join(error["Message"] for error in body["Elements"][0]["ValidationErrors"])

    async def update(self, path: str, element: Any) -> Any:
        """POST to one record; must be good."""
        [made] = await self.put(path, element, method="POST")
        return made

    async def contact(self, name: str = "Ana Ruiz", **more: Any) -> str:
        made = await self.make("Contacts", {"Name": name, **more})
        return str(made["ContactID"])

    async def invoice(self, contact: str, *lines: Any, number: str = "TO-pi_1", **more: Any) -> Any:
        return await self.make("Invoices", invoice(contact, *lines, number=number, **more), unitdp="4")

    async def pay(self, invoice_id: str, amount: Any, account: str = "Stripe Clearing", **more: Any) -> Any:
        return await self.make("Payments", self.payment(invoice_id, amount, account, **more))

    def payment(self, invoice_id: str, amount: Any, account: str = "Stripe Clearing", **more: Any) -> dict[str, Any]:
        target = {"Invoice": {"InvoiceID": invoice_id}, "Account": {"AccountID": self.accounts[account]}}
        return {**target, "Date": "2026-03-02", "Amount": amount, "Reference": "ch_1", **more}

    async def trial_balance(self, as_of: str | None = None) -> dict[str, int]:
        balance = await self.xero.control.trial_balance(self.tenant, as_of)
        assert sum(balance.values()) == 0
        return balance

    async def behave(self, **switches: Any) -> None:
        await self.xero.control.set_behaviour(self.tenant, **switches)


def line(amount: Any, code: str = "200", tax: str | None = "OUTPUT2", **more: Any) -> dict[str, Any]:
    made = {"Description": "Portrait session", "Quantity": 1, "UnitAmount": amount, "AccountCode": code, **more}
    return made if tax is None else {**made, "TaxType": tax}


def invoice(contact: str, *lines: Any, number: str = "TO-pi_1", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": contact},
        "Date": "2026-03-02",
        "DueDate": "2026-03-02",
        "LineAmountTypes": "Inclusive",
        "InvoiceNumber": number,
        "Reference": number.removeprefix("TO-"),
        "LineItems": list(lines),
    }
    return {**made, **more}


def credit_note(contact: str, *lines: Any, number: str = "TO-re_1", **more: Any) -> dict[str, Any]:
    made = invoice(contact, *lines, **more)
    del made["InvoiceNumber"], made["DueDate"]
    return {**made, "Type": "ACCRECCREDIT", "CreditNoteNumber": number, "Reference": number.removeprefix("TO-")}


@asynccontextmanager
async def running_xero() -> AsyncIterator[Xero]:
    clock = SandboxClock(VirtualRuntime(), seed=7)
    faults, log, settings = Faults(clock), RequestLog(), SandboxSettings(base_url=BASE)
    sandbox = XeroSandbox(clock, faults, log, settings)
    doors = Doors([*sandbox.route_handlers, *sandbox.control_handlers])
    edge = Edge(doors, clock=clock, faults=faults, log=log)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=edge), base_url=BASE) as http:
        yield Xero(http, sandbox, clock, faults, log, XeroControl(BASE, http))
