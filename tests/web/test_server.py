"""The server's own limits, over a real port (D11, A5, W3)."""

import asyncio
import base64
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.config import Settings
from core.wiring import Wiring
from web.app import create_app
from web.edge import BODY_WITHIN_S
from web.server import GRACE_S, HEAD_WITHIN_S, KEEP_ALIVE_S, MAX_HEAD_BYTES, PatientProtocol, server_config

ROOT = Path(__file__).resolve().parents[2]
HANGS_AFTER_S = 120
"""Measures nothing: ends a test whose server never answers."""


@dataclass
class Served:
    """A web process of its own."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "APP_ENV": "development",
        "PORT": str(port),
        "APP_BASE_URL": f"http://localhost:{port}",
        "DATABASE_URL": f"sqlite:///{home / 'tieout.db'}",
        "TOKEN_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
        "SECRET_KEY": "s" * 32,
        "STRIPE_WEBHOOK_SECRETS": "whsec_test",
        "EMBEDDED_WORKER": "no",
    }
    program = (
        "from core.config import load_settings; from core.logging import configure_logging;"
        "from web.app import create_app; from web.server import run_server;"
        "s = load_settings(); configure_logging('info'); run_server(create_app(s), s)"
    )
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environ, stdout=out, stderr=out)
    try:
        _wait_until_up(port, process, log)
        yield Served(port, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait_until_up(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx.Client(trust_env=False) as http:
        for _ in range(HANGS_AFTER_S * 20):
            assert process.poll() is None, log.read_text()
            try:
                if http.get(f"http://localhost:{port}/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError(log.read_text())


def _raw(port: int, data: bytes, *, timeout_s: float = 15) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as line:
        line.sendall(data)
        received = b""
        while chunk := line.recv(65536):
            received += chunk
        return received


async def test_the_configuration_says_it(settings: Settings, wiring: Wiring) -> None:
    config = server_config(create_app(settings, wiring=wiring), settings)
    assert config.timeout_graceful_shutdown == GRACE_S == 20
    assert config.timeout_keep_alive == KEEP_ALIVE_S == 5
    assert config.http is PatientProtocol
    assert config.limit_concurrency is not None
    assert not config.proxy_headers
    assert not config.server_header
    assert not config.access_log


def test_no_software_introduces_itself(served: Served) -> None:
    answer = httpx.get(f"{served.base}/sign-in", trust_env=False)
    assert answer.status_code == 200
    assert "server" not in answer.headers
    junk = _raw(served.port, b"GET / HTTP/1.1\r\n\r\n")
    assert b"uvicorn" not in junk


def test_a_head_that_is_too_long_is_refused(served: Served) -> None:
    start = f"GET /health HTTP/1.1\r\nHost: localhost:{served.port}\r\n".encode()
    endless, whole = b"X: " + b"x" * 40_000, b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"
    many, address = b"X: y\r\n" * 4_000 + b"\r\n", b"GET /health?" + b"x" * 20_000
    for head in (start + endless, start + whole, start + many, address):
        assert _raw(served.port, head).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431")), head[:60]


def test_a_second_head_on_the_same_line_is_measured_as_well(served: Served) -> None:
    first = f"GET /health HTTP/1.1\r\nHost: localhost:{served.port}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", served.port), timeout=15) as line:
        line.sendall(first)
        assert line.recv(65536).startswith(b"HTTP/1.1 200")
        line.sendall(first[:-2] + b"X: " + b"x" * 40_000)
        assert line.recv(65536).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Content-Length : 2\r\n\r\n{}",
        b"X: a\x00b\r\n\r\n",
        b"X: a\r\n b\r\n\r\n",
    ],
)
def test_a_head_that_two_servers_may_read_differently_is_refused(served: Served, head: bytes) -> None:
    host = f"Host: localhost:{served.port}\r\n".encode()
    fine = _raw(served.port, b"POST /sign-in HTTP/1.1\r\n" + host + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert fine.startswith(b"HTTP/1.1 403"), fine[:200]
    answer = _raw(served.port, b"POST /sign-in HTTP/1.1\r\n" + host + b"Connection: close\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00", b"GET", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 20_000]
)
def test_junk_on_the_line_ends_it_and_nothing_else(served: Served, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.sendall(junk)
    assert httpx.get(f"{served.base}/health", trust_env=False).text == "ok"


def test_a_host_that_is_not_ours_is_refused_over_the_wire(served: Served) -> None:
    for host in (b"evil.example", b"127.0.0.1"):
        answer = _raw(served.port, b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400")
    twice = b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert _raw(served.port, twice).startswith(b"HTTP/1.1 400")


@pytest.mark.slow
async def test_two_thousand_slow_sockets_do_not_keep_others_out(served: Served) -> None:
    """Heads that never end: others are answered while these still wait, and then they are closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5000), hard))
    lines = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(2000)]
    try:
        for _, writer in lines:
            writer.write(b"GET /health HTTP/1.1\r\nHost: loc")
        async with httpx.AsyncClient(trust_env=False, base_url=served.base) as http:
            for _ in range(5):
                assert (await http.get("/ready")).status_code == 200
                signed = await http.post("/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": "t=1,v1=x"})
                assert signed.status_code == 400
        # The server accepts in turn, so these came before; and the last of them has not been given up yet.
        assert not lines[-1][0].at_eof()
        async with asyncio.timeout(HANGS_AFTER_S):
            assert [await reader.read() for reader, _ in lines] == [b""] * len(lines)
    finally:
        for _, writer in lines:
            writer.close()


@pytest.mark.slow
async def test_patience_ends_first_for_the_idle_then_for_a_head_and_last_for_a_body(served: Served) -> None:
    """All four begin together. The order in which they end shows the limits, whatever else the machine does."""
    assert (KEEP_ALIVE_S, HEAD_WITHIN_S, BODY_WITHIN_S) == (5, 10, 20)
    host = f"Host: localhost:{served.port}\r\n"
    body = f"Origin: {served.base}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n"
    answered = f"GET /health HTTP/1.1\r\n{host}\r\n"
    begun = {
        "idle": answered,
        "head": "GET /health HTTP/1.1\r\nHost: loc",
        "drops": answered,
        "body": f"POST /sign-in HTTP/1.1\r\n{host}{body}Connection: close\r\n\r\nemail=",
    }
    ended: dict[str, bytes] = {}

    async def wait_for_the_end(name: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(begun[name].encode())
        received = b""
        if name == "drops":
            # An empty line after an answer is no request, and must keep no line open.
            received = await reader.readuntil(b"ok")
            writer.write(b"\r\n")
        received += await reader.read()
        ended[name] = received.partition(b"\r\n")[0]
        writer.close()

    async with asyncio.timeout(HANGS_AFTER_S):
        await asyncio.gather(*map(wait_for_the_end, begun))
    assert list(ended.items()) == [
        ("idle", b"HTTP/1.1 200 OK"),
        ("head", b""),
        ("drops", b"HTTP/1.1 200 OK"),
        ("body", b"HTTP/1.1 408 Request Timeout"),
    ]


def test_the_log_is_json_and_holds_no_address_of_a_page(served: Served) -> None:
    httpx.get(f"{served.base}/connect/quickbooks/callback?code=canary1&state=canary2", trust_env=False)
    httpx.get(f"{served.base}/canary3", trust_env=False)
    written = served.log.read_text()
    assert "canary" not in written
    assert '"route": "/connect/{key}/callback"' in written
