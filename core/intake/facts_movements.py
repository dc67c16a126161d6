"""What Stripe says beside the payments: refunds, disputes, payouts, and what it holds.

Plain values; amounts in minor units of the currency beside them.
"""

from dataclasses import dataclass
from datetime import date, datetime

from core.intake.facts import Movement

CLOSED_DISPUTES = frozenset({"won", "lost", "warning_closed", "prevented"})
"""Words of Stripe's for a dispute that is over."""


@dataclass(frozen=True, slots=True)
class FetchedRefund:
    """One refund as Stripe shows it now.

    Attributes:
        payment_source_id: the payment intent, or the charge where there is none.
        payment_refunded_minor: what the whole payment gave back so far, in ``currency``; None where the charge was not
            shown beside the refund.
        movements: its balance transactions as far as they were shown: the one that took the money, the one that
            brought it back after a failure.
    """

    stripe_id: str
    payment_source_id: str | None
    charge_id: str | None
    amount_minor: int
    currency: str
    status: str
    stated_reason: str | None
    failure_reason: str | None
    payment_refunded_minor: int | None
    movements: tuple[Movement, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FetchedDispute:
    """One dispute as Stripe shows it now, with its balance transactions in Stripe's order: none, one or two."""

    stripe_id: str
    payment_source_id: str | None
    charge_id: str | None
    amount_minor: int
    currency: str
    status: str
    stated_reason: str | None
    answer_due_at: datetime | None
    is_live: bool
    movements: tuple[Movement, ...]
    created_at: datetime

    @property
    def is_closed(self) -> bool:
        """Whether it is over, one way or another."""
        return self.status in CLOSED_DISPUTES


@dataclass(frozen=True, slots=True)
class FetchedPayout:
    """One payout as Stripe shows it now; ``amount_minor`` is negative when the bank is debited.

    ``bank_name`` and ``bank_last4`` are None where Stripe does not show the account that received it.
    """

    stripe_id: str
    amount_minor: int
    currency: str
    status: str
    arrival_date: date
    automatic: bool
    method: str
    reconciliation_status: str
    bank_name: str | None
    bank_last4: str | None
    trace_id: str | None
    failure_code: str | None
    failure_message: str | None
    is_live: bool
    movements: tuple[Movement, ...]
    created_at: datetime

    @property
    def has_lines(self) -> bool:
        """Whether Stripe can say by now which balance transactions are in it. Of a manual payout it never can."""
        return self.automatic and self.reconciliation_status == "completed"


@dataclass(frozen=True, slots=True)
class FetchedTransaction:
    """One row of Stripe's ledger, with what lies behind it as far as Stripe showed it.

    ``refund`` is the whole refund, or what stands for one; ``payment_source_id`` is what the payment is asked for by.
    """

    movement: Movement
    refund: FetchedRefund | None = None
    payment_source_id: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedBalance:
    """What Stripe holds in one currency; both parts may be negative."""

    currency: str
    available_minor: int
    pending_minor: int

    @property
    def total_minor(self) -> int:
        """Everything that Stripe owes, or is owed."""
        return self.available_minor + self.pending_minor
