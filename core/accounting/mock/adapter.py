"""The practice books behind the port. They refuse what real books refuse."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

import msgspec

from core.accounting import acts
from core.accounting.mock import rules
from core.accounting.mock.bodies import Body, freeze
from core.accounting.mock.books import RECEIVABLE, SALES_TAX, DocumentRow, MockBooks
from core.accounting.port import (
    Account,
    AccountingInvoice,
    AccountType,
    Change,
    Changes,
    Company,
    FoundSale,
    Limits,
    Posted,
    PreparedWrite,
    Standing,
    TaxCode,
)
from core.books.documents import (
    MONEY,
    Customer,
    Deposit,
    Document,
    DocumentKind,
    Expense,
    Invoice,
    Item,
    MoneyDocument,
    Payee,
    Payment,
)
from core.errors import ProviderError, ProviderRejectedError
from core.reasons import Reason

T = TypeVar("T")
KIND = "mock"
TOGETHER = 50
PAYEE = "Stripe"
_OWED = (DocumentKind.INVOICE.value, DocumentKind.CREDIT_NOTE.value)
_SALES = (DocumentKind.INVOICE.value, DocumentKind.SALES_RECEIPT.value)


class MockAccountingAdapter:
    """A provider whose books are a file of ours."""

    name = "Practice books"
    limits = Limits(
        calls_per_second=1000.0,
        settling_s=0.0,
        together=dict.fromkeys(sorted(MONEY), TOGETHER),
        changes_every=timedelta(hours=12),
    )

    def __init__(self, books: MockBooks, company: Company) -> None:
        self.books = books
        self._company = company
        self._within = acts.namespace(KIND, company.external_id)
        self._calls = 0

    @property
    def calls(self) -> int:
        """How often the file was asked: what would be one request to real books counts as one."""
        return self._calls

    async def sync_customer(self, customer: Customer) -> str:
        """Find or create the customer; return its id in the books."""
        return await acts.sync_customer(self, customer, within=self._within)

    async def create_invoice(self, invoice: Invoice, *, customer_id: str) -> AccountingInvoice:
        """Create the invoice once."""
        return await acts.create_invoice(self, invoice, within=self._within, customer_id=customer_id)

    async def record_payment(self, payment: Payment, *, customer_id: str, invoice_id: str) -> Posted:
        """Record the payment once."""
        return await acts.record_payment(
            self, payment, within=self._within, customer_id=customer_id, invoice_id=invoice_id
        )

    def parts(self, document: MoneyDocument) -> Sequence[MoneyDocument]:
        """Every document is taken as it is."""
        return (document,)

    def supporting(self, document: Document) -> Sequence[Item | Payee]:
        """Stripe as the payee of expenses and deposits; a sale line names its income account itself."""
        if not isinstance(document, Expense | Deposit):
            return ()
        return (Payee(PAYEE, self._company.home_currency),)

    def prepare(self, document: Document, *, key: str, ids: Mapping[str, str], revision: int = 0) -> PreparedWrite:
        """Freeze ``document`` into bytes."""
        if not isinstance(document, Customer | Item | Payee):
            rules.refuse_beforehand(self._company, document)
        return freeze(document, key, ids, revision)

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Write the document, its entries and its key in one transaction; a known key changes nothing."""
        del send
        self._calls += 1
        return self._executed(write)

    async def execute_many(
        self, writes: Sequence[PreparedWrite], *, key: str, send: int = 1
    ) -> Sequence[Posted | ProviderError]:
        """Write each in a transaction of its own; each key is remembered, so the key of the whole is not needed."""
        del key, send
        self._calls += 1
        return [_caught(self._executed, write) for write in writes]

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists, by name or reference."""
        self._calls += 1
        return self._looked_up(write)

    async def look_up_many(self, writes: Sequence[PreparedWrite]) -> Sequence[Posted | ProviderError | None]:
        """Look several writes up, in their order."""
        self._calls += 1
        return [_caught(self._looked_up, write) for write in writes]

    async def read_back(self, kind: DocumentKind, external_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Read documents again by their ids; one that is gone is said to be."""
        self._calls += 1 if external_ids else 0
        return {key: self._standing(key, self.books.document_of_id(kind.value, key)) for key in external_ids}

    async def list_changes(self, mark: str, *, now: datetime) -> Changes:
        """Return what changed. These books have no clock: the number of the last change is their mark."""
        del now
        if not mark:
            return Changes((), str(self.books.newest_change()))
        if not mark.isascii() or not mark.isdigit():
            raise ProviderRejectedError(Reason.OUR_FAULT, "no mark of the practice books")
        self._calls += 1
        found = self.books.changes_after(int(mark))
        newest = max((number for number, _, _ in found), default=int(mark))
        return Changes(tuple(self._change(kind, key) for _, kind, key in found), str(newest))

    async def read_balance(self, account_id: str) -> int:
        """Return what the account holds, debit positive."""
        self._calls += 1
        return self.books.balance(account_id)

    async def read_rate(self, currency: str, day: date) -> str | None:
        """Refuse: the practice books keep one currency."""
        del day
        home = self._company.home_currency.upper()
        detail = {"currency": currency.upper(), "home_currency": home}
        raise ProviderRejectedError(Reason.CURRENCY_NOT_ENABLED, detail=detail)

    async def list_sales(self, start: date, end: date) -> list[FoundSale]:
        """Return the invoices and sales receipts of those days, whoever wrote them; voided ones are none."""
        self._calls += 1
        return [
            _sale(row) for row in self.books.documents_within(start, end) if row.kind in _SALES and not row.is_voided
        ]

    async def read_company(self) -> Company:
        """Return whose books these are."""
        self._calls += 1
        return self.books.company()

    async def list_accounts(self) -> list[Account]:
        """Return the whole chart of accounts."""
        self._calls += 1
        return self.books.accounts()

    async def list_tax_codes(self) -> list[TaxCode]:
        """Return the tax codes."""
        self._calls += 1
        return self.books.tax_codes()

    async def create_account(self, name: str, account_type: AccountType, *, key: str) -> Account:
        """Find an account of this name and type or create it. The name is the identity; the key is not needed."""
        del key
        self._calls += 1
        wanted = " ".join(name.split())
        found = next((a for a in self.books.accounts() if a.name.casefold() == wanted.casefold()), None)
        if found is None:
            return Account(self.books.add_account(wanted, account_type), wanted, None, account_type, None, True)
        if found.type is not account_type:
            raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": wanted, "account": wanted})
        if not found.active:
            raise ProviderRejectedError(Reason.ACCOUNT_INACTIVE, detail={"account": wanted})
        return found

    def document_url(self, kind: DocumentKind, external_id: str) -> str | None:
        """There is no page to open."""
        del kind, external_id
        return None

    def _change(self, kind: str, external_id: str) -> Change:
        row = self.books.document_of_id(kind, external_id)
        texts = (row.reference, row.memo) if row else ()
        is_known = kind in set(DocumentKind)
        return Change(
            standing=self._standing(external_id, row),
            kinds=frozenset({DocumentKind(kind)} if is_known else ()),
            word=kind.replace("_", " ").capitalize(),
            texts=tuple(text for text in texts if text),
        )

    def _standing(self, external_id: str, row: DocumentRow | None) -> Standing:
        if row is None:
            return Standing(external_id, None, False, None, None, None)
        is_owed = row.kind in _OWED and not row.is_voided
        return Standing(
            external_id=external_id,
            number=row.reference,
            stands=not row.is_voided,
            total_minor=row.total_minor,
            currency=row.currency,
            date=date.fromisoformat(row.date),
            changed_at=datetime.fromisoformat(row.changed_at) if row.changed_at else None,
            is_void=row.is_voided,
            open_minor=row.total_minor - row.paid_minor if is_owed else None,
            effects=self.books.entries(external_id),
        )

    def _executed(self, write: PreparedWrite) -> Posted:
        body = msgspec.json.decode(write.body, type=Body)
        with self.books.transaction() as db:
            external_id = self.books.answered(db, write.key)
            if external_id is None:
                external_id = self._added(db, write, body)
                self.books.remember(db, write.key, write.kind.value, external_id)
        return self._posted(write, external_id)

    def _added(self, db: sqlite3.Connection, write: PreparedWrite, body: Body) -> str:
        if write.kind is DocumentKind.CUSTOMER:
            rules.refuse_taken_name(self.books, body)
            return self.books.add_customer(body.name, body.email, db)
        if write.kind is DocumentKind.PAYEE:
            return self.books.find_payee(body.name) or self.books.add_payee(body.name, db)
        rules.refuse_document(self.books, write, body)
        own = {"receivable": self.books.account_named(RECEIVABLE), "tax": self.books.account_named(SALES_TAX)}
        row = DocumentRow(
            id="",
            kind=write.kind.value,
            reference=write.reference,
            is_ours=True,
            date=body.date,
            currency=write.currency,
            total_minor=write.total_minor or 0,
            customer_id=body.customer_id or "0",
            pays_id=body.pays_id,
            paid_minor=0,
            payee_id=body.payee_id,
            memo=body.memo,
        )
        return self.books.add_document(db, row, [(own.get(key, key), amount) for key, amount in body.entries])

    def _looked_up(self, write: PreparedWrite) -> Posted | None:
        match write.kind:
            case DocumentKind.CUSTOMER:
                return self._look_up_customer(write)
            case DocumentKind.PAYEE:
                payee_id = self.books.find_payee(write.reference)
                return self._posted(write, payee_id) if payee_id else None
            case _:
                return self._look_up_document(write)

    def _look_up_customer(self, write: PreparedWrite) -> Posted | None:
        sent = msgspec.json.decode(write.body, type=Body)
        match = next((row for row in self.books.customers() if row.name.casefold() == sent.name.casefold()), None)
        if match is None:
            return None
        if not rules.is_same_person(sent.email, match):
            raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.name})
        if not match.active:
            raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": sent.name})
        return self._posted(write, match.id)

    def _look_up_document(self, write: PreparedWrite) -> Posted | None:
        document = self.books.find_document(write.kind.value, write.reference)
        if document is None:
            return None
        if not document.is_ours:
            raise ProviderRejectedError(Reason.NUMBER_TAKEN, detail={"reference": write.reference})
        if document.is_voided or _party(document) != write.party_id:
            raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
        return self._posted(write, document.id)

    def _posted(self, write: PreparedWrite, external_id: str) -> Posted:
        """Return what stands; of a document that was deleted since, what was answered to its key."""
        if write.kind not in MONEY:
            return Posted(external_id, write.reference, None, None, None, None)
        document = self.books.document_of_id(write.kind.value, external_id)
        if document is None:
            return Posted(external_id, write.reference, None, write.total_minor, write.currency, write.party_id)
        return Posted(
            external_id=document.id,
            number=document.reference,
            version=None,
            total_minor=document.total_minor,
            currency=document.currency,
            party_id=_party(document),
        )


def _caught(work: Callable[[PreparedWrite], T], write: PreparedWrite) -> T | ProviderError:
    try:
        return work(write)
    except ProviderError as exc:
        return exc


def _party(row: DocumentRow) -> str | None:
    return row.payee_id if row.customer_id == "0" else row.customer_id


def _sale(row: DocumentRow) -> FoundSale:
    return FoundSale(
        kind=DocumentKind(row.kind),
        external_id=row.id,
        number=row.reference,
        date=date.fromisoformat(row.date),
        total_minor=row.total_minor,
        currency=row.currency,
        customer_name=row.customer_name,
        note=f"{row.reference} {row.memo}".strip(),
    )
