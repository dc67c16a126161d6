"""What Stripe says, as the planners read it: plain values, no database, no Stripe types.

Amounts are ``int`` minor units of the currency beside them; days are the tenant's local days.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from core.books.documents import Customer, LineKind, SaleLine


@dataclass(frozen=True, slots=True)
class FactLine:
    """One part of a payment as Stripe says it. Amounts in minor units of the payment's currency, net of tax."""

    kind: LineKind
    service_id: UUID
    service_name: str
    description: str
    amount_minor: int
    tax_minor: int
    has_tax: bool
    stripe_field: str
    found_by: str


@dataclass(frozen=True, slots=True)
class SaleFacts:
    """One succeeded payment. Settled amounts are None until Stripe has made the balance transaction.

    Attributes:
        invoiced_on: the day of the invoice that it paid; None where it paid none.
        invoice_rate: the books' rate for ``currency`` on the day of the invoice: home units for one foreign unit; None
            where it is not needed, or the books tell nobody.
    """

    source_id: str
    stripe_charge_id: str | None
    stripe_balance_transaction_id: str | None
    amount_minor: int
    currency: str
    settled_minor: int | None
    settled_currency: str | None
    book_date: date
    customer: Customer
    lines: tuple[FactLine, ...]
    invoiced_on: date | None = None
    invoice_rate: str | None = None


@dataclass(frozen=True, slots=True)
class FeePart:
    """One part of a balance transaction's fee; ``type`` is Stripe's word, such as ``stripe_fee``."""

    type: str
    amount_minor: int
    description: str


@dataclass(frozen=True, slots=True)
class BalanceTransactionFacts:
    """One movement of the Stripe balance; ``net = amount - fee``. ``in_scope``: not before the first day."""

    stripe_id: str
    type: str
    reporting_category: str
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    fee_parts: tuple[FeePart, ...]
    source_id: str | None
    payout_id: str | None
    description: str
    book_date: date
    in_scope: bool = True


@dataclass(frozen=True, slots=True)
class OriginalSale:
    """The sale that a refund or dispute goes back to, as it stands in the books or would.

    Attributes:
        lines: in the books' home currency, discounts negative.
        total_minor: their total in the home currency: what the sale brought.
        paid_minor: what the client paid, in ``paid_currency``.
    """

    source_id: str
    customer: Customer
    lines: tuple[SaleLine, ...]
    total_minor: int
    paid_minor: int
    paid_currency: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """One step in the history of what a payment gave back: a refund, or (negative) a refund that came back.

    ``amount_minor`` is in the currency that the client paid in; ``source_id`` names the refund in both cases.
    ``lines`` are what the books hold of it already, a part of the sale's lines in their order; empty: not known.
    """

    source_id: str
    amount_minor: int
    lines: tuple[SaleLine, ...] = ()


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """One refund with everything that moved for it.

    Attributes:
        amount_minor: what the client gets back, in ``currency`` (the client's).
        taken: the balance transaction that took the money; None until Stripe has made it.
        returned: the one that brought it back because the refund failed.
        history: what the same payment gave back before, oldest first; the shares of all refunds of one payment are cut
            from one running total, so that a full refund leaves nothing.
        booked: the lines that the books have taken back for it already, whatever became known since.
    """

    source_id: str
    amount_minor: int
    currency: str
    status: str
    sale: OriginalSale
    taken: BalanceTransactionFacts | None
    returned: BalanceTransactionFacts | None = None
    history: tuple[GivenBack, ...] = ()
    booked: tuple[SaleLine, ...] = ()


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """One dispute. ``movements`` are its balance transactions in Stripe's order; none while no money has moved.

    ``amount_minor`` is in ``currency``, the client's; ``history`` is what the payment gave back before.
    ``sale`` is only needed once the dispute is lost. ``is_loss_booked``: its loss stands in the books, or may stand
    there, whatever an appeal has changed since.
    """

    source_id: str
    amount_minor: int
    currency: str
    status: str
    closed_on: date | None
    sale: OriginalSale | None
    movements: tuple[BalanceTransactionFacts, ...]
    history: tuple[GivenBack, ...] = ()
    is_loss_booked: bool = False


@dataclass(frozen=True, slots=True)
class PayoutFacts:
    """One payout. ``amount_minor`` is negative when the bank is debited.

    ``left`` is the balance transaction that took the money from Stripe's balance, ``returned`` the one that brought it
    back after a failure or a cancellation. ``is_booked``: its transfer stands in the books, or may stand there.
    """

    source_id: str
    amount_minor: int
    currency: str
    status: str
    arrival_date: date
    automatic: bool
    left: BalanceTransactionFacts | None
    returned: BalanceTransactionFacts | None = None
    is_booked: bool = False
