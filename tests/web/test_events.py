"""The event stream over a real port: it says that something changed, to those who may know, and ends when it must."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from litestar import Litestar

from core.identity.sessions import end_session
from core.live import touch
from core.wiring import Wiring
from tests.factories import Person, make_person
from tests.runtime import VirtualRuntime
from web.app import create_app
from web.live import BEAT_S, MAX_PER_SESSION, LiveHub
from web.server import CalmServer, server_config

PATIENCE_S = 10


@pytest.fixture
def runtime() -> VirtualRuntime:
    """Beats come when the test says so."""
    return VirtualRuntime(skips=False)


async def eventually(is_so: Callable[[], bool]) -> None:
    """Give the server's own loop turns until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.005)


class Stream:
    """One open stream, read event by event; comments are what stands behind the colon."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """Return the next block as field -> value; {} at the end of the stream."""
        block: dict[str, str] = {}
        while True:
            try:
                line = await asyncio.wait_for(anext(self._lines), PATIENCE_S)
            except StopAsyncIteration:
                return block
            if not line and block:
                return block
            if line:
                name, _, value = line.partition(":")
                block[name or "comment"] = value.strip()


class Serving:
    """The application on a port of this machine."""

    def __init__(self, app: Litestar, server: CalmServer, port: int, task: "asyncio.Task[None]") -> None:
        self.app, self.server, self.task = app, server, task
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S)

    @property
    def hub(self) -> LiveHub:
        found: LiveHub = self.app.state.background.live
        return found

    @asynccontextmanager
    async def listen(self, person: Person, path: str = "/events", **headers: str) -> AsyncIterator[Stream]:
        given = {"Host": "tieout.test", "Cookie": f"__Host-session={person.token}", "Accept": "text/event-stream"}
        async with self.http.stream("GET", path, headers={**given, **headers}) as response:
            stream = Stream(response)
            if response.status_code == 200:
                assert await stream.next() == {"comment": "open"}
            yield stream

    async def until(self, streams: int) -> None:
        """Wait until so many streams are open."""
        await eventually(lambda: self.hub.count == streams)


@asynccontextmanager
async def serving(wiring: Wiring) -> AsyncIterator[Serving]:
    app = create_app(wiring.settings, wiring=wiring)
    server = CalmServer(server_config(app, wiring.settings, port=0))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # older uvicorn asks for it
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    found = Serving(app, server, server.servers[0].sockets[0].getsockname()[1], task)
    try:
        yield found
    finally:
        await found.http.aclose()
        server.should_exit = True
        await task


async def change(wiring: Wiring, person: Person) -> None:
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        await touch(session, person.tenant_id)


async def test_a_change_reaches_the_page_of_its_tenant_and_no_other(any_wiring: Wiring) -> None:
    anna, ben = await make_person(any_wiring), await make_person(any_wiring)
    async with serving(any_wiring) as server, server.listen(anna) as hers, server.listen(ben) as his:
        await change(any_wiring, anna)
        assert await hers.next() == {"id": "1", "event": "payments-changed", "data": "1"}
        await change(any_wiring, anna)
        assert (await hers.next())["id"] == "2"
        await change(any_wiring, ben)
        assert (await his.next())["id"] == "1"


async def test_what_was_missed_is_said_at_once(wiring: Wiring) -> None:
    person = await make_person(wiring, tenant={"live_seq": 7})
    async with serving(wiring) as server:
        async with server.listen(person, "/events?since=5") as stream:
            assert (await stream.next())["id"] == "7"
        async with server.listen(person, "/events?since=7", **{"Last-Event-ID": "6"}) as stream:
            assert (await stream.next())["id"] == "7"
        for current in ("/events?since=7", "/events", "/events?since=" + "9" * 60, "/events?since=%C2%B2"):
            async with server.listen(person, current) as stream:
                await change(wiring, await make_person(wiring))
                await server.until(1)
                await wiring.runtime.advance(seconds=BEAT_S)  # type: ignore[attr-defined]  # the tests' clock
                assert await stream.next() == {"comment": "beat"}
            await server.until(0)


async def test_a_lost_hint_is_made_up_for_at_the_next_beat(wiring: Wiring, runtime: VirtualRuntime) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server, server.listen(person, "/events?since=0") as stream:
        await _beat(server, runtime, stream)
        async with wiring.db.tenant(person.tenant_id, write=True) as session:
            await touch(session, person.tenant_id)
            session.info["signals"].clear()
        await runtime.advance(seconds=BEAT_S)
        assert await stream.next() == {"comment": "beat"}
        assert (await stream.next())["id"] == "1"


async def test_a_stream_ends_with_its_session(wiring: Wiring, runtime: VirtualRuntime) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server, server.listen(person) as stream:
        async with wiring.db.open_session(write=True) as session:
            await end_session(session, person.session_hash)
        await runtime.advance(seconds=BEAT_S)
        while block := await stream.next():
            assert block == {"comment": "beat"}
            await runtime.advance(seconds=BEAT_S)
        await server.until(0)


async def test_an_open_page_does_not_keep_its_session_alive(wiring: Wiring, runtime: VirtualRuntime) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server, server.listen(person) as stream:
        await runtime.advance(hours=12, seconds=BEAT_S)
        while block := await stream.next():
            assert block == {"comment": "beat"}
            await runtime.advance(seconds=BEAT_S)
        await server.until(0)


async def test_a_reader_who_leaves_is_forgotten_and_holds_no_connection(wiring: Wiring) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server:
        async with server.listen(person):
            await server.until(1)
            # The stream itself stays open while the connection that it looked with goes back.
            await eventually(lambda: wiring.db.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]  # has a size
            assert server.hub.count == 1
        await server.until(0)


async def test_one_session_has_few_streams_and_the_oldest_goes(wiring: Wiring) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server, server.listen(person) as oldest:
        others = [server.listen(person) for _ in range(MAX_PER_SESSION)]
        for other in others:
            await other.__aenter__()
        assert await oldest.next() == {}
        await server.until(MAX_PER_SESSION)
        for other in reversed(others):
            await other.__aexit__(None, None, None)


async def test_the_server_stops_at_once_though_streams_are_open(wiring: Wiring) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server, server.listen(person) as stream:
        await server.until(1)
        server.server.should_exit = True
        assert await stream.next() == {}
        async with asyncio.timeout(PATIENCE_S):
            await server.task


async def test_nobody_listens_without_a_session(wiring: Wiring) -> None:
    person = await make_person(wiring)
    stranger = Person(person.user_id, person.tenant_id, person.email, "0" * 64)
    async with serving(wiring) as server, server.listen(stranger) as stream:
        assert stream.response.status_code == 401


async def test_headers_keep_proxies_from_collecting(wiring: Wiring) -> None:
    person = await make_person(wiring)
    async with serving(wiring) as server, server.listen(person) as stream:
        headers = stream.response.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"


async def _beat(server: Serving, runtime: VirtualRuntime, stream: Stream) -> None:
    await server.until(1)
    await runtime.advance(seconds=BEAT_S)
    assert await stream.next() == {"comment": "beat"}
