"""The product's commands as real processes. Each is ended by its own id."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import msgspec

from core.config import Settings

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
_PACE_S = 0.05


class Process:
    """``tieout <arguments>`` in a folder of its own, with an environment that holds nothing of this one's."""

    def __init__(self, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._arguments = arguments
        self._folder = folder
        self._env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
        self._log = folder / f"{arguments[0]}.log"
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "web.cli", *self._arguments],
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self, url: str, *, within_s: float = 40) -> None:
        """Wait until ``url`` answers 200."""

        async def answers() -> bool:
            assert self._running is not None
            assert self._running.poll() is None, f"{self._arguments[0]} ended: {self.output}"
            try:
                return (await http.get(url)).status_code == 200
            except httpx.TransportError:
                return False

        async with httpx.AsyncClient() as http:
            await eventually(answers, within_s=within_s)

    async def wait(self, *, within_s: float = 40) -> int:
        """Wait for the end; return the exit code."""
        process = self._running
        assert process is not None
        code: int = await anyio.to_thread.run_sync(lambda: process.wait(within_s))
        return code

    async def run(self) -> int:
        """Start, wait for the end, return the exit code."""
        self.start()
        return await self.wait()

    async def signal(self, name: signal.Signals, *, within_s: float = 40) -> int:
        """Send a signal and wait for the end; return the exit code."""
        assert self._running is not None
        self._running.send_signal(name)
        return await self.wait(within_s=within_s)

    async def stop(self) -> None:
        """End it whatever it is doing."""
        if self._running is not None and self._running.poll() is None:
            await self.signal(signal.SIGKILL)

    @property
    def output(self) -> str:
        """What it wrote so far."""
        return self._log.read_text(errors="replace")


async def eventually(check: Callable[[], Awaitable[T]], *, within_s: float = 10) -> T:
    """Ask until the answer is true; return it."""
    with anyio.fail_after(within_s):
        while not (answer := await check()):  # noqa: ASYNC110 - what is waited for is in another process
            await anyio.sleep(_PACE_S)
    return answer


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def environment(settings: Settings) -> dict[str, str]:
    """Return settings as the variables that a process reads."""
    values = msgspec.structs.asdict(settings)
    return {name.upper(): str(value) for name, value in values.items() if value not in ("", None)}
