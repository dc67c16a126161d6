"""Leases where several processes share a PostgreSQL server: the server's clock counts, and nobody waits for oneself."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.db.models import Lane
from core.errors import LeaseLostError
from core.sync import lanes
from core.wiring import open_wiring
from tests.core.sync.conftest import Studio, sale
from tests.runtime import VirtualRuntime

ON_POSTGRES = pytest.mark.parametrize(
    "studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)  # fmt: skip


@ON_POSTGRES
async def test_a_lease_is_renewed_beside_a_unit_of_its_owner_without_waiting(studio: Studio) -> None:
    db = studio.wiring.db
    await studio.pay(sale())
    (claim,) = await lanes.claim_lanes(db, 8)
    async with db.tenant(studio.tenant_id, write=True) as session:
        await lanes.guard(db, session, claim)
        # In a second, where a wait for the lock would take five and end in an error.
        await asyncio.wait_for(lanes.renew(db, claim), 1)


@ON_POSTGRES
async def test_whose_lane_is_in_other_hands_hears_of_it_although_they_are_at_it(studio: Studio) -> None:
    db = studio.wiring.db
    await studio.pay(sale())
    (dead,) = await lanes.claim_lanes(db, 8)
    await lanes.free_lanes(db)
    (ours,) = await lanes.claim_lanes(db, 8)
    async with db.tenant(studio.tenant_id, write=True) as session:
        await lanes.guard(db, session, ours)
        with pytest.raises(LeaseLostError):
            await lanes.renew(db, dead)


@ON_POSTGRES
@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_worker_whose_clock_is_wrong_takes_nobodys_lane_and_keeps_its_own_no_longer(
    studio: Studio, minutes: int
) -> None:
    """F26: by its own clock the lease of the others had ended long ago, or its own would last for ten minutes."""
    wrong = VirtualRuntime(studio.wiring.runtime.now() + timedelta(minutes=minutes))
    await studio.pay(sale())
    async with open_wiring(studio.wiring.settings, runtime=wrong) as off:
        (claim,) = await lanes.claim_lanes(studio.wiring.db, 8)
        assert await lanes.claim_lanes(off.db, 8) == []
        await lanes.release(studio.wiring.db, claim, next_call_at=None)
        (theirs,) = await lanes.claim_lanes(off.db, 8)
        async with studio.wiring.db.system() as session:
            now = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
            until = (await session.get_one(Lane, theirs.connection_id)).lease_until
    assert until is not None
    assert timedelta() < until - now <= lanes.LEASE
