"""A PostgreSQL server that belongs to this test session alone: made at first need, gone at its end."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg

from core.db.migrate import upgrade

# Nothing here outlives the session, so nothing needs to survive a power cut.
_CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_SETTINGS = (
    "max_connections=200",
    "shared_buffers=64MB",
    "log_min_messages=fatal",
    "listen_addresses=127.0.0.1",
)
_TEMPLATE = "tieout_template"


class NoServerError(Exception):
    """There is no PostgreSQL on this machine."""


@dataclass(slots=True)
class Cluster:
    """A running server. ``socket_dir`` and ``port`` say where it listens; TCP is on loopback."""

    port: int
    socket_dir: Path
    bin_dir: Path
    _numbers: Iterator[int] = field(default_factory=count)
    _has_template: bool = False

    def url(self, name: str) -> str:
        """Address of one database, as DATABASE_URL takes it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def socket_url(self, name: str) -> str:
        """The same through the unix socket."""
        return f"postgresql://postgres@/{name}?host={self.socket_dir}&port={self.port}"

    async def new_database(self) -> str:
        """Create a migrated, empty database and return its name."""
        if not self._has_template:
            await self._run(f'CREATE DATABASE "{_TEMPLATE}"')
            await asyncio.to_thread(upgrade, self.url(_TEMPLATE))
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        await self._run(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
        return name

    async def drop_database(self, name: str) -> None:
        """Drop a database together with whoever is still connected."""
        await self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def running_cluster(*, is_durable: bool = False) -> Iterator[Cluster]:
    """Make a cluster in a folder of its own, run it, stop it and remove it.

    Args:
        is_durable: commit to the disk as in production; for benchmarks, which would flatter themselves otherwise.

    Raises:
        NoServerError: initdb is neither in PATH nor in /usr/lib/postgresql.
    """
    bin_dir = find_bin_dir()
    # Short, because a unix socket's path may have about 100 characters only.
    home = Path(tempfile.mkdtemp(prefix="tieout-pg-", dir="/tmp"))
    _give_to_server_user(home)
    try:
        data = home / "data"
        _run(bin_dir / "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-N")
        port = _free_port()
        options = " ".join(
            f"-c {setting}"
            for setting in (
                *_SETTINGS,
                *(() if is_durable else _CARELESS),
                f"port={port}",
                f"unix_socket_directories={home}",
            )
        )
        control = (bin_dir / "pg_ctl", "-D", str(data), "-w", "-t", "60")
        _run(*control, "-l", str(home / "log"), "-o", options, "start")
        try:
            yield Cluster(port, home, bin_dir)
        finally:
            _run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def find_bin_dir() -> Path:
    """Return the folder of initdb."""
    in_path = shutil.which("initdb")
    if in_path:
        return Path(in_path).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3].split(".")[0]))
    if not versions:
        raise NoServerError("no PostgreSQL here: initdb is neither in PATH nor in /usr/lib/postgresql/*/bin")
    return versions[-1].parent


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root; then it runs as the user that its package has made."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise NoServerError("PostgreSQL does not run as root, and there is no other user to run it as")


def _give_to_server_user(folder: Path) -> None:
    user = _server_user()
    if user:
        shutil.chown(folder, user=user)


def _run(program: Path, *arguments: str) -> None:
    command = [str(program), *arguments]
    user = _server_user()
    if user:
        command = ["runuser", "-u", user, "--", *command] if shutil.which("runuser") else _with_su(user, command)
    # The server inherits the log file, never our pipes: it would keep them open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=120, cwd="/"
        )
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{program.name} failed: {output.read().decode(errors='replace')[-2000:]}")


def _with_su(user: str, command: list[str]) -> list[str]:
    return ["su", user, "-s", "/bin/sh", "-c", subprocess.list2cmdline(command)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
