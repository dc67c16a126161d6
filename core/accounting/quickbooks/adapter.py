"""QuickBooks behind the port."""

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
from core.accounting.quickbooks import answers, batch, changes, company, freezing, lookup, naming, reading
from core.accounting.quickbooks.blame import Inquiry
from core.accounting.quickbooks.client import QuickBooksClient, is_object_id
from core.accounting.quickbooks.entities import MONEY_KINDS, entity_of
from core.accounting.quickbooks.names import clean_name
from core.accounting.quickbooks.posted import named, posted, written
from core.accounting.quickbooks.queries import ANY_STATE, equals, select
from core.accounting.quickbooks.schemas import AccountBody, encode
from core.books.documents import Customer, Document, DocumentKind, Invoice, Item, MoneyDocument, Payee, Payment
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError, StopError
from core.reasons import Reason

KIND = "quickbooks"


class QuickBooksAdapter:
    """One company of QuickBooks. See :class:`~core.accounting.port.AccountingProvider` for the contract.

    Totals: what is returned is the total that stands in the books, never judged; the caller compares it with
    ``write.total_minor``. Of a payment the total is what is applied to the invoice that was meant, so a payment that
    QuickBooks left unapplied shows as a difference like any other.

    A write's key counts alone; inside :meth:`execute_many` the call's key and the member count. QuickBooks does not
    see that the two are one write, so nothing that was in a batch may be sent alone before a look-up found nothing.
    """

    name = "QuickBooks"
    limits = Limits(
        # Half of QuickBooks' own limit of 10 a second: the tenant has other apps.
        calls_per_second=5.0,
        # A request may run there for 120 s after the line broke, so a look-up is not believed before.
        settling_s=120.0,
        together=dict.fromkeys(MONEY_KINDS, batch.MOST),
        # A batch answers when its last member is done; a few writes are faster one by one.
        together_from=10,
        # 30 of the 40 a minute that QuickBooks takes from one app.
        batches_per_second=0.5,
        changes_reach=changes.REACH,
    )

    def __init__(self, client: QuickBooksClient, *, app_base: str, of: Company) -> None:
        self._client = client
        self._app_base = app_base
        self._company = of
        self._within = acts.namespace(KIND, of.external_id)

    @property
    def calls(self) -> int:
        """How many requests were made, reads included; a batch is one."""
        return self._client.calls

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

    def parts(self, document: MoneyDocument) -> Sequence[MoneyDocument]:
        """Return the document itself: QuickBooks has one of its own for each."""
        return (document,)

    def supporting(self, document: Document) -> Sequence[Item | Payee]:
        """Return one item per (service, account) of sale lines in their order, and the vendor of fees."""
        return freezing.supporting(document, self._company)

    def prepare(self, document: Document, *, key: str, ids: Mapping[str, str], revision: int = 0) -> PreparedWrite:
        """Freeze ``document`` into bytes; refuses as :func:`~core.accounting.quickbooks.freezing.freeze` does."""
        return freezing.freeze(document, self._company, key=key, ids=ids, revision=revision)

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Send the frozen bytes under their key; QuickBooks answers a repeat of the key with the first answer."""
        del send
        try:
            reply = await self._client.write(write.path, write.body, request_id=write.key)
        except ProviderRejectedError as refusal:
            raise await self._inquiry().explained(write, refusal) from refusal
        return written(write, reply.body, reply.request_id, self._company.home_currency)

    async def execute_many(
        self, writes: Sequence[PreparedWrite], *, key: str, send: int = 1
    ) -> Sequence[Posted | ProviderError]:
        """Send up to 25 writes of one kind in one call; say for each how it ended."""
        del send
        body = batch.composed(writes)
        reply = await self._client.write(batch.PATH, body, request_id=key, read_timeout_s=batch.READ_TIMEOUT_S)
        ended = batch.outcomes(writes, reply, self._company.home_currency)
        inquiry = self._inquiry()
        return [
            await inquiry.explained(write, end) if isinstance(end, ProviderRejectedError) else end
            for write, end in zip(writes, ended, strict=True)
        ]

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists.

        A customer of the same name with the same address (or without one) is ours; with another address the name is
        taken. An item is ours when it books to the same account, a vendor when it is active.
        """
        if write.kind not in MONEY_KINDS:
            return await self._look_up_named(write)
        (found,) = await self.look_up_many([write])
        if isinstance(found, ProviderError):
            raise found
        return found

    async def look_up_many(self, writes: Sequence[PreparedWrite]) -> Sequence[Posted | ProviderError | None]:
        """Look several writes up: one question for each kind, and one more for those that it did not find."""
        found: dict[int, Posted | ProviderError | None] = {}
        for kind in dict.fromkeys(write.kind for write in writes):
            places = [place for place, write in enumerate(writes) if write.kind is kind]
            ends = await self._look_up_kind([writes[place] for place in places])
            found.update(zip(places, ends, strict=True))
        return [found[place] for place in range(len(writes))]

    async def read_back(self, kind: DocumentKind, external_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Read documents of ours again by their ids, many with one question."""
        return await reading.read_back(self._client, kind, external_ids, self._company.home_currency)

    async def list_changes(self, mark: str, *, now: datetime) -> Changes:
        """Return what changed, by change data capture: one call, as long as less than a thousand objects did."""
        return await changes.list_changes(self._client, mark, now=now, home_currency=self._company.home_currency)

    async def read_balance(self, account_id: str) -> int:
        """Return the account's ``CurrentBalance``, debit positive."""
        return await reading.read_balance(self._client, account_id, self._company.home_currency)

    async def read_rate(self, currency: str, day: date) -> str | None:
        """Return the company's own rate of the day."""
        return await reading.read_rate(self._client, currency, day, self._company)

    async def list_sales(self, start: date, end: date) -> list[FoundSale]:
        """Return every invoice and sales receipt of the days, whoever made it."""
        return await reading.list_sales(self._client, start, end, self._company.home_currency)

    async def read_company(self) -> Company:
        """Ask CompanyInfo and Preferences, and outside the United States the tax codes."""
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
        """Return the page of a document in QuickBooks; clients, items and payees have none here."""
        page = entity_of(kind).page if kind in MONEY_KINDS else None
        if page is None or not self._app_base or not is_object_id(external_id):
            return None
        return f"{self._app_base}/app/{page}?txnId={external_id}"

    async def _look_up_kind(self, writes: Sequence[PreparedWrite]) -> list[Posted | ProviderError | None]:
        if writes[0].kind not in MONEY_KINDS:
            return [await self._named_or_refused(write) for write in writes]
        rows = await lookup.find(self._client, writes)
        return [self._found(row, write) for write, row in zip(writes, rows, strict=True)]

    async def _look_up_named(self, write: PreparedWrite) -> Posted | None:
        home = self._company.home_currency
        match write.kind:
            case DocumentKind.CUSTOMER:
                customer = await naming.find_customer(self._client, write)
                return named(customer, customer.display_name) if customer else None
            case DocumentKind.PAYEE:
                vendor = await naming.find_payee(self._client, write, home)
                return named(vendor, vendor.display_name) if vendor else None
            case _:
                item = await naming.find_item(self._client, write)
                return named(item, item.name) if item else None

    async def _named_or_refused(self, write: PreparedWrite) -> Posted | ProviderError | None:
        """Of names, a refusal is about one of them; any other error is about the call."""
        try:
            return await self._look_up_named(write)
        except ProviderRejectedError as refused:
            return refused

    def _found(self, row: lookup.Found, write: PreparedWrite) -> Posted | ProviderRejectedError | None:
        if row is None or isinstance(row, ProviderRejectedError):
            return row
        try:
            return posted(row, write, None, self._company.home_currency)
        except OutcomeUnknownError:
            # It stands there, but with an amount that this currency does not have: a person changed it.
            return ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})

    def _inquiry(self) -> Inquiry:
        return Inquiry(self._client, self._company.external_id)
