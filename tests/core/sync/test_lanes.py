"""Leases of lanes: who may work on a connection, and what a dead process leaves behind."""

from datetime import timedelta

import pytest

from core.db.models import Lane
from core.errors import LeaseLostError
from core.sync import lanes
from core.sync.lane_work import LaneWork
from core.sync.worker import SWEEP_S
from tests.core.sync.conftest import Studio, sale


async def test_lanes_of_a_dead_process_are_free_at_once_and_fence_it_off(studio: Studio) -> None:
    db = studio.wiring.db
    await studio.pay(sale())
    (dead,) = await lanes.claim_lanes(db, 8)
    assert await lanes.claim_lanes(db, 8) == []
    await lanes.free_lanes(db)
    (ours,) = await lanes.claim_lanes(db, 8)
    assert ours.connection_id == dead.connection_id
    assert ours.fence > dead.fence
    async with db.tenant(studio.tenant_id, write=True) as session:
        await lanes.guard(db, session, ours)
    with pytest.raises(LeaseLostError):
        async with db.tenant(studio.tenant_id, write=True) as session:
            await lanes.guard(db, session, dead)


async def test_the_lane_of_a_dead_process_has_an_owner_again_within_a_minute(studio: Studio) -> None:
    """Where others live on: with the sweep and room for a slow machine, although it was renewed just before."""
    db = studio.wiring.db
    await studio.pay(sale())
    (dead,) = await lanes.claim_lanes(db, 8)
    async with db.system() as session:
        left, now = (await session.get_one(Lane, dead.connection_id)).lease_until, await db.now(session)
    assert left is not None
    assert timedelta(seconds=2 * lanes.HEARTBEAT_S) < left - now <= timedelta(seconds=60 - 10 * SWEEP_S)


async def test_who_takes_over_from_a_dead_process_spends_no_burst_again(studio: Studio) -> None:
    """The dead one did not say when it called last; five calls of its own at once would make more than a minute's."""
    wiring = studio.wiring
    await studio.pay(sale())
    await lanes.claim_lanes(wiring.db, 8)
    await lanes.free_lanes(wiring.db)
    (claim,) = await lanes.claim_lanes(wiring.db, 8)
    assert await _waits(studio, claim) == pytest.approx([10 / 9] * 4, abs=0.1)


async def test_who_gets_a_lane_that_was_given_back_has_its_burst(studio: Studio) -> None:
    wiring = studio.wiring
    await studio.pay(sale())
    (before,) = await lanes.claim_lanes(wiring.db, 8)
    await lanes.release(wiring.db, before, next_call_at=None)
    (claim,) = await lanes.claim_lanes(wiring.db, 8)
    assert await _waits(studio, claim) == pytest.approx([0] * 4, abs=0.1)


async def _waits(studio: Studio, claim: lanes.Claim) -> list[float]:
    """Return how long each of four calls waits at Xero's pace."""
    lane, waits = LaneWork(studio.wiring, claim, studio.books, 0), []
    for _ in range(4):
        began = studio.runtime.now()
        await lane.pace(0.9, burst=5)
        waits.append((studio.runtime.now() - began).total_seconds())
    return waits
