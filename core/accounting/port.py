"""The port to a set of books, and what passes through it.

Three calls do the everyday job whole: :meth:`~AccountingProvider.sync_customer`,
:meth:`~AccountingProvider.create_invoice` and :meth:`~AccountingProvider.record_payment`. The sync engine uses the same
acts in two halves, because every write must have a committed intent before it: ``prepare`` gives the exact bytes, the
engine commits them, ``execute`` sends them, and after any doubt ``look_up`` asks the books by the lasting reference.

An adapter raises only the classes of :mod:`core.errors`:

- ``NotSentError``: no byte left; ``OutcomeUnknownError``: it may have happened; ``RateLimitedError``,
  ``ProviderUnavailableError``: not executed, come back later; ``AccessExpiredError``: 401; ``ReconnectRequiredError``;
- ``ProviderRejectedError(reason, ...)``: a definite refusal, nothing was written. ``look_up`` raises it with
  ``NUMBER_TAKEN``, ``NAME_TAKEN``, ``CUSTOMER_INACTIVE`` or ``CHANGED_IN_BOOKS`` when something else stands there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from core.books.documents import Customer, Document, DocumentKind, Invoice, Item, MoneyDocument, Payee, Payment
from core.errors import ProviderError


class AccountType(StrEnum):
    """Account types in the provider-neutral words that the mapping page filters by."""

    BANK = "bank"
    RECEIVABLE = "receivable"
    CURRENT_ASSET = "current_asset"
    OTHER_ASSET = "other_asset"
    PAYABLE = "payable"
    CREDIT_CARD = "credit_card"
    CURRENT_LIABILITY = "current_liability"
    OTHER_LIABILITY = "other_liability"
    EQUITY = "equity"
    INCOME = "income"
    OTHER_INCOME = "other_income"
    EXPENSE = "expense"
    OTHER_EXPENSE = "other_expense"


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the chart of accounts, as read from the books."""

    external_id: str
    name: str
    number: str | None
    type: AccountType
    currency: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class TaxCode:
    """One tax code. ``rate_ppm``: parts per million (20 % = 200 000), None if only the books know.

    ``on_sales`` and ``on_purchases`` say where the books let it stand: on what clients pay, on what Stripe takes.
    """

    external_id: str
    name: str
    rate_ppm: int | None
    active: bool
    rate_external_id: str | None = None
    on_sales: bool = True
    on_purchases: bool = True


@dataclass(frozen=True, slots=True)
class Company:
    """Whose books these are, and what of them changes how a document must be written.

    ``options`` holds provider-specific switches (strings only) that the adapter itself reads back, e.g. whether the
    company numbers documents by itself; it is stored with the connection and given back when the adapter is opened.
    """

    external_id: str
    name: str
    country: str
    home_currency: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PreparedWrite:
    """One write, frozen: the very bytes that will be sent, under which key, and how to find it again.

    Attributes:
        step: the document's step.
        key: idempotency key, derived from the business fact; the same for every repeat of these bytes.
        reference: lasting identity inside the document (DocNumber, PaymentRefNum, DisplayName ...).
        path: provider path below the connection's base, without key.
        body: exact bytes.
        total_minor: what the books must answer as the total; None for objects without money.
        currency: of the total.
        party_id: external id of the customer that the answer must name, where the document has one.
        home_minor: what the books must arrive at in their own currency, for the money of a foreign sale.
    """

    kind: DocumentKind
    step: str
    key: str
    reference: str
    path: str
    body: bytes
    total_minor: int | None
    currency: str
    party_id: str | None = None
    home_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """What stands in the books, read from the provider's answer.

    ``total_minor`` is the books' own total, never judged by the adapter: the caller compares it with the write's. Of a
    payment it is what is applied to the invoice that was meant, so money left unapplied shows as a difference.
    ``home_minor`` is what the money of a foreign sale came to in the books' own currency, where the answer says so.
    """

    external_id: str
    number: str | None
    version: str | None
    total_minor: int | None
    currency: str | None
    party_id: str | None
    request_id: str | None = None
    home_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A document of ours as it stands when it is read back, for the proof.

    Attributes:
        stands: False when it was voided or deleted, or when the books know no such id.
        total_minor: its total now; 0 for a voided one; None where the books did not say.
        changed_at: when it was last changed there, as far as the books tell.
        is_void: it does not stand, but an empty document is still there under its id.
        version: what a write that changes it must name, where the books count versions: QuickBooks' ``SyncToken``.
        open_minor: what is still open on an invoice or a credit note, or not applied of a payment; None: not told.
        effects: what it does to the accounts that it moves money on, by their ids, in minor units of the books' own
            currency, debit positive; None where the books did not say.
    """

    external_id: str
    number: str | None
    stands: bool
    total_minor: int | None
    currency: str | None
    date: date | None
    changed_at: datetime | None = None
    is_void: bool = False
    version: str | None = None
    open_minor: int | None = None
    effects: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A document that somebody, perhaps we, wrote, changed or removed since the books were last asked.

    Attributes:
        kinds: which of our kinds it can be; empty for what we never write, such as a journal entry.
        word: what the books call it, e.g. ``Journal entry``.
        texts: what its maker wrote on it; a reference of ours would stand there.
    """

    standing: Standing
    kinds: frozenset[DocumentKind]
    word: str
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in the books. ``mark`` is where the next question begins.

    ``is_whole`` is False when more has changed than the books tell: then only reading everything back helps.
    """

    rows: tuple[Change, ...]
    mark: str
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class FoundSale:
    """A sale in the books, made by anybody, to compare with ours. ``note``: its reference and memo."""

    kind: DocumentKind
    external_id: str
    number: str | None
    date: date
    total_minor: int
    currency: str
    customer_name: str
    note: str


@dataclass(frozen=True, slots=True)
class AccountingInvoice:
    """An invoice in the books: its id there, its number, its total and what is still open."""

    external_id: str
    number: str | None
    total_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast one connection may be called, and how long the books take to show a late write.

    Attributes:
        calls_per_second: our own pace for one connection.
        settling_s: after an unclear send, wait so long before a look-up that found nothing is believed.
        together: how many documents of a kind may travel in one call; kinds that are missing travel alone.
        together_from: how many must wait before they do; below, they go singly.
        batches_per_second: pace of calls that carry several; None: like any other call.
        found_first: kinds that no uniqueness of the books guards: looked up before every send, the first included.
        burst: how many calls may follow each other at once, after as long a rest; the pace above is the long run's.
        calls_per_day: how many calls the books take from us on one day; None: they name no such limit.
        changes_every: how often the books are asked what changed, when nobody asks for it.
        changes_reach: how far back they tell changes; None: as far as anybody asks.
        changes_hide: kinds of which the books may not tell every change: those are read back as well.
    """

    calls_per_second: float
    settling_s: float
    together: Mapping[DocumentKind, int] = field(default_factory=dict)
    together_from: int = 2
    batches_per_second: float | None = None
    found_first: frozenset[DocumentKind] = frozenset()
    burst: int = 1
    calls_per_day: int | None = None
    changes_every: timedelta = timedelta(days=1)
    changes_reach: timedelta | None = None
    changes_hide: frozenset[DocumentKind] = frozenset()


class AccountingProvider(Protocol):
    """One opened set of books: an adapter bound to one connection's token and company."""

    name: str
    limits: Limits

    @property
    def calls(self) -> int:
        """How many requests this opened set of books has made to the provider so far, reads included."""
        ...

    async def sync_customer(self, customer: Customer) -> str:
        """Find or create the customer; return its id in the books. Safe to repeat."""
        ...

    async def create_invoice(self, invoice: Invoice, *, customer_id: str) -> AccountingInvoice:
        """Create the invoice (and the items its lines need) once; a repeat returns the first one."""
        ...

    async def record_payment(self, payment: Payment, *, customer_id: str, invoice_id: str) -> Posted:
        """Record the payment against the invoice once; a repeat returns the first one."""
        ...

    def parts(self, document: MoneyDocument) -> Sequence[MoneyDocument]:
        """Return the documents that these books take for ``document``, in order; usually itself. Pure.

        Xero takes a refund as a credit note and its repayment. A later part may need the step of an earlier one.
        """
        ...

    def supporting(self, document: Document) -> Sequence[Item | Payee]:
        """Objects that must exist before ``document``, besides its customer.

        QuickBooks needs an item per (service, account) of a sale; whoever wants a payee on expenses names it here.
        """
        ...

    def prepare(self, document: Document, *, key: str, ids: Mapping[str, str], revision: int = 0) -> PreparedWrite:
        """Freeze ``document`` into bytes. Pure: same arguments, same bytes.

        Args:
            document: what to write.
            key: idempotency key, at most 36 characters of ``[A-Za-z0-9-]``.
            ids: external id of each step that the document needs.
            revision: 0 first; for a customer or item the next higher one is the next candidate name.
        """
        ...

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Send the frozen bytes under their key; return what the books answered. Never repeats by itself.

        Args:
            write: what was frozen.
            send: which sending of these bytes this is. The same number again is a repeat, to be recognised by the
                provider; the next one follows a look-up that found nothing. Xero caches an error under its key, so
                there the number is part of the key; QuickBooks wants the same key for ever.
        """
        ...

    async def execute_many(
        self, writes: Sequence[PreparedWrite], *, key: str, send: int = 1
    ) -> Sequence[Posted | ProviderError]:
        """Send several frozen writes of one kind in one call; say for each how it ended, in their order.

        Matched by reference or member id, never by position alone; a member missing in the answer is an
        ``OutcomeUnknownError``. Must be called with the very same writes and key to repeat a call.

        Args:
            writes: at most ``limits.together[kind]`` of one kind, none of which depends on another.
            key: idempotency key of the whole call, at most 36 characters of ``[A-Za-z0-9-]``.
            send: as in :meth:`execute`.

        Raises:
            ProviderError: when the call as a whole failed; it then holds for every member alike.
        """
        ...

    async def look_up(self, write: PreparedWrite) -> Posted | None:
        """Ask the books whether the write exists, by its reference; None when it does not."""
        ...

    async def look_up_many(self, writes: Sequence[PreparedWrite]) -> Sequence[Posted | ProviderError | None]:
        """Look several writes of one kind up, with as few calls as the books allow; in their order."""
        ...

    async def read_back(self, kind: DocumentKind, external_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Read documents of ours again by their ids, with as few calls as the books allow; an entry for each id."""
        ...

    async def list_changes(self, mark: str, *, now: datetime) -> Changes:
        """Return what changed in the books since an earlier answer, whoever did it, with as few calls as they allow.

        The same change may be told again: each question reaches a few minutes behind ``mark``.

        Args:
            mark: of the answer before; "" to begin: nothing is asked, and the mark of ``now`` comes back.
            now: our own time.

        Raises:
            ProviderRejectedError: ``OUR_FAULT`` for a mark that these books never gave, or one beyond
                ``limits.changes_reach``.
        """
        ...

    async def read_balance(self, account_id: str) -> int:
        """Return what the account holds now by the books themselves, in minor units, debit positive."""
        ...

    async def read_rate(self, currency: str, day: date) -> str | None:
        """Return the books' own rate of a foreign currency on a day: home units for one unit of it, as decimal text.

        None: the books apply their rate by themselves to a foreign invoice that names none, and tell it nobody.

        Raises:
            ProviderRejectedError: ``CURRENCY_NOT_ENABLED`` when these books do not keep that currency.
        """
        ...

    async def list_sales(self, start: date, end: date) -> list[FoundSale]:
        """Return every invoice and sales receipt dated within the days (both included), whoever made it."""
        ...

    async def read_company(self) -> Company:
        """Ask the provider whose books these are and how they are set up."""
        ...

    async def list_accounts(self) -> list[Account]:
        """Read the whole chart of accounts, archived ones included."""
        ...

    async def list_tax_codes(self) -> list[TaxCode]:
        """Read the tax codes that may stand on a sale or on a purchase."""
        ...

    async def create_account(self, name: str, account_type: AccountType, *, key: str) -> Account:
        """Find an account of this name and type or create it; safe to repeat with the same key."""
        ...

    def document_url(self, kind: DocumentKind, external_id: str) -> str | None:
        """Where a person opens this document in the books; None where there is no such page."""
        ...
