"""Canaries in every secret place, happy and failing flows at DEBUG: none of them reaches the log (L2, K6)."""

import io
import json
from collections.abc import Iterator

import pytest
from litestar import get
from sqlalchemy import select

from core.connections.secrets import seal, unseal
from core.crypto import hash_token
from core.db.models import Connection, KnownDevice
from core.db.types import Base
from core.errors import CredentialError
from core.logging import configure_logging
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import Person, make_connection
from web.app import create_app

CANARY = "canary7f3a"
PASSWORD = f"{CANARY} a long password"
EMAIL = f"{CANARY}@example.com"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    yield stream
    configure_logging("warning", tracebacks=True)


async def test_no_secret_and_no_person_reaches_the_log(wiring: Wiring, log: io.StringIO) -> None:
    @get("/test-only/fails", opt={"public": True})
    async def fails() -> None:
        async with wiring.db.open_session(write=True) as session:
            session.add(KnownDevice(token_hash=CANARY, user_id=None, created_at=wiring.runtime.now()))

    app = create_app(wiring.settings, wiring=wiring)
    app.register(fails)
    async with app.lifespan(), Browser(app) as browser:
        form = {"workspace": CANARY, "email": EMAIL, "password": PASSWORD, "zone": "UTC"}
        assert (await browser.post("/sign-up", form)).status_code == 200
        assert (await browser.post("/sign-up", {**form, "zone": CANARY})).status_code == 422
        for password, status in ((f"{CANARY} wrong", 422), (PASSWORD, 303)):
            answer = await browser.post("/sign-in", {"email": EMAIL, "password": password, "next": f"/{CANARY}"})
            assert answer.status_code == status
        secrets = [browser.session_token or "?", await browser.form_token("/step-up")]
        await browser.get(f"/connect/quickbooks/callback?code={CANARY}&state={CANARY}&realmId={CANARY}&error={CANARY}")
        await browser.get(f"/payments?q={CANARY}", headers={"User-Agent": CANARY, "Referer": f"https://x/{CANARY}"})
        await browser.get(f"/{CANARY}")
        await browser.get("/sign-in", headers={"Host": f"{CANARY}.example"})
        await browser.post("/step-up", {"password": CANARY, CANARY: CANARY})
        await browser.http.post("/step-up", content=f"password={CANARY}", headers={"Sec-Fetch-Site": CANARY})
        for path in ("/webhooks/stripe", f"/webhooks/stripe/{CANARY}"):
            body = json.dumps({"id": "evt_1", "data": CANARY})
            await browser.http.post(path, content=body, headers={"Stripe-Signature": f"t=1,v1={CANARY}"})
        assert (await browser.get("/test-only/fails")).status_code == 500
    written = log.getvalue()
    assert '"event": "request"' in written
    assert '"event": "unhandled"' in written
    for secret in (CANARY, *secrets):
        assert secret not in written
    for line in written.splitlines():
        json.loads(line)


async def test_secrets_lie_sealed_or_hashed_in_both_databases(any_wiring: Wiring, owner_of_any: Person) -> None:
    """A dump of every table, searched for what was planted (K3)."""
    row = await make_connection(any_wiring, owner_of_any.tenant_id)
    async with any_wiring.db.tenant(owner_of_any.tenant_id, write=True) as session:
        found = await session.get_one(Connection, row.id)
        found.access_token = seal(any_wiring.keys, found, "access_token", f"{CANARY} access")
        found.refresh_token = seal(any_wiring.keys, found, "refresh_token", f"{CANARY} refresh")
    dump = []
    async with any_wiring.db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            dump += [repr(tuple(cells)) for cells in await connection.execute(select(table))]
    text = "\n".join(dump)
    assert hash_token(owner_of_any.token) in text
    for secret in (CANARY, owner_of_any.token):
        assert secret not in text
        assert secret.encode().hex() not in text


@pytest.fixture
async def owner_of_any(any_wiring: Wiring) -> Person:
    from tests.factories import make_person

    return await make_person(any_wiring)


async def test_a_token_shows_in_no_words(wiring: Wiring, owner: Person) -> None:
    row = await make_connection(wiring, owner.tenant_id)
    row.access_token = seal(wiring.keys, row, "access_token", CANARY)
    other = await make_connection(wiring, owner.tenant_id)
    other.access_token = row.access_token
    with pytest.raises(CredentialError) as moved:
        unseal(wiring.keys, other, "access_token")
    with pytest.raises(CredentialError) as absent:
        unseal(wiring.keys, other, "refresh_token")
    for text in (repr(row), str(row), str(moved.value), repr(moved.value), str(absent.value), repr(wiring.keys)):
        assert CANARY not in text
    assert unseal(wiring.keys, row, "access_token") == CANARY
