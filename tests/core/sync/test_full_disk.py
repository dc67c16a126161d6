"""The disk is full in mid-work: what was acknowledged is stored, nothing is called, and it goes on by itself (F29)."""

import shutil
from pathlib import Path

import anyio
import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.config import Settings
from core.db.models import StripeEvent
from tests.play import Play, playing
from tests.small_disk import fill, small_disk

AMOUNTS = (10_000, 20_000, 30_000)


async def _open(play: Play) -> str:
    """Let one client pay, so that everything that is made once is there."""
    product = await play.product("Portrait session", "Session income", tax="Non-taxable")
    await play.start()
    await _pay(play, product, AMOUNTS[0])
    await play.quiet()
    return product


async def _pay(play: Play, product: str, amount: int) -> None:
    await play.stripe.pay(
        play.business, via="checkout", lines=[{"product": product, "unit_amount": amount}],
        new_customer={"name": "Anna Berg", "email": "anna@example.com"}, capture_method="automatic",
    )  # fmt: skip


async def _all_is_there_once(play: Play) -> None:
    """Let Stripe try again and the worker go on: then every payment stands once; what was acknowledged is stored."""
    await play.pass_time(hours=2, stride_hours=0.5)
    assert [item for item in await play.open_items() if item[0] != "fees"] == []
    ledger = await play.stripe.ledger(play.business)
    gross = sum(row["amount"] for row in ledger.rows)
    assert gross == sum(AMOUNTS)
    assert await play.clearing() == gross
    acked = {one.event for one in await play.stripe.attempts() if one.status == 200}
    # Across tenants: the inbox is the installation's.
    async with play.wiring.db.system() as session:
        stored = list((await session.execute(select(StripeEvent.event_id))).scalars())
    assert acked <= set(stored)
    assert len(stored) == len(set(stored))


async def _statuses(play: Play, since: int) -> set[int | None]:
    return {one.status for one in (await play.stripe.attempts())[since:]}


async def _calls(play: Play) -> int:
    return len([one for one in await play.stripe.log() if one.provider == play.kind and one.method == "POST"])


async def _try_to_work(play: Play) -> None:
    """As the worker's loop does: a pass that fails is logged, and the next one tries again."""
    for _ in range(3):
        try:
            await play.worker.step()
        except (SQLAlchemyError, OSError):
            continue


async def _no_room(play: Play, place: Path) -> None:
    product = await _open(play)
    await _pay(play, product, AMOUNTS[1])
    await play.sandbox.flush()
    filler = await anyio.to_thread.run_sync(fill, place)
    tried, called = len(await play.stripe.attempts()), await _calls(play)
    await _pay(play, product, AMOUNTS[2])
    # What little room is left inside the database's own files is used up first.
    for _ in range(60):
        await play.stripe.resend(play.business)
        await play.sandbox.flush()
        await _try_to_work(play)
        if 503 in await _statuses(play, tried):
            break
        await _write_events(play)
    assert await _statuses(play, tried) <= {200, 503}
    assert 503 in await _statuses(play, tried)
    before = await _calls(play)
    await _try_to_work(play)
    assert await _calls(play) == before, "no intent can be stored, so no call may be made"
    assert called <= before
    filler.unlink()
    await _all_is_there_once(play)


async def _write_events(play: Play) -> None:
    """Use up room as Stripe does: with new events."""
    for number in range(20):
        await play.stripe.create_customer(play.business, name=f"Somebody {number}", metadata={"notes": "x" * 400})
    await play.stripe.set_knobs(twin=True)
    await play.sandbox.flush()


async def test_a_full_disk_stops_everything_and_loses_nothing(
    settings: Settings, tmp_path: Path, migrated_file: Path
) -> None:
    place = tmp_path / "small"
    with small_disk(place, 12) as is_small:
        if not is_small:
            pytest.skip("a small disk can be mounted by root alone, where the machine allows it")
        shutil.copyfile(migrated_file, place / "tieout.db")
        on_it = msgspec.structs.replace(settings, database_url=f"sqlite:///{place / 'tieout.db'}")
        async with playing(on_it, "quickbooks", tmp_path) as play:
            await _no_room(play, place)
