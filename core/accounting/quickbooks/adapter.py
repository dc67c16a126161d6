"""QuickBooks behind the port."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from core.accounting import acts
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
from core.accounting.quickbooks import answers, blame, bodies, company, lookup
from core.accounting.quickbooks.amounts import minor_units
from core.accounting.quickbooks.client import QuickBooksClient, is_object_id
from core.accounting.quickbooks.faults import REFERENCE_CODES
from core.accounting.quickbooks.names import clean_name
from core.accounting.quickbooks.queries import ANY_STATE, equals, select
from core.accounting.quickbooks.schemas import AccountBody, Ref, encode
from core.accounting.quickbooks.taxes import TaxProfile
from core.books.documents import Customer, Document, DocumentKind, Invoice, Item, Payment
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError, StopError
from core.money import to_decimal
from core.reasons import Reason

KIND = "quickbooks"

_PATHS = {
    DocumentKind.CUSTOMER: "/customer",
    DocumentKind.ITEM: "/item",
    DocumentKind.INVOICE: "/invoice",
    DocumentKind.PAYMENT: "/payment",
}
_PAGES = {DocumentKind.INVOICE: "invoice", DocumentKind.PAYMENT: "recvpayment"}


class QuickBooksAdapter:
    """One company of QuickBooks. See :class:`~core.accounting.port.AccountingProvider` for the contract.

    Totals: ``execute`` and ``look_up`` return the total that stands in the books, they never judge it; the caller
    compares it with ``write.total_minor``. Of a payment the total is what is applied to the invoice that was meant, so
    a payment that QuickBooks left unapplied shows as a difference like any other.
    """

    name = "QuickBooks"
    # Half of QuickBooks' own limit of 10 a second: the tenant has other apps. A request may run there for 120 s after
    # the line broke, so a look-up is not believed before.
    limits = Limits(calls_per_second=5.0, settling_s=120.0)

    def __init__(self, client: QuickBooksClient, *, app_base: str, of: Company) -> None:
        self._client = client
        self._app_base = app_base
        self._company = of
        self._within = acts.namespace(KIND, of.external_id)

    async def sync_customer(self, customer: Customer) -> str:
        """Find or create the customer; return its id in the books."""
        return await acts.sync_customer(self, customer, within=self._within)

    async def create_invoice(self, invoice: Invoice, *, customer_id: str) -> AccountingInvoice:
        """Create items and invoice once."""
        return await acts.create_invoice(self, invoice, within=self._within, customer_id=customer_id)

    async def record_payment(self, payment: Payment, *, customer_id: str, invoice_id: str) -> Posted:
        """Record the payment once."""
        return await acts.record_payment(
            self, payment, within=self._within, customer_id=customer_id, invoice_id=invoice_id
        )

    def supporting(self, document: Document) -> Sequence[Item]:
        """Return one item per (service, income account) of the lines, in their order."""
        if not isinstance(document, Invoice):
            return ()
        return tuple({item.step: item for item in map(bodies.item_for, document.lines)}.values())

    def prepare(self, document: Document, *, key: str, ids: Mapping[str, str], revision: int = 0) -> PreparedWrite:
        """Freeze ``document`` into bytes.

        Raises:
            ProviderRejectedError: these books cannot take it: ``PERIOD_CLOSED``, ``CURRENCY_NOT_ENABLED``,
                ``TAX_CODE_MISFIT``, ``REFUSED`` (a third decimal), ``NAME_TAKEN`` (no further candidate name).
            StopError: ``OUR_FAULT`` when an id that the document needs is missing or malformed.
        """
        match document:
            case Customer():
                body = bodies.customer_body(document, currency=self._currency_ref(document.currency), revision=revision)
                return self._write(document, key, body.display_name, encode(body), document.currency)
            case Item():
                item = bodies.item_body(document, revision=revision)
                return self._write(document, key, item.name, encode(item), self._company.home_currency)
            case Invoice():
                self._refuse_closed_period(document)
                invoice = bodies.invoice_body(
                    document, ids, currency=self._currency_ref(document.currency), taxes=self._taxes()
                )
                party = invoice.customer_ref.value
                write = self._write(document, key, document.reference, encode(invoice), document.currency)
                return replace(write, total_minor=document.total_minor, party_id=party)
            case Payment():
                self._refuse_closed_period(document)
                payment = bodies.payment_body(document, ids, currency=self._currency_ref(document.currency))
                party = payment.customer_ref.value
                write = self._write(document, key, document.reference, encode(payment), document.currency)
                return replace(write, total_minor=document.total_minor, party_id=party)

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Send the frozen bytes under their key; QuickBooks answers a repeat of the key with the first answer."""
        del send
        try:
            reply = await self._client.write(write.path, write.body, request_id=write.key)
        except ProviderRejectedError as refusal:
            raise await self._explained(write, refusal) from refusal
        match write.kind:
            case DocumentKind.CUSTOMER:
                found = answers.written(reply.body, "Customer", answers.Customer, request_id=reply.request_id)
                return _named(found, found.display_name, reply.request_id)
            case DocumentKind.ITEM:
                item = answers.written(reply.body, "Item", answers.Item, request_id=reply.request_id)
                return _named(item, item.name, reply.request_id)
            case _:
                entity = "Invoice" if write.kind is DocumentKind.INVOICE else "Payment"
                txn = answers.written(reply.body, entity, answers.Transaction, request_id=reply.request_id)
                _refuse_other_document(txn, write, reply.request_id)
                return self._posted(txn, write, reply.request_id)

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists.

        A customer of the same name with the same address (or without one) is ours; with another address the name is
        taken. An item is ours when it books to the same account.
        """
        match write.kind:
            case DocumentKind.CUSTOMER:
                customer = await lookup.find_customer(self._client, write, self._company.home_currency)
                return _named(customer, customer.display_name, None) if customer else None
            case DocumentKind.ITEM:
                item = await lookup.find_item(self._client, write)
                return _named(item, item.name, None) if item else None
            case DocumentKind.INVOICE:
                txn = await lookup.find_invoice(self._client, write)
            case _:
                txn = await lookup.find_payment(self._client, write)
        if txn is None:
            return None
        try:
            return self._posted(txn, write, None)
        except OutcomeUnknownError as exc:
            # It stands there, but with an amount that this currency does not have: a person changed it.
            raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference}) from exc

    async def read_company(self) -> Company:
        """Ask CompanyInfo and Preferences."""
        return await company.read_company(self._client, self._company.external_id)

    async def list_accounts(self) -> list[Account]:
        """Read the whole chart of accounts, archived ones included."""
        return await company.list_accounts(self._client)

    async def list_tax_codes(self) -> list[TaxCode]:
        """Read the tax codes that may stand on a sale."""
        return await company.list_tax_codes(self._client, self._company)

    async def create_account(self, name: str, account_type: AccountType, *, key: str) -> Account:
        """Find an account of this name and type or create it.

        Raises:
            ProviderRejectedError: ``NAME_TAKEN`` by an account of another type, ``ACCOUNT_INACTIVE`` when archived.
        """
        wanted = clean_name(name.replace('"', " "))
        if account_type not in company.NEW_TYPES or not wanted:
            raise StopError(Reason.OUR_FAULT, {"account_type": account_type.value})
        reply = await self._client.query(select("Account", equals("Name", wanted), ANY_STATE))
        rows = answers.read_list(reply.body, "Account", answers.Account, request_id=reply.request_id)
        for account in filter(None, map(company.account_of, rows)):
            if account.type is not account_type:
                raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": wanted, "account": wanted})
            if not account.active:
                raise ProviderRejectedError(Reason.ACCOUNT_INACTIVE, detail={"account": wanted})
            return account
        qbo_type, subtype = company.NEW_TYPES[account_type]
        body = encode(AccountBody(name=wanted, account_type=qbo_type, account_sub_type=subtype))
        reply = await self._client.write("/account", body, request_id=key)
        row = answers.written(reply.body, "Account", answers.Account, request_id=reply.request_id)
        created = company.account_of(row)
        if created is None:
            raise OutcomeUnknownError("the answer names no known account type", answered=True, status=200)
        return created

    def document_url(self, kind: DocumentKind, external_id: str) -> str | None:
        """Return the page of an invoice or a payment in QuickBooks."""
        page = _PAGES.get(kind)
        if page is None or not self._app_base or not is_object_id(external_id):
            return None
        return f"{self._app_base}/app/{page}?txnId={external_id}"

    def _write(self, document: Document, key: str, reference: str, body: bytes, currency: str) -> PreparedWrite:
        return PreparedWrite(
            kind=document.kind,
            step=document.step,
            key=key,
            reference=reference,
            path=_PATHS[document.kind],
            body=body,
            total_minor=None,
            currency=currency.upper(),
        )

    def _taxes(self) -> TaxProfile:
        return TaxProfile(
            is_us=self._company.country == "US", using_sales_tax=company.is_on(self._company, "using_sales_tax")
        )

    def _currency_ref(self, currency: str) -> Ref | None:
        """Return the currency to name: required with several currencies on, refused by QuickBooks otherwise.

        A foreign document would need an exchange rate on invoice and payment alike; left out, QuickBooks books the
        payment at 1. Our documents carry settled home amounts, so a foreign one is refused instead.
        """
        home = self._company.home_currency.upper()
        if currency.upper() != home:
            raise ProviderRejectedError(
                Reason.CURRENCY_NOT_ENABLED, detail={"currency": currency.upper(), "home_currency": home}
            )
        return Ref(home) if company.is_on(self._company, "multicurrency") else None

    def _refuse_closed_period(self, document: Invoice | Payment) -> None:
        """Refuse before sending: with the right password QuickBooks would let us in, and we never want to be."""
        closed_to = self._company.options.get("book_close_date", "")
        if closed_to and document.date.isoformat() <= closed_to[:10]:
            raise ProviderRejectedError(
                Reason.PERIOD_CLOSED, detail={"date": document.date.isoformat(), "closed_to": closed_to[:10]}
            )

    async def _explained(self, write: PreparedWrite, refusal: ProviderRejectedError) -> ProviderRejectedError:
        if refusal.provider_code in REFERENCE_CODES:
            return await blame.explained(self._client, write, refusal)
        sent = lookup.frozen(write)
        match refusal.reason:
            case Reason.PERIOD_CLOSED:
                refusal.detail.update(date=sent.txn_date, closed_to=await self._closed_to())
            case Reason.NAME_TAKEN:
                refusal.detail.update(client=sent.display_name or sent.name)
            case Reason.NUMBER_TAKEN:
                refusal.detail.update(reference=write.reference)
            case Reason.TAX_CODE_MISFIT if write.total_minor is not None:
                total = to_decimal(write.total_minor, write.currency)
                refusal.detail.update(charged=f"{total} {write.currency}", tax_code="the tax code")
        return refusal

    async def _closed_to(self) -> str:
        """Ask to which day the books are closed: what we had read before is older than the refusal."""
        try:
            now = await self.read_company()
        except ProviderError:
            return "a later day"
        return now.options["book_close_date"] or "a later day"

    def _posted(self, txn: answers.Transaction, write: PreparedWrite, request_id: str | None) -> Posted:
        if not is_object_id(txn.id):
            raise OutcomeUnknownError("the answer has no id", answered=True, request_id=request_id, status=200)
        currency = (txn.currency_ref.value if txn.currency_ref else self._company.home_currency).upper()
        is_payment = write.kind is DocumentKind.PAYMENT
        total = _applied(txn, write) if is_payment else txn.total_amt
        if total is None:
            raise OutcomeUnknownError("the answer has no total", answered=True, request_id=request_id, status=200)
        return Posted(
            external_id=txn.id,
            number=txn.payment_ref_num if is_payment else txn.doc_number,
            version=txn.sync_token or None,
            total_minor=minor_units(total, currency),
            currency=currency,
            party_id=txn.customer_ref.value if txn.customer_ref else None,
            request_id=request_id,
        )


def _named(found: answers.Customer | answers.Item, name: str, request_id: str | None) -> Posted:
    """A list object: no money, no party."""
    if not is_object_id(found.id):
        raise OutcomeUnknownError("the answer has no id", answered=True, request_id=request_id, status=200)
    return Posted(
        external_id=found.id,
        number=name,
        version=found.sync_token or None,
        total_minor=None,
        currency=None,
        party_id=None,
        request_id=request_id,
    )


def _applied(txn: answers.Transaction, write: PreparedWrite) -> Decimal:
    """Return how much of a payment is applied to the invoice that was meant."""
    invoice_id = lookup.frozen(write).invoice_id
    return sum(
        (
            line.amount
            for line in txn.line
            if line.amount is not None and any(link.txn_id == invoice_id for link in line.linked_txn)
        ),
        Decimal(0),
    )


def _refuse_other_document(txn: answers.Transaction, write: PreparedWrite, request_id: str | None) -> None:
    """QuickBooks may number a document itself, but then the note still holds our reference."""
    if write.reference in (txn.doc_number, txn.payment_ref_num) or write.reference in txn.private_note:
        return
    raise OutcomeUnknownError("the answer is about another document", answered=True, request_id=request_id, status=200)
