"""Xero behind the port."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from core.accounting import acts
from core.accounting.port import (
    Account,
    AccountingInvoice,
    AccountType,
    Changes,
    Company,
    FoundSale,
    Limits,
    Posted,
    PreparedWrite,
    Standing,
    TaxCode,
)
from core.accounting.xero import answers, bulk, changes, freezing, lookup, organisation, reading, report
from core.accounting.xero.blame import Blame
from core.accounting.xero.bodies import guid
from core.accounting.xero.client import XeroClient, is_guid
from core.accounting.xero.faults import refusal
from core.accounting.xero.names import clean_name, same_name
from core.accounting.xero.outcome import SHAPES, posted_by, unclear
from core.accounting.xero.schemas import encode
from core.books.documents import Customer, Document, DocumentKind, Invoice, Item, MoneyDocument, Payee, Payment
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError
from core.reasons import Reason

KIND = "xero"

_PERHAPS_OURS = frozenset({Reason.NAME_TAKEN, Reason.CHANGED_IN_BOOKS})
_AT_BANK = frozenset({DocumentKind.SALES_RECEIPT, DocumentKind.EXPENSE, DocumentKind.DEPOSIT, DocumentKind.TRANSFER})
_UNIQUE = frozenset({DocumentKind.INVOICE, DocumentKind.PAYMENT, DocumentKind.CREDIT_NOTE, DocumentKind.REPAYMENT})
_CONTACTS = frozenset({DocumentKind.CUSTOMER, DocumentKind.PAYEE})
_PAGES = {
    DocumentKind.INVOICE: "/AccountsReceivable/View.aspx?InvoiceID=",
    DocumentKind.CREDIT_NOTE: "/AccountsReceivable/ViewCreditNote.aspx?creditNoteID=",
    DocumentKind.SALES_RECEIPT: "/Bank/ViewTransaction.aspx?bankTransactionID=",
    DocumentKind.EXPENSE: "/Bank/ViewTransaction.aspx?bankTransactionID=",
    DocumentKind.DEPOSIT: "/Bank/ViewTransaction.aspx?bankTransactionID=",
}


class XeroAdapter:
    """One organisation of Xero. See :class:`~core.accounting.port.AccountingProvider` for the contract.

    Xero remembers a key for six minutes only, so what keeps a sale from being doubled are the documents themselves: a
    number is unique, and what is paid takes no second payment. Money that moves without a document has nothing of the
    kind, so it is looked up before every send. Totals are returned as they stand in the books and never judged; the
    caller compares.
    """

    name = "Xero"
    # Xero allows 60 calls in a minute of its own choosing, five at a time. Five at once and then one every 1.1 s never
    # meet it, whichever minute that is: 5 + 54. A request whose line broke may run on; after the settling time it has
    # ended, one way or the other.
    limits = Limits(
        calls_per_second=0.9,
        settling_s=60.0,
        together=dict.fromkeys(sorted(_CONTACTS | _UNIQUE | _AT_BANK), bulk.TOGETHER),
        together_from=2,
        found_first=_AT_BANK,
        burst=5,
        # What the smallest tier allows; no answer says which one an organisation is counted by.
        calls_per_day=1000,
        # A transfer has no time of its last change, so its deletion may go untold.
        changes_hide=frozenset({DocumentKind.TRANSFER}),
    )

    def __init__(self, client: XeroClient, *, app_base: str, of: Company) -> None:
        self._client = client
        self._app_base = app_base
        self._company = of
        self._home = of.home_currency
        self._within = acts.namespace(KIND, of.external_id)

    @property
    def calls(self) -> int:
        """Requests made to Xero so far."""
        return self._client.calls

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

    def parts(self, document: MoneyDocument) -> Sequence[MoneyDocument]:
        """Return a refund as a credit note and its repayment; everything else as it is."""
        return freezing.parts(document)

    def supporting(self, document: Document) -> Sequence[Item | Payee]:
        """Return Stripe as the contact of whatever becomes money spent or received; lines name accounts themselves."""
        return (Payee("Stripe", self._home),) if freezing.needs_payee(document) else ()

    def prepare(self, document: Document, *, key: str, ids: Mapping[str, str], revision: int = 0) -> PreparedWrite:
        """Freeze ``document`` into bytes.

        Raises:
            ProviderRejectedError: these books cannot take it: ``PERIOD_CLOSED``, ``CURRENCY_NOT_ENABLED``,
                ``TAX_CODE_MISFIT``, ``REFUSED`` (a third decimal, or no bank account where Xero wants one),
                ``NAME_TAKEN`` (no further candidate name).
            StopError: ``OUR_FAULT`` when an id that the document needs is missing or malformed.
        """
        return freezing.freeze(document, key=key, ids=ids, revision=revision, company=self._company)

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Send the frozen bytes. After six minutes, or under another ``send``, the key no longer holds them back."""
        try:
            reply = await self._client.create(write.path, write.body, key=write.key, send=send)
            rows = answers.written_list(
                reply.body, write.path.removeprefix("/"), SHAPES[write.path], request_id=reply.request_id
            )
            if len(rows) != 1:
                raise unclear("the answer is about more or less than was sent", reply.request_id)
            return posted_by(write, rows[0], home_currency=self._home, request_id=reply.request_id)
        except ProviderRejectedError as refused:
            ours = await self._ours_after_all(write, refused)
            if ours is not None:
                return ours
            raise await Blame(self._client, self._company).explained(write, refused) from refused

    async def execute_many(
        self, writes: Sequence[PreparedWrite], *, key: str, send: int = 1
    ) -> Sequence[Posted | ProviderError]:
        """Send several frozen writes together. A number of ours that was taken before is looked up and taken over."""
        outcomes = await bulk.send_many(self._client, writes, key=key, send=send, home_currency=self._home)
        taken = [
            write
            for write, outcome in zip(writes, outcomes, strict=True)
            if isinstance(outcome, ProviderRejectedError) and outcome.reason in _PERHAPS_OURS | {Reason.NUMBER_TAKEN}
        ]
        ours = await self._all_ours_after_all(taken)
        blame = Blame(self._client, self._company)
        told: list[Posted | ProviderError] = []
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, ProviderRejectedError):
                told.append(ours.get(write.key) or await blame.explained(write, outcome))
            else:
                told.append(outcome)
        return told

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists: by what only it can have."""
        return await lookup.look_up(self._client, write, home_currency=self._home)

    async def look_up_many(self, writes: Sequence[PreparedWrite]) -> Sequence[Posted | ProviderError | None]:
        """Look several up: one call for up to a thousand numbers, references or ids that fit one address."""
        return await lookup.look_up_many(self._client, writes, home_currency=self._home)

    async def read_back(self, kind: DocumentKind, external_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Read documents of ours again by their ids."""
        return await reading.read_back(self._client, kind, external_ids, home_currency=self._home)

    async def list_changes(self, mark: str, *, now: datetime) -> Changes:
        """Return what changed: one call for each of the five collections that move money."""
        return await changes.list_changes(self._client, mark, now=now, home_currency=self._home)

    async def read_balance(self, account_id: str) -> int:
        """Return what the account holds, by Xero's trial balance."""
        return await report.read_balance(self._client, guid(account_id), currency=self._home)

    async def read_rate(self, currency: str, day: date) -> str | None:
        """Return None: Xero takes the rate of the invoice's day by itself, and has no list of its rates."""
        del currency, day
        return None

    async def list_sales(self, start: date, end: date) -> list[FoundSale]:
        """Return the posted invoices of these days, and the money received without one."""
        return await reading.list_sales(self._client, start, end, home_currency=self._home)

    async def read_company(self) -> Company:
        """Ask for the organisation."""
        return await organisation.read_organisation(self._client, self._company.external_id)

    async def list_accounts(self) -> list[Account]:
        """Read the whole chart of accounts, archived ones included."""
        return await organisation.list_accounts(self._client)

    async def list_tax_codes(self) -> list[TaxCode]:
        """Read the tax rates that may stand on a sale or a purchase."""
        return await organisation.list_tax_codes(self._client)

    async def create_account(self, name: str, account_type: AccountType, *, key: str) -> Account:
        """Find an account of this name and type or create it.

        Raises:
            ProviderRejectedError: ``NAME_TAKEN`` by an account of another type, ``ACCOUNT_INACTIVE`` when archived.
        """
        wanted = clean_name(name)[:150]
        account_type = organisation.NEAREST.get(account_type, account_type)
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
        made = answers.written_list(reply.body, "Accounts", answers.Account, request_id=reply.request_id)
        if len(made) == 1 and made[0].is_refused:
            raise refusal(made[0].messages, request_id=reply.request_id, status=200)
        created = organisation.account_of(made[0]) if len(made) == 1 and is_guid(made[0].id) else None
        if created is None:
            raise OutcomeUnknownError("the answer names no known account", answered=True, status=200)
        return created

    def document_url(self, kind: DocumentKind, external_id: str) -> str | None:
        """Return the page of a document in Xero; payments are shown on that of what they pay.

        Of a transfer, the id alone does not tell which of two pages it has.
        """
        if kind not in _PAGES or not self._app_base or not is_guid(external_id):
            return None
        return f"{self._app_base}{_PAGES[kind]}{external_id}"

    async def _ours_after_all(self, write: PreparedWrite, refused: ProviderRejectedError) -> Posted | None:
        """After "taken" or "paid already", look whether that was us: Xero forgets its keys, its documents stay."""
        if refused.reason not in _PERHAPS_OURS:
            return None
        try:
            return await self.look_up(write)
        except ProviderError:
            # The refusal stands whatever the question after it brings.
            return None

    async def _all_ours_after_all(self, writes: Sequence[PreparedWrite]) -> dict[str, Posted]:
        """Return those that turn out to be ours, by key. Contacts singly: only that finds a name in other capitals."""
        documents = [write for write in writes if write.kind not in _CONTACTS]
        found: dict[str, Posted] = {}
        for write in writes:
            if write.kind in _CONTACTS and (ours := await self._named_before(write)):
                found[write.key] = ours
        try:
            known = await self.look_up_many(documents) if documents else []
        except ProviderError:
            known = []
        for write, outcome in zip(documents, known, strict=False):
            if isinstance(outcome, Posted):
                found[write.key] = outcome
        return found

    async def _named_before(self, write: PreparedWrite) -> Posted | None:
        try:
            return await self.look_up(write)
        except ProviderError:
            return None
