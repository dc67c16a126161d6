"""Starting app and sandbox in one process, for a look around."""

import asyncio
import base64
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import uvicorn

from core.clock import Runtime, SystemRuntime
from core.config import Settings
from core.connections.attach import Person
from core.db.migrate import upgrade
from core.logging import configure_logging
from core.wiring import open_wiring
from web.app import create_app
from web.demo import cast
from web.demo.seed import Demo
from web.demo.story import HISTORY_DAYS
from web.sandbox.app import create_sandbox
from web.sandbox.settings import SandboxSettings
from web.server import CalmServer, server_config

FOLDER = Path("var/demo")
POSTED = "The last three weeks are in the books."
_PAUSE_S = (12.0, 30.0)


class _Beside(uvicorn.Server):
    """A server that leaves the signals to the other one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Earlier(SystemRuntime):
    """The machine's time, some weeks ago: the sandbox begins there and is led to the present by what happens."""

    def now(self) -> datetime:
        """Return that time in UTC."""
        return super().now() - timedelta(days=HISTORY_DAYS + 1)


def run_demo(*, port: int | None, sandbox_port: int | None, lively: bool) -> int:
    """Serve the demo until interrupted. It starts anew each time; nothing of it leaves this machine."""
    port = port if port is not None else int(os.environ.get("PORT") or 8000)
    sandbox_port = sandbox_port if sandbox_port is not None else _free_port(port + 1)
    for taken in (port, sandbox_port):
        if not _is_free(taken):
            sys.stdout.write(f"Port {taken} is in use. Choose another: PORT=8080 make demo\n")
            return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    configure_logging("warning", tracebacks=True)
    asyncio.run(_demo(port, sandbox_port, lively=lively))
    return 0


async def _demo(port: int, sandbox_port: int, *, lively: bool) -> None:
    runtime = SystemRuntime()
    settings = demo_settings(port, sandbox_port, runtime)
    sandbox_url = f"http://127.0.0.1:{sandbox_port}"
    sandbox = create_sandbox(
        SandboxSettings(
            base_url=f"http://localhost:{sandbox_port}", stripe_webhook_url=f"http://localhost:{port}/webhooks/stripe"
        ),
        _Earlier(),
    )
    beside = _Beside(
        uvicorn.Config(sandbox.app, host="127.0.0.1", port=sandbox_port, log_config=None, access_log=False)
    )
    serving = asyncio.create_task(beside.serve())
    while not beside.started:
        await runtime.sleep(0.05)
    await asyncio.to_thread(upgrade, settings.database_url)
    async with open_wiring(settings, runtime=runtime) as wiring, httpx.AsyncClient(timeout=30) as http:
        demo = Demo(sandbox_url, http, wiring)
        _say("Filling the demo workspace...\n")
        owner = await demo.seed()
        app = create_app(settings, wiring=wiring, beats=True)
        app.state.demo_sign_in = (cast.EMAIL, cast.PASSWORD)
        server = CalmServer(server_config(app, settings))
        traffic = asyncio.create_task(_traffic(demo, server, runtime, lively=lively))
        announcing = asyncio.create_task(_announce(server, port, sandbox_port, runtime))
        following = asyncio.create_task(_follow(demo, owner, server, runtime))
        await server.serve()
        for task in (traffic, announcing, following):
            task.cancel()
    beside.should_exit = True
    await serving


async def _announce(server: uvicorn.Server, port: int, sandbox_port: int, runtime: Runtime) -> None:
    while not server.started:
        await runtime.sleep(0.05)
    _say(
        f"\nTieout is ready: http://localhost:{port}\n"
        f"  Sign in with:  {cast.EMAIL}\n"
        f"  Password:      {cast.PASSWORD}\n"
        f"  Sandbox:       http://localhost:{sandbox_port} (make a payment by hand, look into the books)\n"
        f"  Figures:       http://localhost:{port}/metrics (any name, password: {cast.OPERATOR_TOKEN})\n"
        "Ctrl+C ends both.\n"
    )


async def _follow(demo: Demo, owner: Person, server: uvicorn.Server, runtime: Runtime) -> None:
    while not server.started:
        await runtime.sleep(0.05)
    await demo.follow(owner)
    _say(f"{POSTED}\n")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


async def _traffic(demo: Demo, server: uvicorn.Server, runtime: Runtime, *, lively: bool) -> None:
    """Let clients pay now and then."""
    while lively:
        least, most = _PAUSE_S
        await runtime.sleep(least + (most - least) * runtime.random())
        if server.started:
            await demo.pay_once()


def demo_settings(port: int, sandbox_port: int, runtime: Runtime) -> Settings:
    """Return the settings of a demo: this machine only, keys made for this run."""
    inside, outside = f"http://127.0.0.1:{sandbox_port}", f"http://localhost:{sandbox_port}"
    known = SandboxSettings()
    return Settings(
        app_env="development",
        app_base_url=f"http://localhost:{port}",
        port=port,
        database_url=f"sqlite:///{FOLDER / 'tieout.db'}",
        token_keys=f"demo:{base64.b64encode(runtime.token_bytes(32)).decode()}",
        secret_key=runtime.token_bytes(32).hex(),
        demo_data=True,
        operator_token=cast.OPERATOR_TOKEN,
        stripe_client_id=known.stripe_client_id,
        stripe_secret_key=known.stripe_platform_key,
        stripe_webhook_secrets=known.stripe_webhook_secret,
        stripe_api_base=inside,
        stripe_connect_base=outside,
        stripe_app_authorize_url=f"{outside}/oauth/v2/authorize",
        stripe_dashboard_base=outside,
        quickbooks_client_id=known.intuit_client_id,
        quickbooks_client_secret=known.intuit_client_secret,
        quickbooks_api_base=inside,
        quickbooks_authorize_url=f"{outside}/connect/oauth2",
        quickbooks_token_url=f"{inside}/oauth2/v1/tokens/bearer",
        quickbooks_revoke_url=f"{inside}/v2/oauth2/tokens/revoke",
        quickbooks_app_base=outside,
        xero_client_id=known.xero_client_id,
        xero_client_secret=known.xero_client_secret,
        xero_api_base=inside,
        xero_authorize_url=f"{outside}/identity/connect/authorize",
        xero_token_url=f"{inside}/connect/token",
        xero_app_base=outside,
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(first: int) -> int:
    return next(port for port in range(first, first + 100) if _is_free(port))
