"""The processes of one installation, each at its place: started, killed, asked to end, and started again."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx

ROOT = Path(__file__).parents[2]
GRACE_S = 90.0
"""What docs/runbook.md asks a host to wait before SIGKILL."""


@dataclass
class Place:
    """One process of the installation: what it runs, and who runs it now."""

    name: str
    words: list[str]
    env: dict[str, str]
    port: int | None = None
    pid: int | None = None

    @property
    def is_web(self) -> bool:
        """Whether it takes webhooks."""
        return self.port is not None


@dataclass
class Fleet:
    """All places, and the parent that their processes are forked from."""

    folder: Path
    places: list[Place]
    _parent: asyncio.subprocess.Process
    _births: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    _ended: dict[int, "asyncio.Future[int]"] = field(default_factory=dict)
    _ordering: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def webs(self) -> list[Place]:
        """Those that take webhooks."""
        return [place for place in self.places if place.is_web]

    async def start(self, place: Place) -> float:
        """Start a place anew and wait until it is at work; return how long that took."""
        began = time.monotonic()
        async with self._ordering:
            assert self._parent.stdin is not None
            order = {"words": place.words, "env": place.env, "log": str(self.folder / f"{place.name}.log")}
            self._parent.stdin.write(json.dumps(order).encode() + b"\n")
            await self._parent.stdin.drain()
            place.pid = await self._births.get()
        if place.port is not None:
            await self._answers(place, place.port)
        return time.monotonic() - began

    def kill(self, place: Place) -> None:
        """End it now, whatever it is doing."""
        assert place.pid is not None
        os.kill(place.pid, signal.SIGKILL)

    async def end(self, place: Place) -> tuple[int, float]:
        """Ask it to end; return its exit code and how long it took."""
        assert place.pid is not None
        began = time.monotonic()
        os.kill(place.pid, signal.SIGTERM)
        return await self.wait(place), time.monotonic() - began

    async def wait(self, place: Place) -> int:
        """Wait for its death; return the exit code."""
        assert place.pid is not None
        with anyio.fail_after(GRACE_S):
            return await asyncio.shield(self._future(place.pid))

    def output(self) -> str:
        """Return what all of them wrote."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    async def listen(self) -> None:
        """Hear of births and deaths until the parent is gone."""
        assert self._parent.stdout is not None
        async for line in self._parent.stdout:
            told = json.loads(line)
            if "born" in told:
                self._births.put_nowait(told["born"])
            else:
                self._future(told["ended"]).set_result(told["code"])

    async def _answers(self, place: Place, port: int) -> None:
        assert place.pid is not None
        ended = self._future(place.pid)
        async with httpx.AsyncClient() as http:
            with anyio.fail_after(180):
                while not ended.done():
                    try:
                        if (await http.get(f"http://127.0.0.1:{port}/health")).status_code == 200:
                            return
                    except httpx.TransportError:
                        pass
                    await anyio.sleep(0.05)
        raise AssertionError(f"{place.name} does not start: {self.output()[-2000:]}")

    def _future(self, pid: int) -> "asyncio.Future[int]":
        return self._ended.setdefault(pid, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def running_fleet(folder: Path, places: list[Place]) -> AsyncIterator[Fleet]:
    """Start every place; end them all with the block."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kills.nursery",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    fleet = Fleet(folder, places, parent)
    listening = asyncio.create_task(fleet.listen())
    try:
        await asyncio.gather(*(fleet.start(place) for place in places))
        yield fleet
    finally:
        assert parent.stdin is not None
        parent.stdin.close()
        await parent.wait()
        await listening
