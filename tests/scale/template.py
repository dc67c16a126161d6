"""One tenant's month, played through the product, as rows: what :mod:`tests.scale.grow` repeats."""

import base64
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_engine, insert, select

from core.config import Settings
from core.db.migrate import upgrade
from core.db.types import Base
from tests.play import Play, playing
from web.sandbox.stripe.inputs import CustomerInput, LineInput

DAYS = 25
A_DAY = 4
REFUND_EVERY = 25
NAMES = ("Anna Berg", "Bela Horvath", "Cora Lindqvist", "Dario Conti", "Elif Demir", "Femi Adeyemi", "Greta Olsen")


async def play_month(settings: Settings, folder: Path) -> int:
    """Play a month on the migrated SQLite file of ``settings`` with QuickBooks; return how many payments it has."""
    async with playing(settings, "quickbooks", folder) as play:
        product = await play.product("Portrait session", "Session income", tax="Non-taxable")
        await play.start()
        for day in range(DAYS):
            await _play_day(play, product, day)
        await play.pass_time(hours=72)
        left = await play.open_items()
        if left:
            raise RuntimeError(f"the month does not end: {left[:3]}")
    return DAYS * A_DAY


async def _play_day(play: Play, product: str, day: int) -> None:
    for number in range(day * A_DAY, (day + 1) * A_DAY):
        paid = await play.stripe.pay(
            play.business,
            via="checkout",
            lines=[LineInput(product=product, unit_amount=12_500 + 100 * number)],
            new_customer=CustomerInput(
                name=f"{NAMES[number % len(NAMES)]} {number}", email=f"client{number}@example.com"
            ),
        )
        if number % REFUND_EVERY == REFUND_EVERY - 1:
            await play.pass_time(hours=1)
            await play.stripe.refund(play.business, str(paid.payment_intent), 2_500)
    await play.pass_time(hours=23)
    if day % 2:
        await play.stripe.payout(play.business, until="paid")
    await play.pass_time(hours=1)


async def copy_of_month() -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Play the month on a file of its own; return the rows of every table, and how many payments they hold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'tieout.db'}"
        settings = Settings(
            app_env="development",
            app_base_url="https://tieout.test",
            database_url=url,
            token_keys=f"k1:{base64.b64encode(bytes(range(32))).decode()}",
            secret_key="a secret of the measurement, long enough",
            stripe_webhook_secrets="whsec_of_the_measurement",
            embedded_worker="no",
        )
        upgrade_in_thread(url)
        payments = await play_month(settings, folder)
        engine = create_engine(url)
        with engine.connect() as connection:
            rows = {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in Base.metadata.sorted_tables
            }
        engine.dispose()
    return rows, payments


def upgrade_in_thread(url: str) -> None:
    """Migrate from within an event loop: Alembic opens one of its own."""
    import threading

    thread = threading.Thread(target=upgrade, args=(url,))
    thread.start()
    thread.join()


def put(connection: Any, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Insert the rows as they are."""
    for table in Base.metadata.sorted_tables:
        assert isinstance(table, Table)
        if rows[table.name]:
            connection.execute(insert(table), rows[table.name])
