"""Xero behind the port."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
from core.accounting.xero import answers, blame, bodies, lookup, organisation
from core.accounting.xero.amounts import minor_units
from core.accounting.xero.client import Reply, XeroClient, is_guid
from core.accounting.xero.faults import refusal
from core.accounting.xero.names import clean_name, same_name
from core.accounting.xero.schemas import Contacts, Invoices, Payments, encode
from core.books.documents import Customer, Document, DocumentKind, Invoice, Item, Payment
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError, StopError
from core.money import to_decimal
from core.reasons import Reason

KIND = "xero"

_PATHS = {
    DocumentKind.CUSTOMER: "/Contacts",
    DocumentKind.INVOICE: "/Invoices",
    DocumentKind.PAYMENT: "/Payments",
}
_STANDING = ("AUTHORISED", "PAID")
_PERHAPS_OURS = frozenset({Reason.NAME_TAKEN, Reason.CHANGED_IN_BOOKS})


class XeroAdapter:
    """One organisation of Xero. See :class:`~core.accounting.port.AccountingProvider` for the contract.

    Xero remembers a key for six minutes only, so what keeps a sale from being doubled are the documents themselves: an
    invoice's number is unique, and an invoice that is paid takes no second payment. Totals are returned as they stand
    in the books and never judged; the caller compares.
    """

    name = "Xero"
    # Xero allows 60 calls in a minute of its own choosing; one every 1.1 s never meets it, whichever minute that is.
    # A request whose line broke may run on; by then it has ended, one way or the other.
    limits = Limits(calls_per_second=0.9, settling_s=60.0)

    def __init__(self, client: XeroClient, *, app_base: str, of: Company) -> None:
        self._client = client
        self._app_base = app_base
        self._company = of
        self._within = acts.namespace(KIND, of.external_id)

    async def sync_customer(self, customer: Customer) -> str:
        """Find or create the contact; return its id."""
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
        """Freeze ``document`` into bytes.

        Raises:
            ProviderRejectedError: these books cannot take it: ``PERIOD_CLOSED``, ``CURRENCY_NOT_ENABLED``,
                ``TAX_CODE_MISFIT``, ``REFUSED`` (a third decimal), ``NAME_TAKEN`` (no further candidate name).
            StopError: ``OUR_FAULT`` when an id that the document needs is missing or malformed.
        """
        match document:
            case Customer():
                contact = bodies.contact_body(document, revision=revision)
                return self._write(document, key, contact.name, encode(Contacts(contacts=(contact,))))
            case Invoice():
                self._refuse_beforehand(document)
                untaxed = organisation.untaxed_type(self._company)
                invoice = bodies.invoice_body(document, ids, untaxed_type=untaxed)
                write = self._write(document, key, document.reference, encode(Invoices(invoices=(invoice,))))
                return replace(write, total_minor=document.total_minor, party_id=invoice.contact.contact_id)
            case Payment():
                self._refuse_beforehand(document)
                payment = bodies.payment_body(document, ids)
                write = self._write(document, key, document.reference, encode(Payments(payments=(payment,))))
                party_id = bodies.needed(ids, document.customer_step)
                return replace(write, total_minor=document.total_minor, party_id=party_id)
            case Item():
                raise StopError(Reason.OUR_FAULT, {"unexpected": "item"})

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Send the frozen bytes. After six minutes, or under another ``send``, the key no longer holds them back."""
        try:
            reply = await self._client.create(write.path, write.body, key=write.key, send=send)
            return self._written(write, reply)
        except ProviderRejectedError as refused:
            ours = await self._ours_after_all(write, refused)
            if ours is not None:
                return ours
            raise await self._explained(write, refused) from refused

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists: by the numbers that only it can have."""
        try:
            match write.kind:
                case DocumentKind.CUSTOMER:
                    contact = await lookup.find_contact(self._client, write)
                    return _contact(contact, None) if contact else None
                case DocumentKind.INVOICE:
                    invoice = await lookup.find_invoice(self._client, write)
                    return self._invoice(invoice, None) if invoice else None
                case _:
                    found = await lookup.find_payment(self._client, write)
                    return self._payment(found[1], found[0], None) if found else None
        except OutcomeUnknownError as exc:
            # It stands there, but with an amount that this currency does not have: a person changed it.
            raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference}) from exc

    async def read_company(self) -> Company:
        """Ask for the organisation."""
        return await organisation.read_organisation(self._client, self._company.external_id)

    async def list_accounts(self) -> list[Account]:
        """Read the whole chart of accounts, archived ones included."""
        return await organisation.list_accounts(self._client)

    async def list_tax_codes(self) -> list[TaxCode]:
        """Read the tax rates that may stand on a sale."""
        return await organisation.list_tax_codes(self._client)

    async def create_account(self, name: str, account_type: AccountType, *, key: str) -> Account:
        """Find an account of this name and type or create it.

        Raises:
            ProviderRejectedError: ``NAME_TAKEN`` by an account of another type, ``ACCOUNT_INACTIVE`` when archived.
        """
        wanted = clean_name(name)[:150]
        rows = await organisation.read_accounts(self._client)
        for row in rows:
            if not same_name(row.name, wanted):
                continue
            found = organisation.account_of(row)
            if found is None or found.type is not account_type:
                raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": wanted, "account": wanted})
            if not found.active:
                raise ProviderRejectedError(Reason.ACCOUNT_INACTIVE, detail={"account": wanted})
            return found
        codes = {row.code for row in rows if row.code}
        body = organisation.new_account(wanted, account_type, tenant_id=self._company.external_id, codes=codes)
        # The code depends on the chart as it is, so it belongs to the key: one key never carries two bodies.
        reply = await self._client.create("/Accounts", encode(body), key=f"{key}.{body.code}")
        row = _accepted(reply, "Accounts", answers.Account)
        created = organisation.account_of(row)
        if created is None:
            raise OutcomeUnknownError("the answer names no known account type", answered=True, status=200)
        return created

    def document_url(self, kind: DocumentKind, external_id: str) -> str | None:
        """Return the page of an invoice in Xero; a payment is shown there."""
        if kind is not DocumentKind.INVOICE or not self._app_base or not is_guid(external_id):
            return None
        return f"{self._app_base}/AccountsReceivable/View.aspx?InvoiceID={external_id}"

    def _write(self, document: Document, key: str, reference: str, body: bytes) -> PreparedWrite:
        currency = self._company.home_currency if isinstance(document, Item) else document.currency
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

    def _refuse_beforehand(self, document: Invoice | Payment) -> None:
        """Refuse what we never want: another currency than the books', and a locked period.

        Xero's locks stop most people but not an adviser, and whoever connected may be one.
        """
        home = self._company.home_currency.upper()
        if document.currency.upper() != home:
            raise ProviderRejectedError(
                Reason.CURRENCY_NOT_ENABLED, detail={"currency": document.currency.upper(), "home_currency": home}
            )
        locked_to = organisation.locked_to(self._company)
        if locked_to and document.date.isoformat() <= locked_to:
            raise ProviderRejectedError(
                Reason.PERIOD_CLOSED, detail={"date": document.date.isoformat(), "closed_to": locked_to}
            )

    def _written(self, write: PreparedWrite, reply: Reply) -> Posted:
        match write.kind:
            case DocumentKind.CUSTOMER:
                return _contact(_accepted(reply, "Contacts", answers.Contact), reply.request_id)
            case DocumentKind.INVOICE:
                invoice = _accepted(reply, "Invoices", answers.Invoice)
                if invoice.invoice_number != write.reference or invoice.status not in _STANDING:
                    raise _unclear("the answer is about another document, or about a draft", reply.request_id)
                return self._invoice(invoice, reply.request_id)
            case _:
                payment = _accepted(reply, "Payments", answers.Payment)
                if payment.invoice is None or payment.invoice.invoice_id != lookup.invoice_id_of(write):
                    raise _unclear("the answer is about another invoice", reply.request_id)
                return self._payment(payment, payment.invoice, reply.request_id)

    async def _ours_after_all(self, write: PreparedWrite, refused: ProviderRejectedError) -> Posted | None:
        """After "taken" or "paid already", look whether that was us: Xero forgets its keys, its documents stay."""
        if refused.reason not in _PERHAPS_OURS:
            return None
        try:
            return await self.look_up(write)
        except ProviderError:
            # The refusal stands whatever the question after it brings.
            return None

    async def _explained(self, write: PreparedWrite, refused: ProviderRejectedError) -> ProviderRejectedError:
        sent = lookup.frozen(write)
        match refused.reason:
            case Reason.PERIOD_CLOSED:
                refused.detail.update(date=lookup.day_of(write), closed_to=await self._locked_to())
            case Reason.NAME_TAKEN:
                refused.detail.update(client=next((contact.name for contact in sent.contacts), ""))
            case Reason.NUMBER_TAKEN | Reason.CHANGED_IN_BOOKS:
                refused.detail.update(reference=write.reference)
            case Reason.CURRENCY_NOT_ENABLED:
                refused.detail.update(currency=write.currency, home_currency=self._company.home_currency.upper())
            case Reason.TAX_CODE_MISFIT if write.total_minor is not None:
                total = to_decimal(write.total_minor, write.currency)
                refused.detail.update(charged=f"{total} {write.currency}", tax_code="the tax code")
        return await blame.explained(self._client, write, refused)

    async def _locked_to(self) -> str:
        """Ask to which day the books are locked: what we had read before is older than the refusal."""
        try:
            return organisation.locked_to(await self.read_company()) or "a later day"
        except ProviderError:
            return "a later day"

    def _invoice(self, invoice: answers.Invoice, request_id: str | None) -> Posted:
        currency = (invoice.currency_code or self._company.home_currency).upper()
        if invoice.total is None or not is_guid(invoice.invoice_id):
            raise _unclear("the answer has no total", request_id)
        return Posted(
            external_id=invoice.invoice_id,
            number=invoice.invoice_number,
            version=invoice.updated_date_utc_string,
            total_minor=minor_units(invoice.total, currency),
            currency=currency,
            party_id=invoice.contact.contact_id if invoice.contact else None,
            request_id=request_id,
        )

    def _payment(self, payment: answers.Payment, invoice: answers.Invoice, request_id: str | None) -> Posted:
        currency = (invoice.currency_code or self._company.home_currency).upper()
        if payment.amount is None:
            raise _unclear("the answer has no amount", request_id)
        return Posted(
            external_id=payment.payment_id,
            number=payment.reference,
            version=None,
            total_minor=minor_units(payment.amount, currency),
            currency=currency,
            party_id=invoice.contact.contact_id if invoice.contact else None,
            request_id=request_id,
        )


def _accepted(reply: Reply, name: str, shape: type[answers.E]) -> answers.E:
    """Return the element that was written, or raise the refusal that it carries."""
    row = answers.written(reply.body, name, shape, request_id=reply.request_id)
    if row.is_refused:
        raise refusal(row.messages, request_id=reply.request_id, status=200)
    return row


def _contact(found: answers.Contact, request_id: str | None) -> Posted:
    """A contact: no money, no party."""
    if not is_guid(found.contact_id):
        raise _unclear("the answer has no id", request_id)
    return Posted(
        external_id=found.contact_id,
        number=found.name,
        version=None,
        total_minor=None,
        currency=None,
        party_id=None,
        request_id=request_id,
    )


def _unclear(text: str, request_id: str | None) -> OutcomeUnknownError:
    return OutcomeUnknownError(text, answered=True, request_id=request_id, status=200)
