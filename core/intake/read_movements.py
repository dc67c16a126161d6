"""From Stripe's objects to the facts of refunds, disputes, payouts and balances. Pure: dictionaries in, facts out.

Only an object without its own id is refused; whatever else is missing or odd reads as nothing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.intake.facts import Movement
from core.intake.facts_movements import (
    FetchedBalance,
    FetchedDispute,
    FetchedPayout,
    FetchedRefund,
    FetchedTransaction,
)
from core.intake.handlers.registry import id_of, is_payment_id
from core.intake.loose import clean_text, dig, integer, rows_of
from core.intake.read_facts import read_movement

_BALANCE = (None, "payments")
"""Balances that the clearing account mirrors; other ones of Stripe's (issuing, prefunding) are not this money."""

_UNDOES_A_CHARGE = frozenset({"charge_failure", "partial_capture_reversal"})
"""Reporting categories whose source may be the charge itself: a bank debit that bounced, a part never captured."""


def read_refund(obj: Mapping[str, Any]) -> FetchedRefund:
    """Read one refund, with its charge and its balance transactions where they were expanded."""
    charge = obj.get("charge")
    refunded = dig(charge, "amount_refunded")
    return FetchedRefund(
        stripe_id=str(obj["id"]),
        payment_source_id=_payment_id(obj),
        charge_id=_id(charge),
        amount_minor=integer(obj.get("amount")),
        currency=_currency(obj),
        status=clean_text(obj.get("status"), 32),
        stated_reason=clean_text(obj.get("reason"), 255) or None,
        failure_reason=clean_text(obj.get("failure_reason"), 255) or None,
        payment_refunded_minor=refunded if isinstance(refunded, int) else None,
        movements=_movements(obj.get("balance_transaction"), obj.get("failure_balance_transaction")),
        created_at=_moment(obj.get("created")),
    )


def read_dispute(obj: Mapping[str, Any]) -> FetchedDispute:
    """Read one dispute; Stripe always shows its balance transactions in whole."""
    due_by = dig(obj, "evidence_details", "due_by")
    return FetchedDispute(
        stripe_id=str(obj["id"]),
        payment_source_id=_payment_id(obj),
        charge_id=_id(obj.get("charge")),
        amount_minor=integer(obj.get("amount")),
        currency=_currency(obj),
        status=clean_text(obj.get("status"), 32),
        stated_reason=clean_text(obj.get("reason"), 255) or None,
        answer_due_at=_moment(due_by) if integer(due_by) else None,
        is_live=bool(obj.get("livemode")),
        movements=_movements(*rows_of(obj.get("balance_transactions"))),
        created_at=_moment(obj.get("created")),
    )


def read_payout(obj: Mapping[str, Any]) -> FetchedPayout:
    """Read one payout. The day of arrival is a date at Stripe: midnight UTC, whatever the tenant's zone."""
    bank = obj.get("destination")
    return FetchedPayout(
        stripe_id=str(obj["id"]),
        amount_minor=integer(obj.get("amount")),
        currency=_currency(obj),
        status=clean_text(obj.get("status"), 32),
        arrival_date=_moment(obj.get("arrival_date") or obj.get("created")).date(),
        automatic=obj.get("automatic") is True,
        method=clean_text(obj.get("method"), 32),
        reconciliation_status=clean_text(obj.get("reconciliation_status"), 32),
        bank_name=clean_text(dig(bank, "bank_name") or dig(bank, "brand"), 120) or None,
        bank_last4=clean_text(dig(bank, "last4"), 8) or None,
        trace_id=clean_text(dig(obj, "trace_id", "value"), 255) or None,
        failure_code=clean_text(obj.get("failure_code"), 120) or None,
        failure_message=clean_text(obj.get("failure_message"), 500) or None,
        is_live=bool(obj.get("livemode")),
        movements=_movements(obj.get("balance_transaction"), obj.get("failure_balance_transaction")),
        created_at=_moment(obj.get("created")),
    )


def read_transaction(row: Mapping[str, Any]) -> FetchedTransaction:
    """Read one row of Stripe's ledger and what lies behind it, where ``source`` was expanded."""
    movement, source = read_movement(row), row.get("source")
    if not isinstance(source, dict):
        plain = movement.source_id
        return FetchedTransaction(movement, payment_source_id=plain if is_payment_id(plain) else None)
    match source.get("object"):
        case "refund":
            return FetchedTransaction(movement, read_refund(source), _payment_id(source))
        case "charge":
            undone = _undone(movement, source) if movement.reporting_category in _UNDOES_A_CHARGE else None
            return FetchedTransaction(movement, undone, _payment_id({**source, "charge": source}))
    return FetchedTransaction(movement, payment_source_id=_payment_id(source))


def _undone(movement: Movement, charge: Mapping[str, Any]) -> FetchedRefund:
    """Read a charge that Stripe took back, in whole or in part, without a refund of its own: it is one to the books."""
    taken = integer(charge.get("amount"))
    if movement.reporting_category == "partial_capture_reversal":
        taken -= integer(charge.get("amount_captured"))
    return FetchedRefund(
        stripe_id=str(charge["id"]),
        payment_source_id=_payment_id({**charge, "charge": charge}),
        charge_id=_id(charge),
        amount_minor=max(taken, 0),
        currency=_currency(charge),
        status="succeeded",
        stated_reason=None,
        failure_reason=clean_text(charge.get("failure_code"), 255) or None,
        payment_refunded_minor=None,
        movements=(),
        created_at=movement.created_at,
    )


def moves_the_balance(row: Mapping[str, Any]) -> bool:
    """Say whether a row of Stripe's ledger is of the balance that payouts come from."""
    return row.get("balance_type") in _BALANCE


def read_balance(obj: Mapping[str, Any]) -> tuple[FetchedBalance, ...]:
    """Read what Stripe holds, one row for each currency."""
    parts = {name: _sums(obj.get(name)) for name in ("available", "pending")}
    currencies = sorted({*parts["available"], *parts["pending"]})
    return tuple(
        FetchedBalance(currency, parts["available"].get(currency, 0), parts["pending"].get(currency, 0))
        for currency in currencies
    )


def _sums(rows: Any) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows_of(rows):
        currency = _currency(row)
        if currency:
            sums[currency] = sums.get(currency, 0) + integer(row.get("amount"))
    return sums


def _movements(*shown: Any) -> tuple[Movement, ...]:
    """Balance transactions that were expanded; an id alone says nothing of the money."""
    return tuple(read_movement(row) for row in shown if isinstance(row, dict))


def _payment_id(obj: Mapping[str, Any]) -> str | None:
    """Return what the money was once paid as. It is asked for later, so it must look like an id (I4)."""
    for value in (id_of(obj.get("payment_intent")), id_of(obj.get("charge"))):
        if is_payment_id(value):
            return value
    return None


def _id(value: Any) -> str | None:
    return clean_text(id_of(value), 255) or None


def _currency(obj: Mapping[str, Any]) -> str:
    return clean_text(obj.get("currency"), 3).lower()


def _moment(value: Any) -> datetime:
    """Return a moment of Stripe's; one that no calendar has counts as the beginning."""
    seconds = integer(value)
    return datetime.fromtimestamp(seconds if 0 <= seconds < 2**37 else 0, UTC)
