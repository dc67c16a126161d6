"""Leases of lanes: who may work on a connection, and what a dead process leaves behind."""

import pytest

from core.errors import LeaseLostError
from core.sync import lanes
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
