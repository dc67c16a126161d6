"""A plain look into the books, so that a person can see the invoice paid. No script, no sign-in."""

from html import escape
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from web.sandbox.quickbooks.amounts import to_cents
from web.sandbox.quickbooks.company import Company, Record
from web.sandbox.quickbooks.fields import BY_PATH, TRANSACTIONS
from web.sandbox.quickbooks.html import link, money, page, table
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
}
_TITLES |= {"RefundReceipt": "Refund receipt"}
_MAX_ROWS = 500


def page_routes(world: World) -> list[HTTPRouteHandler]:
    @get("/quickbooks", sync_to_thread=False)
    def companies() -> Response[bytes]:
        rows = [
            (link(f"/quickbooks/{c.realm_id}", c.name), c.country, c.home_currency, str(len(c.records["Invoice"])))
            for c in world.companies.values()
        ]
        body = "<h1>QuickBooks (sandbox)</h1>" + table(
            ["Company", "Country", "Currency", "Invoices#"],
            rows,
            empty="No company yet. Connect QuickBooks in the app, and create one on the consent page.",
        )
        return _html("QuickBooks (sandbox)", body)

    @get("/quickbooks/{realm:str}", sync_to_thread=False)
    def one_company(request: AnyRequest) -> Response[bytes]:
        company = world.companies.get(request.path_params["realm"])
        if company is None:
            return _missing("There is no such company.")
        return _html(company.name, _company_body(company))

    @get("/quickbooks/{realm:str}/{entity:str}/{record_id:str}", sync_to_thread=False)
    def one_document(request: AnyRequest) -> Response[bytes]:
        company = world.companies.get(request.path_params["realm"])
        entity = BY_PATH.get(request.path_params["entity"].lower(), "")
        record = company.find(entity, request.path_params["record_id"]) if company else None
        if company is None or record is None or entity not in TRANSACTIONS:
            return _missing("There is no such document. It may have been deleted.")
        return _html(_title(record), _document_body(company, record))

    @get("/app/{name:str}", sync_to_thread=False)
    def deep_link(request: AnyRequest) -> Response[Any]:
        entity = _DEEP_LINKS.get(request.path_params["name"].lower())
        txn_id = request.query_params.get("txnId", "")
        hits = [c for c in world.companies.values() if entity and c.find(entity, txn_id)]
        if entity is None or not hits:
            return _missing("There is no such document. It may have been deleted.")
        return Redirect(f"/quickbooks/{hits[0].realm_id}/{entity.lower()}/{txn_id}", status_code=302)

    return [companies, one_company, one_document, deep_link]


def _company_body(company: Company) -> str:
    parts = [f"<p>{link('/quickbooks', 'All companies')}</p><h1>{escape(company.name)}</h1>"]
    parts.append(f"<p>QuickBooks company {company.realm_id}, {company.country}, books in {company.home_currency}.</p>")
    parts += ["<h2>Invoices</h2>", _invoices(company)]
    for entity in TRANSACTIONS[1:]:
        if company.records[entity]:
            parts += [f"<h2>{escape(_TITLES.get(entity, entity))}s</h2>", _documents(company, entity)]
    balances = sorted(company.trial_balance().items())
    rows = [
        (escape(name), money(cents) if cents > 0 else "", money(-cents) if cents < 0 else "")
        for name, cents in balances
    ]
    if rows:
        debits = sum(cents for _, cents in balances if cents > 0)
        rows.append(("<strong>Total</strong>", money(debits), money(debits)))
    parts += ["<h2>Trial balance</h2>", table(["Account", "Debit#", "Credit#"], rows, empty="Nothing is posted yet.")]
    return "".join(parts)


def _invoices(company: Company) -> str:
    rows = []
    for record in _newest(company, "Invoice"):
        open_cents = company.open_balance(record)
        state = "Voided" if record.is_voided else "Paid" if open_cents == 0 else "Open"
        paid_by = ", ".join(_to(company, company.records["Payment"][p]) for p in company.applied[record.id])
        number = record.fields.get("DocNumber") or record.id
        rows.append(
            (
                link(_address(company, record), number),
                record.fields["TxnDate"],
                escape(_customer(company, record)),
                money(record.built.total),
                money(open_cents),
                state,
                paid_by,
            )
        )
    heads = ["Number", "Date", "Customer", "Total#", "Balance#", "State", "Payments"]
    return table(heads, rows, empty="No invoice yet.")


def _documents(company: Company, entity: str) -> str:
    rows = [
        (_to(company, record), record.fields["TxnDate"], escape(_customer(company, record)), money(record.built.total))
        for record in _newest(company, entity)
    ]
    return table(["Document", "Date", "Customer", "Total#"], rows, empty="None yet.")


def _document_body(company: Company, record: Record) -> str:
    body = render(company, record)
    parts = [f"<p>{link(f'/quickbooks/{company.realm_id}', company.name)}</p><h1>{escape(_title(record))}</h1>"]
    if record.is_voided:
        parts.append('<p class="note">Voided</p>')
    facts = [("Date", record.fields["TxnDate"]), ("Customer", _customer(company, record))]
    facts += [(label, str(record.fields.get(key, ""))) for label, key in _FACTS]
    if record.entity in ("Invoice", "CreditMemo"):
        facts.append(("Balance", money(company.open_balance(record))))
    facts.append(("Total", money(record.built.total)))
    parts.append(table(["What", "Value"], [(label, escape(value)) for label, value in facts if value], empty=""))
    lines = [(_line_text(line), money(to_cents(line.get("Amount", 0)))) for line in body.get("Line", [])]
    parts += ["<h2>Lines</h2>", table(["Line", "Amount#"], lines, empty="No lines.")]
    links = [_to(company, other) for other in _linked(company, record)]
    if links:
        parts.append(f"<h2>Linked</h2><p>{', '.join(links)}</p>")
    legs = [
        (
            escape(company.account_name(leg.account_id)),
            money(leg.cents) if leg.cents > 0 else "",
            money(-leg.cents) if leg.cents < 0 else "",
        )
        for leg in company.ledger.postings(record.id)
    ]
    parts += ["<h2>In the ledger</h2>", table(["Account", "Debit#", "Credit#"], legs, empty="Nothing is posted.")]
    return "".join(parts)


_FACTS = (
    ("Number", "DocNumber"),
    ("Reference", "PaymentRefNum"),
    ("Due", "DueDate"),
    ("Memo", "PrivateNote"),
)


def _line_text(line: dict[str, Any]) -> str:
    detail: dict[str, Any] = next((v for k, v in line.items() if k.endswith("LineDetail") and isinstance(v, dict)), {})
    names = [detail[key].get("name", "") for key in ("ItemRef", "AccountRef", "TaxCodeRef") if key in detail]
    names += [detail["TaxCodeRef"]["value"]] if "TaxCodeRef" in detail else []
    names += [f"{link['TxnType']} {link['TxnId']}" for link in line.get("LinkedTxn", [])]
    if line.get("DetailType") == "SubTotalLineDetail":
        return "Subtotal"
    return escape(" · ".join(text for text in (line.get("Description", ""), *names) if text))


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


def _to(company: Company, record: Record) -> str:
    return link(_address(company, record), _title(record))


def _address(company: Company, record: Record) -> str:
    return f"/quickbooks/{company.realm_id}/{record.entity.lower()}/{record.id}"


def _html(title: str, body: str, status: int = 200) -> Response[bytes]:
    return Response(page(title, body), status_code=status, media_type="text/html; charset=utf-8")


def _missing(text: str) -> Response[bytes]:
    return _html(
        "Not found", f"<h1>Not found</h1><p>{escape(text)}</p><p>{link('/quickbooks', 'All companies')}</p>", 404
    )
