"""A plain look into the books, so that a person can see the invoice paid. No script, no sign-in."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from web.sandbox.html import page
from web.sandbox.quickbooks.amounts import to_cents
from web.sandbox.quickbooks.company import Company, Record
from web.sandbox.quickbooks.fields import BY_PATH, TRANSACTIONS
from web.sandbox.quickbooks.render import render
from web.sandbox.quickbooks.world import World

AnyRequest = Request[Any, Any, Any]
# Names in the real product's addresses.
_DEEP_LINKS = {
    "invoice": "Invoice",
    "recvpayment": "Payment",
    "salesreceipt": "SalesReceipt",
    "refundreceipt": "RefundReceipt",
    "creditmemo": "CreditMemo",
    "transfer": "Transfer",
    "expense": "Purchase",
    "deposit": "Deposit",
    "journal": "JournalEntry",
}
_TITLES = {
    "Purchase": "Expense",
    "JournalEntry": "Journal entry",
    "SalesReceipt": "Sales receipt",
    "CreditMemo": "Credit memo",
    "RefundReceipt": "Refund receipt",
}
_PLURALS = {"JournalEntry": "Journal entries"}
_FACTS = (("Number", "DocNumber"), ("Reference", "PaymentRefNum"), ("Due", "DueDate"), ("Memo", "PrivateNote"))
_MAX_ROWS = 500


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


@dataclass(frozen=True)
class Part:
    """One section of a page."""

    title: str
    grid: Grid
    empty: str


Cell = str | Text | list[Text]


def grid(heads: str, rows: Iterable[Iterable[Cell]]) -> Grid:
    """``heads`` is one line, columns parted by commas; a ``#`` at the end means numbers."""
    columns = [Head(name.strip().rstrip("#"), name.endswith("#")) for name in heads.split(",")]
    return Grid(columns, [[_cell(cell) for cell in row] for row in rows])


def _cell(cell: Cell) -> list[Text]:
    if isinstance(cell, str):
        return [Text(cell)]
    return [cell] if isinstance(cell, Text) else cell


def page_routes(world: World) -> list[HTTPRouteHandler]:
    @get("/quickbooks", sync_to_thread=False)
    def companies() -> Response[str]:
        rows: list[list[Cell]] = [
            [Text(c.name, f"/quickbooks/{c.realm_id}"), c.country, c.home_currency, str(len(c.records["Invoice"]))]
            for c in world.companies.values()
        ]
        return page("quickbooks_companies.html", companies=grid("Company, Country, Currency, Invoices#", rows))

    @get("/quickbooks/{realm:str}", sync_to_thread=False)
    def one_company(request: AnyRequest) -> Response[str]:
        company = world.companies.get(request.path_params["realm"])
        return _company_page(company) if company else _missing("There is no such company.")

    @get("/quickbooks/{realm:str}/{entity:str}/{record_id:str}", sync_to_thread=False)
    def one_document(request: AnyRequest) -> Response[str]:
        company = world.companies.get(request.path_params["realm"])
        entity = BY_PATH.get(request.path_params["entity"].lower(), "")
        record = company.find(entity, request.path_params["record_id"]) if company else None
        if company is None or record is None or entity not in TRANSACTIONS:
            return _missing("There is no such document. It may have been deleted.")
        return _document_page(company, record)

    @get("/app/{name:str}", sync_to_thread=False)
    def deep_link(request: AnyRequest) -> Response[Any]:
        entity = _DEEP_LINKS.get(request.path_params["name"].lower())
        txn_id = request.query_params.get("txnId", "")
        hits = [c for c in world.companies.values() if entity and c.find(entity, txn_id)]
        if entity is None or not hits:
            return _missing("There is no such document. It may have been deleted.")
        return Redirect(f"/quickbooks/{hits[0].realm_id}/{entity.lower()}/{txn_id}", status_code=302)

    return [companies, one_company, one_document, deep_link]


def _company_page(company: Company) -> Response[str]:
    parts = [Part("Invoices", _invoices(company), "No invoice yet.")]
    for entity in TRANSACTIONS[1:]:
        if company.records[entity]:
            title = _PLURALS.get(entity) or _TITLES.get(entity, entity) + "s"
            parts.append(Part(title, _documents(company, entity), ""))
    parts.append(Part("Trial balance", _trial_balance(company), "Nothing is posted yet."))
    return page(
        "quickbooks_sheet.html",
        title=company.name,
        tag=None,
        note=f"Company {company.realm_id}, {company.country}, books in {company.home_currency}.",
        back=Text("All companies", "/quickbooks"),
        parts=parts,
    )


def _trial_balance(company: Company) -> Grid:
    balances = sorted(company.trial_balance().items())
    rows: list[list[Cell]] = [[name, *_sides(cents)] for name, cents in balances]
    if rows:
        total = _money(sum(cents for _, cents in balances if cents > 0))
        rows.append(["Total", total, total])
    return grid("Account, Debit#, Credit#", rows)


def _invoices(company: Company) -> Grid:
    rows: list[list[Cell]] = []
    for record in _newest(company, "Invoice"):
        open_cents = company.open_balance(record)
        state = "Voided" if record.is_voided else "Paid" if open_cents == 0 else "Open"
        number = str(record.fields.get("DocNumber") or record.id)
        paid_by = [_to(company, company.records["Payment"][p], short=True) for p in company.applied[record.id]]
        rows.append(
            [
                Text(number, _address(company, record)),
                record.fields["TxnDate"],
                _customer(company, record),
                _money(record.built.total),
                _money(open_cents),
                state,
                paid_by,
            ]
        )
    return grid("Number, Date, Customer, Total#, Balance#, State, Payments", rows)


def _documents(company: Company, entity: str) -> Grid:
    rows: list[list[Cell]] = [
        [_to(company, record), record.fields["TxnDate"], _customer(company, record), _money(record.built.total)]
        for record in _newest(company, entity)
    ]
    return grid("Document, Date, Customer, Total#", rows)


def _document_page(company: Company, record: Record) -> Response[str]:
    body = render(company, record)
    facts = [("Date", record.fields["TxnDate"]), ("Customer", _customer(company, record))]
    facts += [(label, str(record.fields.get(key, ""))) for label, key in _FACTS]
    if record.entity in ("Invoice", "CreditMemo"):
        facts.append(("Balance", _money(company.open_balance(record))))
    facts.append(("Total", _money(record.built.total)))
    lines = [[_line_text(line), _money(to_cents(line.get("Amount", 0)))] for line in body.get("Line", [])]
    lines += [["Tax", _money(to_cents(tax))]] if (tax := (body.get("TxnTaxDetail") or {}).get("TotalTax")) else []
    links = [
        [_to(company, other), other.fields["TxnDate"], _money(other.built.total)] for other in _linked(company, record)
    ]
    legs = [[company.account_name(p.account_id), *_sides(p.cents)] for p in company.ledger.postings(record.id)]
    return page(
        "quickbooks_sheet.html",
        title=_title(record),
        tag="Voided" if record.is_voided else None,
        note=None,
        back=Text(company.name, f"/quickbooks/{company.realm_id}"),
        parts=[
            Part("Document", grid("What, Value", [fact for fact in facts if fact[1]]), ""),
            Part("Lines", grid("Line, Amount#", lines), "No lines."),
            Part("Linked", grid("Document, Date, Total#", links), "Nothing is linked."),
            Part("In the ledger", grid("Account, Debit#, Credit#", legs), "Nothing is posted."),
        ],
    )


def _line_text(line: dict[str, Any]) -> str:
    if line.get("DetailType") == "SubTotalLineDetail":
        return "Subtotal"
    detail: dict[str, Any] = next((v for k, v in line.items() if k.endswith("LineDetail")), {})
    words = [line.get("Description", "")]
    words += [detail[key].get("name", "") for key in ("ItemRef", "AccountRef") if key in detail]
    words += [detail["TaxCodeRef"]["value"]] if "TaxCodeRef" in detail else []
    words += [f"{link['TxnType']} {link['TxnId']}" for link in line.get("LinkedTxn", [])]
    return " · ".join(word for word in words if word)


def _linked(company: Company, record: Record) -> list[Record]:
    payments = [company.records["Payment"][p] for p in company.applied[record.id]]
    targets = [_any_txn(company, a.target_id) for a in record.built.applications]
    deposit = company.deposited.get(record.id)
    held = [_any_txn(company, i) for i in record.built.deposited_ids]
    found = [*payments, *targets, *held, _any_txn(company, deposit) if deposit else None]
    return [other for other in found if other is not None]


def _any_txn(company: Company, txn_id: str) -> Record | None:
    return next((r for entity in TRANSACTIONS if (r := company.find(entity, txn_id))), None)


def _newest(company: Company, entity: str) -> list[Record]:
    return list(company.records[entity].values())[: -_MAX_ROWS - 1 : -1]


def _customer(company: Company, record: Record) -> str:
    customer = company.find("Customer", (record.fields.get("CustomerRef") or {}).get("value", ""))
    return str(customer.fields["DisplayName"]) if customer else ""


def _title(record: Record) -> str:
    return f"{_TITLES.get(record.entity, record.entity)} {record.fields.get('DocNumber') or record.id}"


def _to(company: Company, record: Record, *, short: bool = False) -> Text:
    return Text(record.id if short else _title(record), _address(company, record))


def _address(company: Company, record: Record) -> str:
    return f"/quickbooks/{company.realm_id}/{record.entity.lower()}/{record.id}"


def _money(cents: int) -> str:
    return f"{Decimal(cents).scaleb(-2):,.2f}"


def _sides(cents: int) -> tuple[str, str]:
    return (_money(cents), "") if cents > 0 else ("", _money(-cents))


def _missing(message: str) -> Response[str]:
    return page("quickbooks_problem.html", status=404, title="Not found", message=message)
