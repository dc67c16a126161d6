"""The product served on this machine with the sandbox beside it: the demo in one process, or every part alone."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import msgspec

from core.clock import SystemRuntime
from core.config import Settings
from tests.e2e.processes import Process, environment, eventually, free_ports
from tests.postgres import Cluster
from web.demo.run import POSTED, demo_settings
from web.sandbox.client import SandboxClient
from web.sandbox.quickbooks.client import QuickBooksControl


@dataclass(frozen=True, slots=True)
class Site:
    """Addresses and controls. ``web`` is the process that serves the pages."""

    url: str
    web: Process
    stripe: SandboxClient
    quickbooks: QuickBooksControl

    async def has_history(self) -> None:
        """Wait until the demo has posted the weeks that its workspace begins with."""

        async def is_posted() -> bool:
            return POSTED in self.web.output

        await eventually(is_posted, within_s=120)


@asynccontextmanager
async def running_demo(folder: Path) -> AsyncIterator[Site]:
    """What ``make demo`` serves: SQLite, the worker inside, a workspace with a history."""
    port, sandbox_port = free_ports(2)
    demo = Process(folder, "demo", "--port", str(port), "--sandbox-port", str(sandbox_port), "--quiet")
    demo.start()
    try:
        await demo.ready(f"http://localhost:{port}/ready", within_s=60)
        async with _site(demo, port, sandbox_port) as site:
            yield site
    finally:
        await demo.stop()


@asynccontextmanager
async def running_on_sqlite(folder: Path) -> AsyncIterator[Site]:
    """``tieout web`` with the worker inside, and the sandbox as a process of its own, which outlives it."""
    port, sandbox_port = free_ports(2)
    settings = _settings(port, sandbox_port, f"sqlite:///{folder / 'tieout.db'}")
    web = Process(folder, "web", env=environment(settings))
    async with contextlib.AsyncExitStack() as stack:
        await _start_sandbox(stack, folder, port, sandbox_port)
        web.start()
        stack.push_async_callback(web.stop)
        await web.ready(f"http://localhost:{port}/ready")
        yield await stack.enter_async_context(_site(web, port, sandbox_port))


@asynccontextmanager
async def running_on_postgres(folder: Path, cluster: Cluster) -> AsyncIterator[Site]:
    """``tieout migrate``, then ``tieout web`` without a worker and ``tieout worker``, as in production."""
    port, sandbox_port = free_ports(2)
    name = f"e2e_{port}"
    await _execute(cluster, f'CREATE DATABASE "{name}"')
    settings = msgspec.structs.replace(_settings(port, sandbox_port, cluster.url(name)), embedded_worker="no")
    env = environment(settings)
    web, worker = Process(folder, "web", env=env), Process(folder, "worker", env=env)
    assert await worker.run() == 2, "a worker must refuse a database that is not migrated"
    assert "tieout migrate" in worker.output
    assert await Process(folder, "migrate", env=env).run() == 0
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_execute, cluster, f'DROP DATABASE "{name}" WITH (FORCE)')
        await _start_sandbox(stack, folder, port, sandbox_port)
        for process in (web, worker):
            process.start()
            stack.push_async_callback(process.stop)
        await web.ready(f"http://localhost:{port}/ready")
        yield await stack.enter_async_context(_site(web, port, sandbox_port))


def _settings(port: int, sandbox_port: int, database_url: str) -> Settings:
    settings = demo_settings(port, sandbox_port, SystemRuntime())
    # The demo's own token for the operator is too short for anything else.
    return msgspec.structs.replace(
        settings, database_url=database_url, demo_data=False, operator_token="", log_level="warning"
    )


async def _start_sandbox(stack: contextlib.AsyncExitStack, folder: Path, port: int, sandbox_port: int) -> None:
    webhooks = f"http://localhost:{port}/webhooks/stripe"
    sandbox = Process(folder, "sandbox", "--port", str(sandbox_port), "--webhook-url", webhooks)
    sandbox.start()
    stack.push_async_callback(sandbox.stop)
    await sandbox.ready(f"http://localhost:{sandbox_port}/_control/clock")


@asynccontextmanager
async def _site(web: Process, port: int, sandbox_port: int) -> AsyncIterator[Site]:
    sandbox_url = f"http://localhost:{sandbox_port}"
    async with httpx.AsyncClient(timeout=30) as http:
        yield Site(
            f"http://localhost:{port}", web, SandboxClient(sandbox_url, http), QuickBooksControl(sandbox_url, http)
        )


async def _execute(cluster: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
