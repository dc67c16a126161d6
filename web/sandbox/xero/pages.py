"""A plain look into the books, so that a person can see the invoice paid. No script, no sign-in."""

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from web.sandbox.html import page
from web.sandbox.xero.amounts import money
from web.sandbox.xero.endpoints import BY_ELEMENT
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.records import (
    BankTransaction,
    BankTransfer,
    Document,
    Journal,
    Line,
    Payment,
    Record,
)
from web.sandbox.xero.world import World

AnyRequest = Request[Any, Any, Any]
_MAX_ROWS = 500
# Addresses of the real product: element, and the parameter that carries its id.
_DEEP_LINKS = {
    "/AccountsReceivable/View.aspx": ("invoice", "invoiceid"),
    "/AccountsReceivable/ViewCreditNote.aspx": ("creditnote", "creditnoteid"),
    "/Bank/ViewTransaction.aspx": ("banktransaction", "banktransactionid"),
}
_TYPES = {
    "ACCREC": "Invoice",
    "ACCPAY": "Bill",
    "ACCRECCREDIT": "Credit note",
    "ACCPAYCREDIT": "Supplier credit",
    "SPEND": "Spend money",
    "RECEIVE": "Receive money",
}


@dataclass(frozen=True)
class Text:
    """A word in a cell, maybe a link."""

    text: str
    href: str = ""


@dataclass(frozen=True)
class Head:
    """A column; numbers stand on the right."""

    text: str
    is_number: bool


@dataclass(frozen=True)
class Grid:
    """A table ready to be drawn."""

    heads: list[Head]
    rows: list[list[list[Text]]]
    """Cells are lists: the macro draws several words, joined by commas."""


@dataclass(frozen=True)
class Part:
    """One section of a page."""

    title: str
    grid: Grid
    empty: str


Row = list[str | Text]


def grid(heads: str, rows: list[Row]) -> Grid:
    """``heads`` is one line, columns parted by commas; a ``#`` at the end means numbers."""
    columns = [Head(name.strip().rstrip("#"), name.endswith("#")) for name in heads.split(",")]
    return Grid(columns, [[[cell if isinstance(cell, Text) else Text(cell)] for cell in row] for row in rows])


def page_routes(world: World) -> list[HTTPRouteHandler]:
    @get("/xero", sync_to_thread=False)
    def organisations() -> Response[str]:
        rows: list[Row] = [
            [Text(o.name, f"/xero/{o.tenant_id}"), o.country, o.currency, str(len(o.invoices))]
            for o in world.organisations.values()
        ]
        return page("xero_organisations.html", organisations=grid("Organisation, Country, Currency, Invoices#", rows))

    @get("/xero/{tenant:str}", sync_to_thread=False)
    def one_organisation(request: AnyRequest) -> Response[str]:
        found = world.organisations.get(request.path_params["tenant"].lower())
        return _overview(found) if found else _missing("There is no such organisation.")

    @get("/xero/{tenant:str}/{element:str}/{record_id:str}", sync_to_thread=False)
    def one_record(request: AnyRequest) -> Response[str]:
        found = world.organisations.get(request.path_params["tenant"].lower())
        endpoint = BY_ELEMENT.get(request.path_params["element"].lower())
        record_id = request.path_params["record_id"].lower()
        record = endpoint.records(found).get(record_id) if found and endpoint else None
        if found is None or not isinstance(record, (Document, Payment, BankTransaction, BankTransfer, Journal)):
            return _missing("There is no such record.")
        return _sheet(found, record)

    @get(list(_DEEP_LINKS), sync_to_thread=False)
    def deep_link(request: AnyRequest) -> Response[Any]:
        element, parameter = _DEEP_LINKS[request.url.path]
        told = {name.lower(): value for name, value in request.query_params.items()}
        wanted = told.get(parameter, "").lower()
        endpoint = BY_ELEMENT[element]
        owner = next((o for o in world.organisations.values() if wanted in endpoint.records(o)), None)
        if owner is None:
            return _missing("There is no such record.")
        return Redirect(f"/xero/{owner.tenant_id}/{element}/{wanted}", status_code=302)

    return [organisations, one_organisation, one_record, deep_link]


def _overview(books: Organisation) -> Response[str]:
    sections: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Credit notes", books.credit_notes),
        ("Payments", books.payments),
        ("Bank transactions", books.bank_transactions),
        ("Transfers", books.bank_transfers),
        ("Manual journals", books.journals),
    )
    parts = [Part("Invoices", _documents(books), "No invoice yet.")]
    for title, records in sections:
        rows: list[Row] = [
            [_link(books, record), record.day.isoformat(), _words(record), _status(record), _amount(record)]
            for record in _newest(records)
        ]
        if rows:
            parts.append(Part(title, grid("Record, Date, Text, Status, Amount#", rows), ""))
    parts.append(Part("Trial balance", _trial_balance(books), "Nothing is posted yet."))
    return page(
        "xero_sheet.html",
        title=books.name,
        tag=None,
        note=f"Organisation {books.tenant_id}, {books.country}, books in {books.currency}.",
        back=Text("All organisations", "/xero"),
        parts=parts,
    )


def _documents(books: Organisation) -> Grid:
    rows: list[Row] = []
    for record in _newest(books.invoices):
        is_live = record.status not in ("VOIDED", "DELETED")
        due = money(record.open if is_live else 0)
        rows.append(
            [
                _link(books, record),
                record.day.isoformat(),
                record.contact.name,
                f"{money(record.total):,} {record.currency}",
                f"{due:,}",
                _status(record),
            ]
        )
    return grid("Number, Date, Contact, Total#, Due#, Status", rows)


def _trial_balance(books: Organisation) -> Grid:
    balances = sorted(books.ledger.balances().items(), key=lambda item: books.accounts[item[0]].code)
    rows: list[Row] = [[_account_name(books, key), *_sides(cents)] for key, cents in balances]
    if rows:
        total = f"{money(sum(cents for _, cents in balances if cents > 0)):,}"
        rows.append(["Total", total, total])
    return grid("Account, Debit#, Credit#", rows)


def _sheet(books: Organisation, record: Record) -> Response[str]:
    lines: list[Row] = [
        [_line_text(line), f"{line.quantity.normalize():f}", f"{line.unit:,}", line.tax_type, f"{money(line.amount):,}"]
        for line in getattr(record, "lines", [])
        if isinstance(line, Line)
    ]
    legs: list[Row] = [
        [_account_name(books, leg.account_id), *_sides(leg.cents)] for leg in books.ledger.legs(record.id)
    ]
    notes: list[Row] = [[note.at.strftime("%Y-%m-%d %H:%M"), note.details] for note in record.notes]
    parts = [
        Part("Record", grid("What, Value", _facts(books, record)), ""),
        Part("Lines", grid("Line, Quantity#, Price#, Tax, Amount#", lines), "No lines."),
        Part("Linked", grid("Record, Amount#", _linked(books, record)), "Nothing is linked."),
        Part("In the ledger", grid("Account, Debit#, Credit#", legs), "Nothing is posted."),
    ]
    if notes:
        parts.append(Part("History", grid("When, What", notes), ""))
    return page(
        "xero_sheet.html",
        title=_title(record),
        tag=_status(record),
        note=None,
        back=Text(books.name, f"/xero/{books.tenant_id}"),
        parts=parts,
    )


def _facts(books: Organisation, record: Any) -> list[Row]:
    facts: list[tuple[str, str]] = [("Date", record.day.isoformat())]
    if not isinstance(record, (Document, BankTransaction)):
        facts.append(("Text", _words(record)))
    if isinstance(record, (Document, BankTransaction)):
        facts += [("Contact", record.contact.name), ("Reference", record.reference), ("Currency", record.currency)]
        facts += [("Subtotal", f"{money(record.subtotal):,}"), ("Tax", f"{money(record.tax):,}")]
    if isinstance(record, Document):
        facts.append(("Due", f"{money(record.open):,}"))
    if isinstance(record, (Payment, BankTransaction)):
        facts.append(("Account", _account_name(books, record.account.id)))
    facts.append(("Amount", _amount(record)))
    return [[name, value] for name, value in facts if value]


def _linked(books: Organisation, record: Record) -> list[Row]:
    if isinstance(record, Payment):
        return [[_link(books, record.document), f"{money(record.document.total):,}"]]
    if not isinstance(record, Document):
        return []
    rows: list[Row] = [
        [_link(books, books.payments[key]), f"{money(part.cents):,}"] for key, part in record.paid.items()
    ]
    for key, part in record.credited.items():
        made = books.allocations[key]
        other = made.note if record is made.invoice else made.invoice
        rows.append([_link(books, other), f"{money(part.cents):,}"])
    return rows


def _title(record: Any) -> str:
    match record:
        case Document():
            return f"{_TYPES[record.type]} {record.number or record.id[:8]}"
        case Payment():
            return f"Payment {record.reference or record.id[:8]}"
        case BankTransaction():
            return f"{_TYPES[record.type]} {record.reference or record.id[:8]}"
        case BankTransfer():
            return f"Transfer {record.reference or record.id[:8]}"
        case _:
            return f"Manual journal {record.id[:8]}"


def _words(record: Any) -> str:
    match record:
        case Document() | BankTransaction():
            return str(record.contact.name)
        case Payment():
            return f"{_title(record.document)}, {record.document.contact.name}"
        case BankTransfer():
            return f"{record.source.name} to {record.target.name}"
        case _:
            return str(record.narration)


def _status(record: Any) -> str:
    return str(record.status).capitalize()


def _amount(record: Any) -> str:
    match record:
        case Document() | BankTransaction():
            return f"{money(record.total):,} {record.currency}"
        case Payment() | BankTransfer():
            return f"{money(record.cents):,}"
        case _:
            return f"{money(sum(line.net for line in record.lines if line.net > 0)):,}"


def _line_text(line: Line) -> str:
    account = f"{line.account.name} ({line.account.code})" if line.account else ""
    return " · ".join(word for word in (line.description, account) if word)


def _newest(records: dict[str, Any]) -> list[Any]:
    return list(records.values())[: -_MAX_ROWS - 1 : -1]


def _link(books: Organisation, record: Record) -> Text:
    element = record.entity if isinstance(record, Document) else _ELEMENTS[type(record)]
    return Text(_title(record), f"/xero/{books.tenant_id}/{element.lower()}/{record.id}")


_ELEMENTS: dict[type[Record], str] = {
    Payment: "Payment",
    BankTransaction: "BankTransaction",
    BankTransfer: "BankTransfer",
    Journal: "ManualJournal",
}


def _account_name(books: Organisation, account_id: str) -> str:
    account = books.accounts[account_id]
    return f"{account.code} {account.name}".strip()


def _sides(cents: int) -> tuple[str, str]:
    return (f"{money(cents):,}", "") if cents > 0 else ("", f"{money(-cents):,}")


def _missing(message: str) -> Response[str]:
    return page("xero_problem.html", status=404, title="Not found", message=message)
