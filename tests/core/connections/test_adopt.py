"""After a restore from a backup: the order to look before every first send outlives the sign-in that follows (F31)."""

import pytest

from core.connections.attach import Person
from core.connections.books import refresh_books
from core.connections.consent import begin_consent, finish_consent
from core.db.models import Connection, ConnectionStatus
from core.wiring import Wiring
from tests.factories import make_person
from tests.outside import Outside


@pytest.mark.parametrize("status", [ConnectionStatus.NEEDS_RECONNECT, ConnectionStatus.ACTIVE])
async def test_a_reconnect_and_a_reading_of_the_books_keep_the_order(
    any_wiring: Wiring, status: ConnectionStatus
) -> None:
    outside = Outside(any_wiring)
    wiring = outside.wiring
    made = await make_person(wiring)
    person, realm = Person(made.tenant_id, made.user_id, made.session_hash), await outside.company()

    async def connect() -> None:
        url = await begin_consent(wiring, person, "quickbooks")
        connection_id = await finish_consent(wiring, person, "quickbooks", await outside.consent(url, realm))
        await refresh_books(wiring, tenant_id=person.tenant_id, connection_id=connection_id)
        async with wiring.db.tenant(person.tenant_id, write=True) as session:
            row = await session.get_one(Connection, connection_id)
            told.append(row.options.get("adopt"))
            row.status, row.options = status, {**row.options, "adopt": "yes"}

    told: list[object] = []
    await connect()
    await connect()
    assert told == [None, "yes"]
