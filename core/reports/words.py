"""Why a payment is where it is, in the reader's words, with the one thing to do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from core.db.models import AttemptOutcome, PaymentState
from core.money import MoneyError, to_decimal
from core.reasons import WORDING, Reason, Wording
from core.reports.standing import Standing

FAILED = frozenset(
    {
        AttemptOutcome.NOT_SENT,
        AttemptOutcome.UNKNOWN,
        AttemptOutcome.RATE_LIMITED,
        AttemptOutcome.UNAVAILABLE,
        AttemptOutcome.REJECTED,
        AttemptOutcome.DIFFERENT,
    }
)
"""Outcomes that count as a try that did not get through."""

_SILENT_STATES = (PaymentState.SYNCED, PaymentState.UNDONE)
_DATE_LENGTH = len("2000-01-01")


@dataclass(frozen=True, slots=True)
class Why:
    """The filled wording of a payment's reason. ``until`` is when we go on by ourselves, where that is known."""

    reason: Reason
    wording: Wording
    until: datetime | None = None


def explain(
    standing: Standing,
    *,
    state: PaymentState,
    reason: Reason | None,
    detail: Mapping[str, object],
    next_try_at: datetime | None,
    client: str,
    service: str,
) -> Why | None:
    """Say why a payment stands where it stands; None where there is nothing to say.

    What holds up everything (a pause, a lost sign-in) is stored once, with the connection, and is said here for each
    payment that waits for it.
    """
    if state in _SILENT_STATES:
        return None
    until = next_try_at
    books = standing.books
    if state is PaymentState.WAITING and reason in (None, Reason.RATE_LIMITED, Reason.PROVIDER_DOWN):
        if books is not None and books.needs_reconnect:
            reason, until = Reason.RECONNECT_BOOKS, None
        elif books is not None and books.paused_until is not None:
            reason, until = reason or books.pause_reason or Reason.PROVIDER_DOWN, books.paused_until
    if reason is None:
        return None
    values = {"client": client, "service": service, "books": standing.books_name, **readable(detail)}
    return Why(reason, WORDING[reason].filled({name: value for name, value in values.items() if value}), until)


def can_retry(standing: Standing, *, state: PaymentState, reason: Reason | None, next_try_at: datetime | None) -> bool:
    """Return whether asking for another try does anything: it stopped, was left out, or waits for its own next try."""
    if state is PaymentState.IGNORED:
        return reason is Reason.IGNORED_BY_PERSON
    is_held_up = standing.books is None or standing.books.needs_reconnect or standing.books.paused_until is not None
    if state is PaymentState.WAITING:
        return next_try_at is not None and not is_held_up
    return state is PaymentState.NEEDS_ATTENTION


def can_ignore(state: PaymentState) -> bool:
    """Return whether a person may leave the payment out of the books: nothing of it stands there yet."""
    return state in (PaymentState.WAITING, PaymentState.NEEDS_ATTENTION)


def readable(detail: Mapping[str, object]) -> dict[str, object]:
    """Return the stored parameters as people read them: amounts with their currency, days with their month.

    ``found_minor`` and ``currency`` become ``found``; ``2026-10-30`` becomes ``October 30, 2026``.
    """
    currency = str(detail.get("currency") or "")
    values: dict[str, object] = {}
    for name, value in detail.items():
        if name.endswith("_minor") and isinstance(value, int):
            values[name.removesuffix("_minor")] = _amount(value, currency)
        elif value:
            values[name] = _day(value) if isinstance(value, str) else value
    if "difference" not in values and {"found_minor", "expected_minor"} <= detail.keys():
        values["difference"] = _amount(abs(_int(detail["found_minor"]) - _int(detail["expected_minor"])), currency)
    return values


def _amount(minor: int, currency: str) -> str:
    try:
        return f"{to_decimal(minor, currency)} {currency.upper()}"
    except MoneyError:
        return str(minor)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _day(text: str) -> str:
    if len(text) != _DATE_LENGTH:
        return text
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{day:%B} {day.day}, {day.year}"
