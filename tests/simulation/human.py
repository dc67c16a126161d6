"""A person at work in the books: edits, voids or deletes one of our documents, and nobody tells Tieout.

Later the same person may put it right again, as the product asks for.
"""

from copy import deepcopy
from dataclasses import dataclass, field
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

HOWS = ("edit", "void", "delete")
_QUICKBOOKS = {
    "expense": "Purchase", "transfer": "Transfer", "sales_receipt": "SalesReceipt", "deposit": "Deposit",
    "invoice": "Invoice",
}  # fmt: skip
_XERO = {
    "expense": ("BankTransaction",), "transfer": ("BankTransfer", "BankTransaction"),
    "sales_receipt": ("BankTransaction",), "deposit": ("BankTransaction",),
}  # fmt: skip
_XERO_LINE = ("LineItemID", "Description", "Quantity", "UnitAmount", "AccountID", "TaxType")
_MORE = 1
"""By so many units an edited document grows."""


@dataclass
class Change:
    """What a person did to one document of ours, and what the accounts held more for it.

    ``item``: kind and source of the item that posted it. ``was``: what an edit replaced.
    """

    kind: str
    external_id: str
    item: tuple[str, str]
    how: str
    total_minor: int
    effect: dict[str, int] = field(default_factory=dict)
    was: Any = None


async def change(theatre: Theatre, dice: Random, how: str) -> Change | None:
    """Change one posted document, if there is one that these books let a person change."""
    database = disk.peek()
    rows = database.execute(
        "SELECT d.kind, d.external_id, d.total_minor, i.kind AS item_kind, i.source_id FROM books_document d"
        " JOIN sync_item i ON i.id = d.item_id"
        " WHERE d.state = 'posted' AND d.external_id IS NOT NULL AND d.read_state IN ('unread', 'stands')"
        f" AND d.kind IN ({', '.join('?' * len(_QUICKBOOKS))}) ORDER BY d.created_at, d.reference", tuple(_QUICKBOOKS),
    ).fetchall()  # fmt: skip
    database.close()
    dice.shuffle(rows)
    for row in rows[:3]:
        item = (str(row["item_kind"]), str(row["source_id"]))
        # Books that do not know an act are treated with another.
        for act in dict.fromkeys((how, *HOWS)):
            done = Change(str(row["kind"]), str(row["external_id"]), item, act, int(row["total_minor"]))
            if _may(theatre, done) and await _try(theatre, done):
                return done
    return None


def _may(theatre: Theatre, change: Change) -> bool:
    """Whether nothing else leans on the document: what pays a removed invoice is a story of its own."""
    return change.how == "edit" if change.kind == "invoice" else True


async def _try(theatre: Theatre, change: Change) -> bool:
    before = await theatre.play.balances()
    try:
        await _do(theatre, change)
    except (ControlRefused, XeroRefused, LookupError):
        return False
    after = await theatre.play.balances()
    effect = {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}
    change.effect = {name: moved for name, moved in effect.items() if moved}
    return True


async def _do(theatre: Theatre, change: Change) -> None:
    if theatre.kind == "mock":
        _in_practice_books(theatre, change)
    elif theatre.kind == "quickbooks":
        await _in_quickbooks(theatre, change)
    else:
        await _in_xero(theatre, change)


def _hand(theatre: Theatre) -> OwnersHand:
    provider = theatre.play.provider
    assert isinstance(provider, MockAccountingAdapter)
    return OwnersHand(provider.books)


def _in_practice_books(theatre: Theatre, change: Change) -> None:
    hand, kind, at = _hand(theatre), DocumentKind(change.kind), theatre.runtime.now()
    match change.how:
        case "edit":
            hand.edit_total(kind, change.external_id, change.total_minor + 100 * _MORE, at=at)
        case "void":
            hand.void(kind, change.external_id, at=at)
        case _:
            hand.delete(kind, change.external_id)


async def _in_quickbooks(theatre: Theatre, change: Change) -> None:
    control, company = QuickBooksControl(BASE, theatre.play.http), theatre.play.company
    entity = _QUICKBOOKS[change.kind]
    match change.how:
        case "edit":
            found = (await control.document(company, entity, change.external_id))["document"]
            change.was, larger = _larger_in_quickbooks(found)
            await control.edit_document(company, entity, change.external_id, larger)
        case "void":
            await control.void_document(company, entity, change.external_id)
        case _:
            await control.delete_document(company, entity, change.external_id)


def _larger_in_quickbooks(found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what to send to leave a document as it is, and to make it one unit larger."""
    if "FromAccountRef" in found:
        return {"Amount": found["Amount"]}, {"Amount": found["Amount"] + _MORE}
    lines = [line for line in found["Line"] if line["DetailType"] != "SubTotalLineDetail"]
    larger = deepcopy(lines)
    larger[0]["Amount"] += _MORE
    detail = larger[0].get("SalesItemLineDetail")
    if detail is not None:
        detail["UnitPrice"], detail["Qty"] = larger[0]["Amount"], 1
    return {"Line": lines}, {"Line": larger}


async def _in_xero(theatre: Theatre, change: Change) -> None:
    control, company = XeroControl(BASE, theatre.play.http), theatre.play.company
    element = await _element(theatre, change)
    if change.how != "edit":
        await control.act(company, element, change.external_id, change.how)
        return
    found = (await control.record(company, element, change.external_id))["record"]
    lines = [{name: line[name] for name in _XERO_LINE if name in line} for line in found.get("LineItems", ())]
    if not lines:
        raise LookupError("it has no lines")
    change.was, larger = {"LineItems": lines}, deepcopy(lines)
    larger[0]["UnitAmount"] += _MORE
    await control.edit_record(company, element, change.external_id, {"LineItems": larger})


async def _element(theatre: Theatre, change: Change) -> str:
    """Return Xero's kind of record: a transfer to an account that is no bank account is money spent or received."""
    control = XeroControl(BASE, theatre.play.http)
    for element in _XERO.get(change.kind, ()):
        records = await control.records(theatre.play.company, element)
        if any(record[f"{element}ID"] == change.external_id for record in records):
            return element
    raise LookupError(change.external_id)


async def put_back(theatre: Theatre, change: Change) -> None:
    """Let the person who edited a document make it again what it was."""
    if theatre.kind == "mock":
        hand, kind = _hand(theatre), DocumentKind(change.kind)
        hand.edit_total(kind, change.external_id, change.total_minor, at=theatre.runtime.now())
    elif theatre.kind == "quickbooks":
        control = QuickBooksControl(BASE, theatre.play.http)
        await control.edit_document(theatre.play.company, _QUICKBOOKS[change.kind], change.external_id, change.was)
    else:
        element = await _element(theatre, change)
        await XeroControl(BASE, theatre.play.http).edit_record(
            theatre.play.company, element, change.external_id, change.was
        )


async def clear_away(theatre: Theatre, change: Change) -> None:
    """Let the person who voided a document delete what is left of it, where these books keep it."""
    if theatre.kind == "mock":
        provider = theatre.play.provider
        assert isinstance(provider, MockAccountingAdapter)
        with provider.books.transaction() as database:
            database.execute("DELETE FROM document WHERE id = ?", (int(change.external_id),))
    elif theatre.kind == "quickbooks":
        control = QuickBooksControl(BASE, theatre.play.http)
        await control.delete_document(theatre.play.company, _QUICKBOOKS[change.kind], change.external_id)
