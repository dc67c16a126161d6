"""What QuickBooks answers, as far as we read it. Unknown keys are ignored: new ones appear without notice."""

from decimal import Decimal
from typing import TypeVar

import msgspec

from core.errors import OutcomeUnknownError, ProviderUnavailableError

T = TypeVar("T")

ZERO = Decimal(0)


class _Part(msgspec.Struct, frozen=True, rename="pascal"):
    """One object of an answer."""


class Ref(msgspec.Struct, frozen=True):
    """A reference by id."""

    value: str
    name: str = ""


class Linked(_Part, frozen=True):
    """A link between two transactions."""

    txn_id: str = ""
    txn_type: str = ""


class SalesItem(_Part, frozen=True):
    """What a line of a sale sells."""

    item_ref: Ref | None = None
    tax_code_ref: Ref | None = None


class AccountLine(_Part, frozen=True):
    """Where a line of an expense or a deposit is booked, and who paid it."""

    account_ref: Ref | None = None
    tax_code_ref: Ref | None = None
    entity: Ref | None = None


class JournalLine(_Part, frozen=True):
    """One side of a journal entry."""

    posting_type: str = ""
    account_ref: Ref | None = None


class Line(_Part, frozen=True):
    """A line of any transaction."""

    amount: Decimal | None = None
    linked_txn: tuple[Linked, ...] = ()
    sales_item_line_detail: SalesItem | None = None
    account_based_expense_line_detail: AccountLine | None = None
    deposit_line_detail: AccountLine | None = None
    journal_entry_line_detail: JournalLine | None = None


class MetaData(_Part, frozen=True):
    """When something was written, as text: an odd time must not make a good answer unreadable."""

    last_updated_time: str = ""


class Memo(msgspec.Struct, frozen=True):
    """What the client reads on a sale."""

    value: str = ""


class Transaction(_Part, frozen=True):
    """Any transaction. ``Amount`` is the total of a transfer, ``TotalAmt`` that of the others."""

    id: str
    sync_token: str = ""
    doc_number: str | None = None
    payment_ref_num: str | None = None
    txn_date: str = ""
    private_note: str = ""
    customer_ref: Ref | None = None
    entity_ref: Ref | None = None
    currency_ref: Ref | None = None
    from_account_ref: Ref | None = None
    to_account_ref: Ref | None = None
    deposit_to_account_ref: Ref | None = None
    account_ref: Ref | None = None
    credit: bool = False
    total_amt: Decimal | None = None
    amount: Decimal | None = None
    exchange_rate: Decimal | None = None
    balance: Decimal | None = None
    unapplied_amt: Decimal | None = None
    line: tuple[Line, ...] = ()
    meta_data: MetaData | None = None
    status: str = msgspec.field(name="status", default="")

    @property
    def total(self) -> Decimal | None:
        """What moves."""
        return self.amount if self.total_amt is None else self.total_amt

    @property
    def party_id(self) -> str | None:
        """The customer, or the vendor of an expense."""
        party = self.customer_ref or self.entity_ref
        return party.value if party else None

    @property
    def is_deleted(self) -> bool:
        """Of what was deleted, a list of changes keeps the id alone."""
        return self.status == "Deleted"

    @property
    def is_voided(self) -> bool:
        """QuickBooks empties a voided document and says so at the head of its note."""
        return not self.total and self.private_note.startswith("Voided")


class Sale(Transaction, frozen=True, rename="pascal"):
    """An invoice or a sales receipt with what its maker wrote on it."""

    customer_memo: Memo | None = None


class Email(_Part, frozen=True):
    """One or several addresses, separated by commas."""

    address: str = ""


class Customer(_Part, frozen=True):
    """A client."""

    id: str
    display_name: str = ""
    sync_token: str = ""
    active: bool = True
    primary_email_addr: Email | None = None
    currency_ref: Ref | None = None


class Vendor(_Part, frozen=True):
    """Someone who is paid."""

    id: str
    display_name: str = ""
    sync_token: str = ""
    active: bool = True
    currency_ref: Ref | None = None


class Item(_Part, frozen=True):
    """A product or service."""

    id: str
    name: str = ""
    sync_token: str = ""
    type: str = ""
    active: bool = True
    income_account_ref: Ref | None = None


class Account(_Part, frozen=True):
    """An account of the chart."""

    id: str
    name: str = ""
    fully_qualified_name: str = ""
    acct_num: str | None = None
    account_type: str = ""
    classification: str = ""
    current_balance: Decimal | None = None
    currency_ref: Ref | None = None
    active: bool = True


class RateDetail(_Part, frozen=True):
    """One rate inside a tax code."""

    tax_rate_ref: Ref
    tax_on_tax_order: int = 0


class RateList(_Part, frozen=True):
    """The rates of a tax code on sales."""

    tax_rate_detail: tuple[RateDetail, ...] = ()


class TaxCode(_Part, frozen=True):
    """A tax code."""

    id: str
    name: str = ""
    active: bool = True
    hidden: bool = False
    sales_tax_rate_list: RateList | None = None
    purchase_tax_rate_list: RateList | None = None


class TaxRate(_Part, frozen=True):
    """A tax rate in percent."""

    id: str
    rate_value: Decimal | None = None


class CompanyInfo(_Part, frozen=True):
    """Whose books these are."""

    company_name: str = ""
    legal_name: str = ""
    country: str = ""


class CurrencyPrefs(_Part, frozen=True):
    """Currencies of the company."""

    multi_currency_enabled: bool = False
    home_currency: Ref | None = None


class TaxPrefs(_Part, frozen=True):
    """Sales tax. ``PartnerTaxEnabled`` present means automated sales tax."""

    using_sales_tax: bool = False
    partner_tax_enabled: bool | None = None


class SalesFormsPrefs(_Part, frozen=True):
    """Switches of sales documents."""

    custom_txn_numbers: bool = False


class AccountingInfoPrefs(_Part, frozen=True):
    """``BookCloseDate`` is absent while the books are open."""

    book_close_date: str = ""


class Preferences(_Part, frozen=True):
    """How the company is set up."""

    currency_prefs: CurrencyPrefs = CurrencyPrefs()
    tax_prefs: TaxPrefs = TaxPrefs()
    sales_forms_prefs: SalesFormsPrefs = SalesFormsPrefs()
    accounting_info_prefs: AccountingInfoPrefs = AccountingInfoPrefs()


class ExchangeRate(_Part, frozen=True):
    """What one unit of a currency is worth at home on a day."""

    source_currency_code: str = ""
    target_currency_code: str = ""
    rate: Decimal | None = None


def written(body: bytes, name: str, shape: type[T], *, request_id: str | None) -> T:
    """Return the object called ``name`` from the answer to a write.

    Raises:
        OutcomeUnknownError: the answer is not what was announced: cut off, empty, or of another shape. It may still
            have been written.
    """
    try:
        return _decoded(body, name, shape)
    except ValueError as exc:
        raise OutcomeUnknownError(
            f"QuickBooks answered without a readable {name}", answered=True, request_id=request_id, status=200
        ) from exc


def read_object(body: bytes, name: str, shape: type[T], *, request_id: str | None) -> T:
    """Return the object called ``name`` from the answer to a read.

    Raises:
        ProviderUnavailableError: the answer cannot be read.
    """
    try:
        return _decoded(body, name, shape)
    except ValueError as exc:
        raise ProviderUnavailableError(
            f"QuickBooks answered without a readable {name}", request_id=request_id, status=200
        ) from exc


def read_list(body: bytes, name: str, shape: type[T], *, request_id: str | None) -> list[T]:
    """Return the objects called ``name`` of a query answer; none found is an answer without that key.

    Raises:
        ProviderUnavailableError: the answer cannot be read.
    """
    answer = read_object(body, "QueryResponse", dict[str, msgspec.Raw], request_id=request_id)
    if name not in answer:
        return []
    try:
        rows: list[T] = msgspec.json.decode(answer[name], type=list[shape])  # type: ignore[valid-type]  # a run-time type
    except (ValueError, RecursionError) as exc:
        raise ProviderUnavailableError(
            f"QuickBooks answered without a readable {name}", request_id=request_id, status=200
        ) from exc
    return rows


def _decoded(body: bytes, name: str, shape: type[T]) -> T:
    try:
        envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        # Decimal fields take the digits of the text, never a float.
        return msgspec.json.decode(envelope[name], type=shape)
    except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeDecodeError) as exc:
        raise ValueError(name) from exc
