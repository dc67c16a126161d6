"""Refreshing tokens: one at a time, validated, committed before use (O6, O7, F13 to F17, K5)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from core.connections.access import access_token, mark_broken, mark_checked, with_access
from core.connections.secrets import seal, unseal
from core.db.engine import make_engine
from core.db.models import Connection, ConnectionMode, ConnectionStatus
from core.db.session import Database
from core.errors import (
    AccessExpiredError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.live import current_seq
from core.wiring import Wiring
from tests.core.connections.conftest import Linked, TokenEndpoint, link, over, refused, tokens
from tests.factories import make_person


async def ask(linked: Linked, refused: str | None = None) -> str:
    return await access_token(
        linked.wiring, tenant_id=linked.tenant_id, connection_id=linked.connection_id, refused=refused
    )


async def test_a_token_with_time_left_is_used_without_a_call(any_wiring: Wiring, endpoint: TokenEndpoint) -> None:
    linked = await link(over(any_wiring, endpoint), endpoint, life_s=300)
    assert await ask(linked) == "access-1"
    assert endpoint.sent == []


async def test_a_token_about_to_end_is_refreshed_and_stored_before_it_is_used(linked: Linked) -> None:
    now = linked.wiring.runtime.now()
    assert await ask(linked) == "access-2"
    row = await linked.row()
    assert row["refreshed_at"] == row["last_checked_at"] == now
    assert row["access_expires_at"] == now + timedelta(hours=1)
    assert row["refresh_lease_until"] is None
    assert b"refresh-2" not in row["refresh_token"]
    assert await ask(linked) == "access-2"
    assert linked.endpoint.sent == ["refresh-1"]


async def test_eight_that_ask_at_once_make_one_call(linked: Linked) -> None:
    assert await asyncio.gather(*(ask(linked) for _ in range(8))) == ["access-2"] * 8
    assert linked.endpoint.sent == ["refresh-1"]


@pytest.mark.postgres
async def test_two_processes_that_ask_at_once_make_one_call(postgres_wiring: Wiring, endpoint: TokenEndpoint) -> None:
    first = await link(over(postgres_wiring, endpoint), endpoint)
    db = Database(make_engine(first.wiring.settings.database_url), first.wiring.runtime, first.wiring.signals)
    second = replace(first, wiring=replace(first.wiring, db=db))
    try:
        got = await asyncio.gather(*(ask(one) for one in (first, second) * 4))
    finally:
        await db.aclose()
    assert got == ["access-2"] * 8
    assert endpoint.sent == ["refresh-1"]


async def test_a_refused_token_is_refreshed_although_it_should_still_live(
    any_wiring: Wiring, endpoint: TokenEndpoint
) -> None:
    linked = await link(over(any_wiring, endpoint), endpoint, life_s=3000)
    assert await asyncio.gather(*(ask(linked, "access-1") for _ in range(4))) == ["access-2"] * 4
    assert endpoint.sent == ["refresh-1"]


async def test_a_refused_token_that_was_replaced_meanwhile_makes_no_call(
    any_wiring: Wiring, endpoint: TokenEndpoint
) -> None:
    linked = await link(over(any_wiring, endpoint), endpoint, life_s=3000)
    assert await ask(linked, "access-0") == "access-1"
    assert endpoint.sent == []


JUNK = {
    "429 with JSON": (httpx.Response(429, json={"Message": "slow down"}), RateLimitedError),
    "429 that looks like tokens": (
        httpx.Response(429, json={"access_token": "a", "refresh_token": "r", "expires_in": 3600}),
        RateLimitedError,
    ),
    "200 {}": (httpx.Response(200, json={}), OutcomeUnknownError),
    "200 list": (httpx.Response(200, json=[1]), OutcomeUnknownError),
    "200 HTML": (httpx.Response(200, html="<h1>Hello</h1>"), OutcomeUnknownError),
    "200 cut": (httpx.Response(200, content=b'{"access_token":"a","refr'), OutcomeUnknownError),
    "200 deep": (httpx.Response(200, content=b"[" * 100_000), OutcomeUnknownError),
    "no refresh token": (tokens(2, refresh_token=None), OutcomeUnknownError),
    "empty access token": (tokens(2, access_token=""), OutcomeUnknownError),
    "access token of another type": (tokens(2, access_token=["a"]), OutcomeUnknownError),
    "no end": (tokens(2, expires_in=None), OutcomeUnknownError),
    "end as text": (tokens(2, expires_in="3600"), OutcomeUnknownError),
    "end at once": (tokens(2, expires_in=0), OutcomeUnknownError),
    "end true": (tokens(2, expires_in=True), OutcomeUnknownError),
    "400 without an error": (httpx.Response(400, json={"message": "invalid_grant"}), ProviderUnavailableError),
    "400 invalid_client": (refused("invalid_client"), ProviderUnavailableError),
    "401 invalid_grant": (httpx.Response(401, json={"error": "invalid_grant"}), ProviderUnavailableError),
    "302 elsewhere": (httpx.Response(302, headers={"Location": "https://evil.example/"}), ProviderUnavailableError),
    "500 HTML": (httpx.Response(500, html="<h1>Oops</h1>"), ProviderUnavailableError),
    "503 invalid_grant": (httpx.Response(503, json={"error": "invalid_grant"}), ProviderUnavailableError),
    "not reached": (httpx.ConnectError("no route"), NotSentError),
    "no answer": (httpx.ReadTimeout("silence"), OutcomeUnknownError),
    "cut off": (httpx.RemoteProtocolError("cut"), OutcomeUnknownError),
}


@pytest.mark.parametrize(("answer", "error"), JUNK.values(), ids=JUNK.keys())
async def test_junk_leaves_what_is_stored_as_it_was(
    linked: Linked, answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    linked.endpoint.replies = [answer]
    before = await linked.row()
    with pytest.raises(error):
        await ask(linked)
    assert await linked.row() == before
    linked.endpoint.replies = [tokens(2)]
    assert await ask(linked) == "access-2"


async def test_a_lost_answer_is_asked_for_once_more_at_once(linked: Linked) -> None:
    linked.endpoint.replies = [httpx.ReadTimeout("silence"), tokens(2)]
    assert await ask(linked) == "access-2"
    assert linked.endpoint.sent == ["refresh-1", "refresh-1"]


async def test_one_invalid_grant_is_not_believed(linked: Linked) -> None:
    linked.endpoint.replies = [refused(), tokens(2)]
    assert await ask(linked) == "access-2"
    assert (await linked.row())["status"] is ConnectionStatus.ACTIVE


async def test_invalid_grant_twice_asks_for_a_person_and_nothing_more_is_called(linked: Linked) -> None:
    linked.endpoint.replies = [refused()]
    async with linked.wiring.db.open_session() as session:
        seen = await current_seq(session, linked.tenant_id)
    with pytest.raises(ReconnectRequiredError):
        await ask(linked)
    row = await linked.row()
    assert row["status"] is ConnectionStatus.NEEDS_RECONNECT
    assert row["broken_at"] is not None
    assert row["refresh_lease_until"] is None
    assert linked.endpoint.sent == ["refresh-1", "refresh-1"]
    async with linked.wiring.db.open_session() as session:
        assert await current_seq(session, linked.tenant_id) > seen
    with pytest.raises(ReconnectRequiredError):
        await ask(linked)
    assert len(linked.endpoint.sent) == 2


async def test_the_second_try_uses_what_another_process_has_stored_meanwhile(linked: Linked) -> None:
    async def rotated_elsewhere(_: httpx.Request) -> httpx.Response:
        def put(row: Connection) -> None:
            row.refresh_token = seal(linked.wiring.keys, row, "refresh_token", "refresh-7")

        await linked.change(put)
        return refused()

    linked.endpoint.replies = [rotated_elsewhere, tokens(8)]
    assert await ask(linked) == "access-8"
    assert linked.endpoint.sent == ["refresh-1", "refresh-7"]


async def test_a_cancelled_caller_does_not_stop_a_refresh_half_way(linked: Linked) -> None:
    started = asyncio.Event()

    async def slow(_: httpx.Request) -> httpx.Response:
        started.set()
        for _ in range(200):
            await asyncio.sleep(0)
        return tokens(2)

    linked.endpoint.replies = [slow]
    caller = asyncio.create_task(ask(linked))
    await started.wait()
    caller.cancel()
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await ask(linked) == "access-2"
    assert linked.endpoint.sent == ["refresh-1"]


async def test_a_dead_process_holds_the_lease_no_longer_than_it_lasts(wiring: Wiring, endpoint: TokenEndpoint) -> None:
    linked = await link(over(wiring, endpoint), endpoint)
    ends = wiring.runtime.now() + timedelta(seconds=40)

    def died(row: Connection) -> None:
        row.refresh_lease_until = ends

    await linked.change(died)
    assert await ask(linked) == "access-2"
    assert wiring.runtime.now() >= ends
    assert endpoint.sent == ["refresh-1"]


async def test_a_refresh_that_ends_after_a_disconnect_stores_nothing(linked: Linked) -> None:
    async def closed_meanwhile(_: httpx.Request) -> httpx.Response:
        def close(row: Connection) -> None:
            row.status, row.access_token, row.refresh_token = ConnectionStatus.CLOSED, None, None
            row.refresh_lease_until = None

        await linked.change(close)
        return tokens(2)

    linked.endpoint.replies = [closed_meanwhile]
    with pytest.raises(ReconnectRequiredError):
        await ask(linked)
    row = await linked.row()
    assert (row["access_token"], row["refresh_token"]) == (None, None)


async def test_a_refresh_that_ends_after_a_reconnect_leaves_the_newer_tokens(linked: Linked) -> None:
    async def reconnected_meanwhile(_: httpx.Request) -> httpx.Response:
        def put(row: Connection) -> None:
            row.access_token = seal(linked.wiring.keys, row, "access_token", "access-9")
            row.refresh_token = seal(linked.wiring.keys, row, "refresh_token", "refresh-9")
            row.access_expires_at = linked.wiring.runtime.now() + timedelta(hours=1)
            row.refresh_lease_until = None

        await linked.change(put)
        return tokens(2)

    linked.endpoint.replies = [reconnected_meanwhile]
    assert await ask(linked) == "access-9"


async def test_a_secret_that_cannot_be_opened_breaks_its_connection_only(linked: Linked) -> None:
    other = await link(linked.wiring, linked.endpoint, life_s=3000)
    stolen = (await linked.row())["access_token"]

    def swap(row: Connection) -> None:
        row.access_token = stolen

    await other.change(swap)
    with pytest.raises(ReconnectRequiredError):
        await ask(other)
    assert (await other.row())["status"] is ConnectionStatus.NEEDS_RECONNECT
    assert await ask(linked) == "access-2"


async def test_a_key_without_end_is_only_opened(any_wiring: Wiring, endpoint: TokenEndpoint) -> None:
    linked = await link(
        over(any_wiring, endpoint),
        endpoint,
        kind="stripe",
        mode=ConnectionMode.RESTRICTED_KEY,
        access_expires_at=None,
    )

    def no_refresh_token(row: Connection) -> None:
        row.refresh_token = None

    await linked.change(no_refresh_token)
    assert await ask(linked) == "access-1"
    with pytest.raises(ReconnectRequiredError):
        await ask(linked, "access-1")
    assert (await linked.row())["status"] is ConnectionStatus.NEEDS_RECONNECT
    assert endpoint.sent == []


async def test_a_foreign_connection_does_not_exist(linked: Linked) -> None:
    stranger = await make_person(linked.wiring)
    with pytest.raises(NotFoundError):
        await access_token(linked.wiring, tenant_id=stranger.tenant_id, connection_id=linked.connection_id)


async def test_a_call_is_repeated_once_with_a_fresh_token_after_401(
    any_wiring: Wiring, endpoint: TokenEndpoint
) -> None:
    linked = await link(over(any_wiring, endpoint), endpoint, life_s=3000)
    used: list[str] = []

    async def call(token: str) -> str:
        used.append(token)
        if len(used) == 1:
            raise AccessExpiredError(status=401)
        return "done"

    ids = {"tenant_id": linked.tenant_id, "connection_id": linked.connection_id}
    assert await with_access(linked.wiring, **ids, call=call) == "done"
    assert used == ["access-1", "access-2"]


async def test_a_second_401_asks_for_a_person(any_wiring: Wiring, endpoint: TokenEndpoint) -> None:
    linked = await link(over(any_wiring, endpoint), endpoint, life_s=3000)

    async def call(token: str) -> str:
        raise AccessExpiredError(status=401)

    ids = {"tenant_id": linked.tenant_id, "connection_id": linked.connection_id}
    with pytest.raises(ReconnectRequiredError):
        await with_access(linked.wiring, **ids, call=call)
    assert (await linked.row())["status"] is ConnectionStatus.NEEDS_RECONNECT
    assert endpoint.sent == ["refresh-1"]


async def test_a_judgement_about_an_older_token_does_not_count(linked: Linked) -> None:
    ids = {"tenant_id": linked.tenant_id, "connection_id": linked.connection_id}
    old = (await linked.row())["access_token"]
    await ask(linked)
    assert not await mark_broken(linked.wiring, **ids, seen=old)
    assert (await linked.row())["status"] is ConnectionStatus.ACTIVE
    assert await mark_broken(linked.wiring, **ids)
    assert not await mark_broken(linked.wiring, **ids)


async def test_a_check_is_noted(linked: Linked) -> None:
    await mark_checked(linked.wiring, tenant_id=linked.tenant_id, connection_id=linked.connection_id)
    assert (await linked.row())["last_checked_at"] == linked.wiring.runtime.now()


async def test_no_secret_shows_in_an_error_or_a_row(linked: Linked) -> None:
    linked.endpoint.replies = [refused()]
    with pytest.raises(ReconnectRequiredError) as failed:
        await ask(linked)
    shown = repr(failed.value) + str(failed.value) + repr(await linked.row())
    for canary in ("access-1", "refresh-1", "script"):
        assert canary not in shown
    async with linked.wiring.db.tenant(linked.tenant_id) as session:
        row = await session.get_one(Connection, linked.connection_id)
    assert unseal(linked.wiring.keys, row, "refresh_token") == "refresh-1"
