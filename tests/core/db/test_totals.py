"""What the payments page reads instead of every payment always equals a recount, however payments are written."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic import command
from sqlalchemy import delete, func, select, text, update

from core.db.migrate import alembic_config
from core.db.models import Payment, PaymentState, PaymentTotal, PaymentWord, Tenant
from core.db.upsert import upsert
from core.search import index_text
from core.wiring import Wiring
from tests.factories import make_connection, make_tenant
from tests.runtime import START
from tests.sales import make_payment
from tests.totals import check_totals

_CURRENCIES = ("usd", "eur", "jpy")
_TEXTS = ("", "anna", "anna berg", 'o\'neil "quoted" back\\slash', "tab\x01bed", "x" * 200, "groß ślub 💐", '["a","b"]')


async def _pay(wiring: Wiring, tenant_id: UUID, stripe_id: UUID, dice: random.Random) -> Payment:
    return await make_payment(
        wiring,
        tenant_id,
        stripe_id,
        amount=dice.randrange(100_000),
        fee=dice.choice([None, 0, 99]),
        currency=dice.choice(_CURRENCIES),
        state=dice.choice(list(PaymentState)),
        paid_at=START - timedelta(hours=dice.randrange(2_000)),
        refunded_minor=dice.choice([0, 50]),
        search=index_text([dice.choice(_TEXTS), dice.choice(_TEXTS)]),
    )


@pytest.mark.parametrize("seed", range(3))
async def test_totals_and_words_equal_a_recount_whatever_is_written(any_wiring: Wiring, seed: int) -> None:
    dice = random.Random(seed)
    tenants = [(await make_tenant(any_wiring)).id for _ in range(2)]
    stripe = {tenant: (await make_connection(any_wiring, tenant, "stripe")).id for tenant in tenants}
    payments = [await _pay(any_wiring, tenant, stripe[tenant], dice) for tenant in tenants for _ in range(6)]
    assert await check_totals(any_wiring) > 0
    for _ in range(25):
        payment, state = dice.choice(payments), dice.choice(list(PaymentState))
        async with any_wiring.db.tenant(payment.tenant_id, write=True) as session:
            deed = dice.randrange(5)
            if deed == 0:
                row = await session.get(Payment, payment.id)
                if row is not None:
                    row.state, row.refunded_minor, row.currency = state, dice.randrange(90), dice.choice(_CURRENCIES)
            elif deed == 1:
                some = Payment.state == dice.choice(list(PaymentState))
                await session.execute(update(Payment).where(some).values(state=state, fee_minor=7, net_minor=None))
            elif deed == 2:
                await session.execute(delete(Payment).where(Payment.id == payment.id))
            elif deed == 3:
                fresh = {column.name: getattr(payment, column.name) for column in Payment.__table__.columns}
                fresh |= {"id": uuid4(), "search": dice.choice(_TEXTS), "paid_at": START - timedelta(days=deed)}
                await upsert(
                    session, Payment, fresh, key=("tenant_id", "source_id"), update=("search", "paid_at", "book_date")
                )
            else:
                moved = payment.book_date - timedelta(days=dice.randrange(60))
                await session.execute(update(Payment).where(Payment.id == payment.id).values(book_date=moved))
    assert await check_totals(any_wiring) > 0


async def test_what_is_rolled_back_counts_nowhere(any_wiring: Wiring) -> None:
    tenant = await make_tenant(any_wiring)
    stripe = await make_connection(any_wiring, tenant.id, "stripe")
    payment = await make_payment(any_wiring, tenant.id, stripe.id)

    async def change_and_fail() -> None:
        async with any_wiring.db.tenant(tenant.id, write=True) as session:
            await session.execute(update(Payment).values(state=PaymentState.IGNORED, search="other words"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_and_fail()
    assert payment.state is PaymentState.SYNCED
    await check_totals(any_wiring)


@pytest.mark.postgres
async def test_transactions_that_change_the_same_day_do_not_wait_for_each_other(postgres_wiring: Wiring) -> None:
    """In opposite orders, which would be a deadlock if one total were one row."""
    wiring, dice = postgres_wiring, random.Random(1)
    tenant = await make_tenant(wiring)
    stripe = await make_connection(wiring, tenant.id, "stripe")
    days = [START - timedelta(days=1), START - timedelta(days=40)]
    made = [[await make_payment(wiring, tenant.id, stripe.id, paid_at=day) for day in days] for _ in range(4)]
    met = asyncio.Barrier(len(made))

    async def change(payments: list[Payment], state: PaymentState) -> None:
        async with wiring.db.tenant(tenant.id, write=True) as session:
            for payment in payments:
                await session.execute(update(Payment).where(Payment.id == payment.id).values(state=state))
                await met.wait()

    for state in (PaymentState.WAITING, PaymentState.SYNCING, PaymentState.SYNCED) * 2:
        orders = [pair if dice.random() < 0.5 else pair[::-1] for pair in made]
        orders[0], orders[1] = made[0], made[1][::-1]
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for pair in orders:
                group.create_task(change(pair, state))
        await check_totals(wiring)
    async with wiring.db.tenant(tenant.id) as session:
        places = select(PaymentTotal.span, PaymentTotal.first_day, PaymentTotal.state, func.count()).group_by(
            PaymentTotal.span, PaymentTotal.first_day, PaymentTotal.state
        )
        assert max(count for *_, count in await session.execute(places)) <= len(made) + 1


async def test_a_removed_workspace_takes_its_totals_and_words_with_it(any_wiring: Wiring) -> None:
    tenant = await make_tenant(any_wiring)
    stripe = await make_connection(any_wiring, tenant.id, "stripe")
    payment = await make_payment(any_wiring, tenant.id, stripe.id)
    async with any_wiring.db.system(write=True) as session:
        await session.execute(delete(Payment).where(Payment.id == payment.id))
        await session.execute(delete(PaymentTotal))
        await session.execute(update(Payment).values(state=PaymentState.WAITING))
    other = await make_payment(any_wiring, tenant.id, stripe.id)
    async with any_wiring.db.system(write=True) as session:
        assert other.tenant_id == tenant.id
        await session.execute(text("DELETE FROM payment"))
        await session.execute(text("DELETE FROM customer"))
        await session.execute(delete(Tenant).where(Tenant.id == tenant.id))
    async with any_wiring.db.system() as session:
        assert await session.scalar(select(func.count()).select_from(PaymentTotal)) == 0
        assert await session.scalar(select(func.count()).select_from(PaymentWord)) == 0


async def test_the_migration_counts_and_splits_what_is_there(any_wiring: Wiring, tmp_path: Path) -> None:
    tenant = await make_tenant(any_wiring)
    stripe = await make_connection(any_wiring, tenant.id, "stripe")
    dice = random.Random(5)
    for _ in range(5):
        await _pay(any_wiring, tenant.id, stripe.id, dice)
    old = await make_payment(any_wiring, tenant.id, stripe.id, search="grace o'neil  1,234.50 1234.50 pi_1")
    config = alembic_config(any_wiring.settings.database_url)
    await any_wiring.db.engine.dispose()
    await asyncio.to_thread(command.downgrade, config, "c41d7a90be26")
    await asyncio.to_thread(command.upgrade, config, "head")
    await check_totals(any_wiring)
    async with any_wiring.db.tenant(tenant.id) as session:
        found = (await session.execute(select(PaymentWord.word).where(PaymentWord.payment_id == old.id))).scalars()
        assert set(found) == {"grace", "o'neil", "neil", "1,234.50", "1234.50", "pi_1"}
