"""Holds the kept totals and words against a recount of every payment, all workspaces together."""

from collections import Counter
from typing import Any

from sqlalchemy import select

from core.db.models import Payment, PaymentTotal, PaymentWord, Span
from core.search import MAX_WORD
from core.wiring import Wiring


async def check_totals(wiring: Wiring) -> int:
    """Fail where what is kept is not what is there; return how many totals there are."""
    async with wiring.db.system() as session:  # every workspace: the triggers do not know them apart
        payments = (await session.execute(select(Payment))).scalars().all()
        kept = (await session.execute(select(PaymentTotal))).scalars().all()
        words = (await session.execute(select(PaymentWord))).scalars().all()
    found: Counter[Any] = Counter()
    for row in kept:
        place = (row.tenant_id, row.span, row.first_day, row.state, row.currency, row.settled_currency)
        _add(found, place, (row.payments, row.gross_minor, row.fee_minor, row.refunded_minor))
    counted: Counter[Any] = Counter()
    for payment in payments:
        gross = payment.amount_minor if payment.settled_minor is None else payment.settled_minor
        amounts = (1, gross, payment.fee_minor or 0, payment.refunded_minor)
        for span, day in ((Span.DAY, payment.book_date), (Span.MONTH, payment.book_date.replace(day=1))):
            settled_in = payment.settled_currency or payment.currency
            _add(counted, (payment.tenant_id, span, day, payment.state, payment.currency, settled_in), amounts)
    assert {place: value for place, value in found.items() if value} == {
        place: value for place, value in counted.items() if value
    }
    expected = {
        (payment.tenant_id, word[:MAX_WORD], payment.paid_at, payment.id)
        for payment in payments
        for word in payment.search.split(" ")
        if word
    }
    assert {(row.tenant_id, row.word, row.paid_at, row.payment_id) for row in words} == expected
    return len(kept)


def _add(counter: Counter[Any], place: tuple[Any, ...], amounts: tuple[int, ...]) -> None:
    for name, amount in zip(("payments", "gross", "fee", "refunded"), amounts, strict=True):
        counter[(*place, name)] += amount
