"""The line to PostgreSQL is cut in the COMMIT that ends a connection (F28): the tokens are given back all the same."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError, InterfaceError

from core.config import Settings
from core.connections.attach import Person
from core.connections.disconnect import disconnect
from core.wiring import open_wiring
from tests.core.connections.test_disconnect import connect
from tests.cutter import Cut, running_cutter
from tests.factories import make_person
from tests.outside import Outside
from tests.postgres import Cluster
from tests.runtime import VirtualRuntime

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(("where", "ends"), [(Cut.AFTER, True), (Cut.BEFORE, False)])
async def test_the_provider_is_told_where_the_end_stands(
    postgres: Cluster, settings: Settings, runtime: VirtualRuntime, tmp_path: Path, where: Cut, ends: bool
) -> None:
    name = await postgres.new_database()
    async with running_cutter(postgres.port) as cutter:
        url = postgres.url(name).replace(f":{postgres.port}/", f":{cutter.port}/")
        through = msgspec.structs.replace(settings, database_url=url, mock_books_path=str(tmp_path / "books.db"))
        async with open_wiring(through, runtime=runtime) as wiring:
            outside = Outside(wiring)
            made = await make_person(wiring)
            person = Person(made.tenant_id, made.user_id, made.session_hash)
            await connect(outside, person, "quickbooks", await outside.company())
            cutter.arm(where)
            if ends:
                assert await disconnect(outside.wiring, person, "quickbooks")
            else:
                with pytest.raises((DBAPIError, InterfaceError, OSError)):
                    await disconnect(outside.wiring, person, "quickbooks")
                assert await outside.calls("revoke") == []
                assert await disconnect(outside.wiring, person, "quickbooks")
            assert cutter.cuts == 1
            assert len(await outside.calls("revoke")) == 1
    await postgres.take_back(name)
