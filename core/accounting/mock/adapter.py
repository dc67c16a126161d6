"""The practice books behind the port. They refuse what real books refuse."""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from core.accounting import acts
from core.accounting.mock.books import RECEIVABLE, SALES_TAX, CustomerRow, DocumentRow, MockBooks
from core.accounting.port import (
    Account,
    AccountingInvoice,
    AccountType,
    Company,
    Limits,
    Posted,
    PreparedWrite,
    TaxCode,
)
from core.books.documents import Customer, Document, DocumentKind, Invoice, Item, Payment
from core.errors import ProviderRejectedError, StopError
from core.reasons import Reason

KIND = "mock"


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """The frozen form of a document: names or dates, and the entries with debits positive."""

    name: str = ""
    email: str | None = None
    date: str = ""
    customer_id: str = ""
    invoice_id: str | None = None
    entries: tuple[tuple[str, int], ...] = ()
    """Account id (``receivable`` and ``tax`` for the books' own) and amount in minor units."""


class MockAccountingAdapter:
    """A provider whose books are a file of ours."""

    name = "Practice books"
    limits = Limits(calls_per_second=1000.0, settling_s=0.0)

    def __init__(self, books: MockBooks, company: Company) -> None:
        self.books = books
        self._company = company
        self._within = acts.namespace(KIND, company.external_id)

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

    def supporting(self, document: Document) -> Sequence[Item]:
        """None: a line names its income account itself."""
        del document
        return ()

    def prepare(self, document: Document, *, key: str, ids: Mapping[str, str], revision: int = 0) -> PreparedWrite:
        """Freeze ``document`` into bytes."""
        match document:
            case Customer():
                name = _customer_name(document, revision)
                return _write(document, key, name, Body(name=name, email=document.email), document.currency)
            case Invoice():
                self._refuse_beforehand(document)
                body = Body(
                    date=document.date.isoformat(),
                    customer_id=_needed(ids, document.customer_step),
                    entries=(
                        ("receivable", document.total_minor),
                        *((line.income_account_id, -line.amount_minor) for line in document.lines),
                        *((("tax", -document.tax_minor),) if document.tax_minor else ()),
                    ),
                )
                return _write(document, key, document.reference, body, document.currency)
            case Payment():
                self._refuse_beforehand(document)
                body = Body(
                    date=document.date.isoformat(),
                    customer_id=_needed(ids, document.customer_step),
                    invoice_id=_needed(ids, document.invoice_step),
                    entries=(
                        (document.clearing_account_id, document.amount_minor),
                        ("receivable", -document.amount_minor),
                    ),
                )
                return _write(document, key, document.reference, body, document.currency)
            case Item():
                raise StopError(Reason.OUR_FAULT, {"unexpected": "item"})

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Write the document, its entries and its key in one transaction; a known key changes nothing."""
        del send
        body = msgspec.json.decode(write.body, type=Body)
        with self.books.transaction() as db:
            external_id = self.books.answered(db, write.key)
            if external_id is None:
                if write.kind is DocumentKind.CUSTOMER:
                    external_id = self._add_customer(db, body)
                else:
                    external_id = self._add_document(db, write, body)
                self.books.remember(db, write.key, write.kind.value, external_id)
        return self._posted(write, external_id)

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists, by name or reference."""
        if write.kind is DocumentKind.CUSTOMER:
            return self._look_up_customer(write)
        for document in self.books.documents(write.kind.value):
            if document.reference == write.reference:
                if not document.is_ours:
                    raise ProviderRejectedError(Reason.NUMBER_TAKEN, detail={"reference": write.reference})
                if document.customer_id != write.party_id:
                    raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
                return self._posted(write, document.id)
        return None

    async def read_company(self) -> Company:
        """Return whose books these are."""
        return self.books.company()

    async def list_accounts(self) -> list[Account]:
        """Return the whole chart of accounts."""
        return self.books.accounts()

    async def list_tax_codes(self) -> list[TaxCode]:
        """Return the tax codes."""
        return self.books.tax_codes()

    async def create_account(self, name: str, account_type: AccountType, *, key: str) -> Account:
        """Find an account of this name and type or create it. The name is the identity; the key is not needed."""
        del key
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

    def _refuse_beforehand(self, document: Invoice | Payment) -> None:
        home = self._company.home_currency.upper()
        if document.currency.upper() != home:
            raise ProviderRejectedError(
                Reason.CURRENCY_NOT_ENABLED, detail={"currency": document.currency.upper(), "home_currency": home}
            )
        _refuse_closed(document.date.isoformat(), self._company.options.get("book_close_date", ""))

    def _add_customer(self, db: sqlite3.Connection, body: Body) -> str:
        if any(row.name.casefold() == body.name.casefold() for row in self.books.customers()):
            raise ProviderRejectedError(Reason.NAME_TAKEN, "the name is in use", detail={"client": body.name})
        added = db.execute(
            "INSERT INTO customer (company, name, email) VALUES (?, ?, ?)",
            (self._company.external_id, body.name, body.email),
        )
        return str(added.lastrowid)

    def _add_document(self, db: sqlite3.Connection, write: PreparedWrite, body: Body) -> str:
        _refuse_closed(body.date, self.books.company().options["book_close_date"])
        self._refuse_archived(body)
        documents = {document.id: document for document in self.books.documents()}
        if any(d.kind == write.kind.value and d.reference == write.reference for d in documents.values()):
            raise ProviderRejectedError(
                Reason.NUMBER_TAKEN, "the number is in use", detail={"reference": write.reference}
            )
        if body.invoice_id is not None:
            paid = documents.get(body.invoice_id)
            if paid is None or paid.customer_id != body.customer_id:
                raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, "no such invoice of this customer")
            if paid.paid_minor + (write.total_minor or 0) > paid.total_minor:
                raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, "the invoice is paid already")
        own = {"receivable": self.books.account_named(RECEIVABLE), "tax": self.books.account_named(SALES_TAX)}
        return self.books.add_document(
            db,
            DocumentRow(
                id="",
                kind=write.kind.value,
                reference=write.reference,
                is_ours=True,
                date=body.date,
                currency=write.currency,
                total_minor=write.total_minor or 0,
                customer_id=body.customer_id,
                pays_id=body.invoice_id,
                paid_minor=0,
            ),
            [(own.get(account, account), amount) for account, amount in body.entries],
        )

    def _refuse_archived(self, body: Body) -> None:
        customer = next((row for row in self.books.customers() if row.id == body.customer_id), None)
        if customer is None or not customer.active:
            name = customer.name if customer else "this client"
            raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": name})
        accounts = {account.external_id: account for account in self.books.accounts()}
        for account_id, _ in body.entries:
            account = accounts.get(account_id)
            if account_id not in ("receivable", "tax") and (account is None or not account.active):
                name = account.name if account else "that account"
                raise ProviderRejectedError(Reason.ACCOUNT_INACTIVE, detail={"account": name})

    def _look_up_customer(self, write: PreparedWrite) -> Posted | None:
        sent = msgspec.json.decode(write.body, type=Body)
        match = next((row for row in self.books.customers() if row.name.casefold() == sent.name.casefold()), None)
        if match is None:
            return None
        if not _same_person(sent.email, match):
            raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.name})
        if not match.active:
            raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": sent.name})
        return self._posted(write, match.id)

    def _posted(self, write: PreparedWrite, external_id: str) -> Posted:
        if write.kind is DocumentKind.CUSTOMER:
            return Posted(external_id, write.reference, None, None, None, None)
        document = next(d for d in self.books.documents(write.kind.value) if d.id == external_id)
        return Posted(
            external_id=document.id,
            number=document.reference,
            version=None,
            total_minor=document.total_minor,
            currency=document.currency,
            party_id=document.customer_id,
        )


def _write(
    document: Customer | Invoice | Payment, key: str, reference: str, body: Body, currency: str
) -> PreparedWrite:
    return PreparedWrite(
        kind=document.kind,
        step=document.step,
        key=key,
        reference=reference,
        path=f"/{document.kind.value}",
        body=msgspec.json.encode(body),
        total_minor=None if isinstance(document, Customer) else document.total_minor,
        currency=currency.upper(),
        party_id=body.customer_id or None,
    )


def _customer_name(customer: Customer, revision: int) -> str:
    name = " ".join(customer.name.split()) or customer.email or "Stripe client"
    candidates = [name, *(f"{name} ({extra})" for extra in (customer.email, customer.stripe_customer_id) if extra)]
    if revision >= len(candidates):
        raise ProviderRejectedError(Reason.NAME_TAKEN, "every candidate name is taken", detail={"client": name})
    return candidates[revision]


def _same_person(email: str | None, match: CustomerRow) -> bool:
    return not email or not match.email or email.strip().casefold() == match.email.strip().casefold()


def _refuse_closed(day: str, closed_to: str) -> None:
    if closed_to and day <= closed_to:
        raise ProviderRejectedError(Reason.PERIOD_CLOSED, detail={"date": day, "closed_to": closed_to})


def _needed(ids: Mapping[str, str], step: str) -> str:
    if step not in ids:
        raise StopError(Reason.OUR_FAULT, {"missing_step": step})
    return ids[step]
