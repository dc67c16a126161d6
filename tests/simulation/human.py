"""A person at work in the books: edits, voids or deletes one of our documents, and nobody tells Tieout."""

from dataclasses import dataclass
from random import Random
from typing import Any

from core.accounting.mock.adapter import MockAccountingAdapter
from core.books.documents import DocumentKind
from tests.outside import BASE
from tests.practice_hand import OwnersHand
from tests.simulation import disk
from tests.simulation.stage import Theatre
from web.sandbox.quickbooks.client import ControlRefused, QuickBooksControl
from web.sandbox.xero.client import ControlRefused as XeroRefused
from web.sandbox.xero.client import XeroControl

_QUICKBOOKS = {"expense": "Purchase", "transfer": "Transfer", "sales_receipt": "SalesReceipt", "deposit": "Deposit"}
_XERO = {"expense": "BankTransaction", "transfer": "BankTransfer", "sales_receipt": "BankTransaction"}
_FREE_STANDING = ("expense", "transfer", "sales_receipt", "deposit")
"""Kinds that nothing else leans on, so that a person can remove them."""


@dataclass
class Change:
    """What a person did to one document of ours, and what the accounts held before and after."""

    document_id: str
    kind: str
    how: str
    effect: dict[str, int]


async def change(theatre: Theatre, dice: Random, how: str) -> Change | None:
    """Change one posted document, if there is one that can be changed alone."""
    database = disk.peek()
    rows = database.execute(
        "SELECT id, kind, external_id, total_minor FROM books_document WHERE state = 'posted' AND kind IN (?, ?, ?, ?)"
        " AND external_id IS NOT NULL ORDER BY created_at, reference", _FREE_STANDING,
    ).fetchall()  # fmt: skip
    database.close()
    if not rows:
        return None
    row = dice.choice(rows)
    before = await theatre.play.balances()
    try:
        how = await _do(theatre, row, how)
    except (ControlRefused, XeroRefused, LookupError, KeyError):
        return None
    after = await theatre.play.balances()
    effect = {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}
    return Change(str(row["id"]), str(row["kind"]), how, {name: moved for name, moved in effect.items() if moved})


async def _do(theatre: Theatre, row: Any, how: str) -> str:
    """Do it, or what comes nearest to it in these books; return what was done."""
    play, kind, external_id = theatre.play, str(row["kind"]), str(row["external_id"])
    if isinstance(play.provider, MockAccountingAdapter):
        hand, at = OwnersHand(play.provider.books), theatre.runtime.now()
        if how == "edit":
            hand.edit_total(DocumentKind(kind), external_id, int(row["total_minor"]) + 100, at=at)
        elif how == "void":
            hand.void(DocumentKind(kind), external_id, at=at)
        else:
            hand.delete(DocumentKind(kind), external_id)
        return how
    if theatre.kind == "quickbooks":
        control = QuickBooksControl(BASE, play.http)
        if how == "void" and kind == "sales_receipt":
            await control.void_document(play.company, _QUICKBOOKS[kind], external_id)
            return how
        await control.delete_document(play.company, _QUICKBOOKS[kind], external_id)
    else:
        await XeroControl(BASE, play.http).act(play.company, _XERO[kind], external_id, "delete")
    return "delete"
