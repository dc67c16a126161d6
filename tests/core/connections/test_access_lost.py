"""Access that ends at the provider while the worker runs: nothing fails, a person is asked, all goes on after (F17)."""

import pytest
from sqlalchemy import select

from core.connections.attach import Person
from core.connections.consent import begin_consent, finish_consent
from core.db.models import Connection, ConnectionStatus, ItemState, SyncItem
from core.reasons import Reason
from core.sync.worker import Worker
from core.wiring import Wiring
from tests.factories import make_person
from tests.outside import Outside
from tests.runtime import VirtualRuntime


async def _run(worker: Worker) -> None:
    for _ in range(20):
        if not await worker.step():
            return


async def _stand(outside: Outside, person: Person) -> tuple[ConnectionStatus, set[tuple[ItemState, Reason | None]]]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        row = (await session.execute(select(Connection))).scalar_one()
        items = (await session.execute(select(SyncItem))).scalars().all()
    return row.status, {(item.state, item.reason) for item in items}


@pytest.mark.parametrize("kind", ["stripe", "quickbooks"])
async def test_access_that_ends_at_the_provider_is_noticed_and_comes_back(
    wiring: Wiring, runtime: VirtualRuntime, kind: str
) -> None:
    outside = Outside(wiring)
    made = await make_person(outside.wiring)
    person = Person(made.tenant_id, made.user_id, made.session_hash)
    choice = await (outside.business() if kind == "stripe" else outside.company())
    worker = Worker(outside.wiring)

    async def connect() -> None:
        url = await begin_consent(outside.wiring, person, kind)
        await finish_consent(outside.wiring, person, kind, await outside.consent(url, choice))

    await connect()
    await _run(worker)
    assert await _stand(outside, person) == (ConnectionStatus.ACTIVE, {(ItemState.PENDING, None)})

    if kind == "stripe":
        await outside.control("POST", f"/_control/stripe/accounts/{choice}/disconnect")
    else:
        outside.sandbox.quickbooks.world.office.revoke_realm(choice)
    runtime.forward(hours=13)
    await _run(worker)
    reason = Reason.RECONNECT_STRIPE if kind == "stripe" else Reason.RECONNECT_BOOKS
    assert await _stand(outside, person) == (ConnectionStatus.NEEDS_RECONNECT, {(ItemState.BLOCKED, reason)})

    await connect()
    await _run(worker)
    assert await _stand(outside, person) == (ConnectionStatus.ACTIVE, {(ItemState.PENDING, None)})
