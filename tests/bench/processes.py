"""The processes that are measured: started as people start them, watched from outside through /proc."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.config import Settings

HOST = "tieout.bench"
"""A name that every measured process answers to, whatever its port."""

WEBHOOK_SECRET = "whsec_of_the_benchmark"
TOKEN_KEYS = f"k1:{base64.b64encode(bytes(range(32))).decode()}"
SECRET_KEY = "a secret of the benchmark, long enough to be one"
_START_WITHIN_S = 30.0
_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Running:
    """One process that answers HTTP. ``started_s`` is how long its first answer took, from its birth."""

    pid: int
    port: int
    started_s: float

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def memory_mb(self) -> float:
        """Return what it occupies now."""
        return _status_mb(self.pid, "VmRSS")

    def forget_peak(self) -> None:
        """Let :meth:`peak_mb` begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        """Return the most it occupied since it began, or since :meth:`forget_peak`."""
        return _status_mb(self.pid, "VmHWM")

    def cpu_s(self) -> float:
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def app_environ(database_url: str, port: int, **changes: str) -> dict[str, str]:
    """Return the environment of a web process without a worker; ``changes`` are further variables."""
    return {
        "APP_ENV": "development",
        "APP_BASE_URL": f"http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": f"127.0.0.1:{port},{HOST}",
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "TOKEN_KEYS": TOKEN_KEYS,
        "SECRET_KEY": SECRET_KEY,
        "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "EMBEDDED_WORKER": "no",
        **changes,
    }


def environ_of(settings: Settings) -> dict[str, str]:
    """Return the variables that make these settings."""
    fields = msgspec.structs.asdict(settings)
    return {name.upper(): str(value) for name, value in fields.items() if value != ""}


@contextmanager
def running_app(database_url: str, log: Path, *, first_page: str = "/health", **changes: str) -> Iterator[Running]:
    """Run ``tieout web`` without a worker until the block ends; ``changes`` are further variables."""
    port = free_port()
    with started_app(app_environ(database_url, port, **changes), port, log, first_page=first_page) as running:
        yield running


@contextmanager
def started_app(environ: dict[str, str], port: int, log: Path, *, first_page: str = "/health") -> Iterator[Running]:
    """Run ``tieout web`` under ``environ`` until the block ends; ``first_page`` is asked for until it is there."""
    with _running(["web.cli", "web"], environ, port, first_page, log) as running:
        yield running


@contextmanager
def running_sandbox(webhook_url: str, log: Path) -> Iterator[Running]:
    """Run ``tieout sandbox`` until the block ends."""
    port = free_port()
    words = ["web.cli", "sandbox", "--port", str(port), "--webhook-url", webhook_url]
    with _running(words, {}, port, "/_control/clock", log) as running:
        yield running


@contextmanager
def running_module(python: Path, words: list[str], environ: dict[str, str], port: int, log: Path) -> Iterator[Running]:
    """Run a module of another environment's ``python`` until the block ends; it answers ``/health``."""
    with _running(words, environ, port, "/health", log, python=str(python)) as running:
        yield running


@contextmanager
def _running(
    words: list[str], environ: dict[str, str], port: int, first_page: str, log: Path, *, python: str = sys.executable
) -> Iterator[Running]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as out:
        born = time.perf_counter()
        process = subprocess.Popen(
            [python, "-m", *words],
            env={**inherited, **environ},
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
        try:
            _await(process, f"http://127.0.0.1:{port}{first_page}", log)
            yield Running(process.pid, port, time.perf_counter() - born)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.perf_counter() + _START_WITHIN_S
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
            return
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(_POLL_S)
    raise RuntimeError(f"{url} does not answer: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)
