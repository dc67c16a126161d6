"""The documents that Tieout puts into a set of books, provider-neutral and frozen.

Amounts are ``int`` minor units of ``currency``. A document names what it needs (a customer, an invoice) by *step*:
a short stable string such as ``customer:8d3f…``. The adapter is given the external id of each step when the document is
prepared, so the same document reads the same on every provider.

Source of the shapes: Tieout's bookkeeping rules (invoice + payment to the Stripe clearing account, booked gross).
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class DocumentKind(StrEnum):
    """Kinds of things written into books. ``CUSTOMER``, ``ITEM`` and ``PAYEE`` support documents and move no money."""

    CUSTOMER = "customer"
    ITEM = "item"
    PAYEE = "payee"
    INVOICE = "invoice"
    PAYMENT = "payment"
    SALES_RECEIPT = "sales_receipt"
    REFUND = "refund"
    CREDIT_NOTE = "credit_note"
    REPAYMENT = "repayment"
    EXPENSE = "expense"
    DEPOSIT = "deposit"
    TRANSFER = "transfer"


MONEY = frozenset(DocumentKind) - {DocumentKind.CUSTOMER, DocumentKind.ITEM, DocumentKind.PAYEE}
"""Kinds that move money; the others only have to exist before them."""


class LineKind(StrEnum):
    """What a sale line stands for. The last two exist only in the books: Stripe's payments have no such lines."""

    SERVICE = "service"
    DISCOUNT = "discount"
    TIP = "tip"
    SHIPPING = "shipping"
    CHARGEBACK = "chargeback"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Why:
    """How one line explains itself: the Stripe field, the arithmetic, the mapping rule with its version and author."""

    stripe_field: str
    arithmetic: str
    rule: str
    mapping_id: str | None = None
    mapping_version: int | None = None
    set_by: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A client as the books should know them. ``customer_id`` is ours and decides the step.

    ``is_foreign``: as who pays in ``currency``, which is not the books' own. Where a client of the books has one
    currency for ever, this is another client than the one who pays in the home currency.
    """

    customer_id: str
    name: str
    email: str | None
    currency: str
    phone: str | None = None
    stripe_customer_id: str | None = None
    is_foreign: bool = False

    kind = DocumentKind.CUSTOMER

    @property
    def step(self) -> str:
        """Stable name of this object among the steps of a connection."""
        return f"customer:{self.customer_id}" + (f":{self.currency.lower()}" if self.is_foreign else "")

    @property
    def needs(self) -> tuple[str, ...]:
        """A customer needs nothing else."""
        return ()


@dataclass(frozen=True, slots=True)
class Item:
    """What QuickBooks calls a service item: the thing on a sales line that carries the income account.

    One per (service, income account): a changed mapping points to another item, never re-points one with history.
    """

    service_id: str
    name: str
    income_account_id: str

    kind = DocumentKind.ITEM

    @property
    def step(self) -> str:
        """Stable name of this object among the steps of a connection."""
        return f"item:{self.service_id}:{self.income_account_id}"

    @property
    def needs(self) -> tuple[str, ...]:
        """An item needs nothing else."""
        return ()


@dataclass(frozen=True, slots=True)
class Payee:
    """Who takes the fees: Stripe, as a vendor or contact of the books. One per connection."""

    name: str
    currency: str

    kind = DocumentKind.PAYEE

    @property
    def step(self) -> str:
        """Stable name of this object among the steps of a connection."""
        return f"payee:{self.name.casefold()}"

    @property
    def needs(self) -> tuple[str, ...]:
        """A payee needs nothing else."""
        return ()


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account as a document names it. ``is_bank``: only between bank accounts does every provider know transfers."""

    external_id: str
    name: str
    is_bank: bool
    number: str | None = None


@dataclass(frozen=True, slots=True)
class SaleLine:
    """One line of an invoice, sales receipt, refund or credit note.

    Attributes:
        amount_minor: net of tax; negative for a discount.
        tax_minor: tax on this line, same sign as the amount.
        tax_code_id: the provider's id of the mapped tax code; None where the books know no tax.
        tax_rate_ppm: the code's rate in parts per million (8.25 % = 82 500), None where unknown.
        tax_rate_id: the provider's id of the rate behind the code (``TaxCode.rate_external_id``), None where unknown.
        income_account_number: the account's own number or code in the chart, None where it has none.
    """

    kind: LineKind
    service_id: str
    service_name: str
    description: str
    amount_minor: int
    tax_minor: int
    income_account_id: str
    income_account_name: str
    tax_code_id: str | None
    tax_code_name: str | None
    tax_rate_ppm: int | None
    why: Why
    tax_rate_id: str | None = None
    income_account_number: str | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sale, gross. ``total_minor`` is what the client paid, to the cent.

    Attributes:
        exchange_rate: of an invoice in another currency than the books': home units for one foreign unit, as the books
            know it for its day. None where the books apply a rate of their own and tell nobody.
        home_minor: what it is worth in ``home_currency``. Without a rate that is what Stripe settled: the books divide
            it into the sale and its exchange difference themselves.
        home_currency: the books' own; None for an invoice in it.
    """

    reference: str
    customer_step: str
    date: date
    currency: str
    lines: tuple[SaleLine, ...]
    memo: str
    exchange_rate: str | None = None
    home_minor: int | None = None
    home_currency: str | None = None

    kind = DocumentKind.INVOICE

    @property
    def step(self) -> str:
        """Name of this document among the steps of its item."""
        return "invoice"

    @property
    def needs(self) -> tuple[str, ...]:
        """The customer comes first."""
        return (self.customer_step,)

    @property
    def net_minor(self) -> int:
        """Sum of the lines before tax."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """Sum of the tax of all lines."""
        return sum(line.tax_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        """Net plus tax."""
        return self.net_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class Payment:
    """The money of one invoice arriving on the Stripe clearing account.

    Attributes:
        amount_minor: in ``currency``, that of the invoice.
        home_minor: what arrives, in ``home_currency``; None where that is ``amount_minor`` itself.
        owed_minor: what the invoice was worth in ``home_currency``; what arrives beyond it is an exchange difference.
        home_currency: the books' own, of a payment in another one.
    """

    reference: str
    customer_step: str
    invoice_step: str
    date: date
    currency: str
    amount_minor: int
    clearing_account_id: str
    clearing_account_name: str
    memo: str
    why: Why
    home_minor: int | None = None
    owed_minor: int | None = None
    home_currency: str | None = None

    kind = DocumentKind.PAYMENT

    @property
    def step(self) -> str:
        """Name of this document among the steps of its item."""
        return "payment"

    @property
    def needs(self) -> tuple[str, ...]:
        """Customer and invoice come first."""
        return (self.customer_step, self.invoice_step)

    @property
    def total_minor(self) -> int:
        """The amount that arrives, in ``currency``."""
        return self.amount_minor


class _Named:
    """A document whose step is chosen by the plan, since one item may hold several of a kind."""

    __slots__ = ()
    name: str

    @property
    def step(self) -> str:
        """Name of this document among the steps of its item."""
        return self.name


class _Sold(_Named):
    """A document of sale lines for a customer."""

    __slots__ = ()
    customer_step: str
    lines: tuple[SaleLine, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """The customer comes first."""
        return (self.customer_step,)

    @property
    def net_minor(self) -> int:
        """Sum of the lines before tax."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """Sum of the tax of all lines."""
        return sum(line.tax_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        """Net plus tax."""
        return self.net_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class SalesReceipt(_Sold):
    """A sale and its money in one document: Dr ``account``, Cr income, Cr tax. No receivable is involved.

    ``name`` is the document's step within its item; one item may hold several documents of one kind.
    """

    reference: str
    customer_step: str
    date: date
    currency: str
    lines: tuple[SaleLine, ...]
    account: AccountRef
    memo: str
    why: Why
    balance_transaction_id: str | None = None
    name: str = "sales_receipt"

    kind = DocumentKind.SALES_RECEIPT


@dataclass(frozen=True, slots=True)
class Refund(_Sold):
    """Money back to a client: Dr income, Dr tax, Cr ``account``. Lines are positive: what is taken back.

    QuickBooks takes it as one document; Xero as a :class:`CreditNote` and its :class:`Repayment`.
    """

    reference: str
    customer_step: str
    date: date
    currency: str
    lines: tuple[SaleLine, ...]
    account: AccountRef
    memo: str
    why: Why
    balance_transaction_id: str | None = None
    name: str = "refund"

    kind = DocumentKind.REFUND


@dataclass(frozen=True, slots=True)
class CreditNote(_Sold):
    """The first half of a refund where the books know no refund receipt: Dr income, Dr tax, Cr receivable."""

    reference: str
    customer_step: str
    date: date
    currency: str
    lines: tuple[SaleLine, ...]
    memo: str
    name: str = "credit_note"

    kind = DocumentKind.CREDIT_NOTE


@dataclass(frozen=True, slots=True)
class Repayment(_Named):
    """The second half: the credit note is paid out. Dr receivable, Cr ``account``."""

    reference: str
    customer_step: str
    credit_note_step: str
    date: date
    currency: str
    amount_minor: int
    account: AccountRef
    memo: str
    why: Why
    balance_transaction_id: str | None = None
    name: str = "repayment"

    kind = DocumentKind.REPAYMENT

    @property
    def needs(self) -> tuple[str, ...]:
        """Customer and credit note come first."""
        return (self.customer_step, self.credit_note_step)

    @property
    def total_minor(self) -> int:
        """The amount that leaves ``account``."""
        return self.amount_minor


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One line of an expense or a deposit: the account on the other side.

    Attributes:
        amount_minor: net of tax, positive.
        tax_minor: input tax on this line where it can be reclaimed, else 0.
        balance_transaction_id: Stripe's ``txn_…`` that the line books, None for the opening entry.
    """

    account: AccountRef
    description: str
    amount_minor: int
    tax_minor: int
    tax_code_id: str | None
    tax_code_name: str | None
    tax_rate_ppm: int | None
    why: Why
    balance_transaction_id: str | None = None
    tax_rate_id: str | None = None


class _Booked(_Named):
    """A document of account lines, with Stripe on the other side."""

    __slots__ = ()
    payee_step: str
    lines: tuple[AccountLine, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """The payee comes first, where the books want one."""
        return (self.payee_step,)

    @property
    def total_minor(self) -> int:
        """What leaves or reaches the account; more than nothing."""
        return sum(line.amount_minor + line.tax_minor for line in self.lines)


@dataclass(frozen=True, slots=True)
class Expense(_Booked):
    """Money that leaves ``account`` for other accounts: Dr each line (and input tax), Cr ``account``."""

    reference: str
    payee_step: str
    date: date
    currency: str
    account: AccountRef
    lines: tuple[AccountLine, ...]
    memo: str
    name: str = "expense"

    kind = DocumentKind.EXPENSE


@dataclass(frozen=True, slots=True)
class Deposit(_Booked):
    """Money that arrives on ``account`` from other accounts: Dr ``account``, Cr each line (and input tax)."""

    reference: str
    payee_step: str
    date: date
    currency: str
    account: AccountRef
    lines: tuple[AccountLine, ...]
    memo: str
    name: str = "deposit"

    kind = DocumentKind.DEPOSIT


@dataclass(frozen=True, slots=True)
class Transfer(_Named):
    """Money between two accounts of the balance sheet: Dr ``to_account``, Cr ``from_account``."""

    reference: str
    payee_step: str
    date: date
    currency: str
    amount_minor: int
    from_account: AccountRef
    to_account: AccountRef
    memo: str
    why: Why
    balance_transaction_id: str | None = None
    name: str = "transfer"

    kind = DocumentKind.TRANSFER

    @property
    def needs(self) -> tuple[str, ...]:
        """The payee comes first, where the books take this as money spent or received."""
        return (self.payee_step,)

    @property
    def total_minor(self) -> int:
        """The amount that moves; more than nothing."""
        return self.amount_minor


Support = Customer | Item | Payee
"""What must exist in the books before a document can name it."""

MoneyDocument = Invoice | Payment | SalesReceipt | Refund | CreditNote | Repayment | Expense | Deposit | Transfer
"""What moves money in the books."""

Document = Support | MoneyDocument
