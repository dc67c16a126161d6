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
_PUT_OUT_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
"""
_SHAPE = """
    SELECT string_agg(part, ' ' ORDER BY part) FROM (
        SELECT concat_ws(',', attrelid::regclass, attname, atttypid, atttypmod, attnotnull) FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(',', conrelid::regclass, conname) FROM pg_constraint
        UNION ALL SELECT concat_ws(',', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(',', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT version_num FROM alembic_version
    ) AS parts (part)
"""


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
    _spare: list[str] = field(default_factory=list)
    _emptying: str = ""
    _shape: str = ""

    def url(self, name: str) -> str:
        """Address of one database, as DATABASE_URL takes it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def socket_url(self, name: str) -> str:
        """The same through the unix socket."""
        return f"postgresql://postgres@/{name}?host={self.socket_dir}&port={self.port}"

    async def new_database(self) -> str:
        """Return the name of a migrated, empty database: one that was taken back, or a new one."""
        if self._spare:
            return self._spare.pop()
        if not self._has_template:
            await self._make_template()
        name = f"test_{next(self._numbers)}"
        await self._run(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
        return name

    async def take_back(self, name: str) -> None:
        """Put out whoever is still connected, and empty the database for the next test.

        That takes a tenth of dropping it and copying the template anew, which waits for the disk. Where a test has
        changed more than rows, nobody gets the database again.
        """
        connection = await asyncpg.connect(self.url(name))
        try:
            await connection.execute(_PUT_OUT_OTHERS)
            is_as_made = await connection.fetchval(_SHAPE) == self._shape
            if is_as_made:
                await connection.execute(self._emptying)
        finally:
            await connection.close()
        if is_as_made:
            self._spare.append(name)
        else:
            await self.drop_database(name)

    async def move(self, name: str, folder: Path) -> None:
        """Move a database that nobody uses into a folder, as a tablespace of its own."""
        _give_to_server_user(folder)
        await self._run(f"CREATE TABLESPACE \"{name}\" LOCATION '{folder}'")
        await self._run(f'ALTER DATABASE "{name}" SET TABLESPACE "{name}"')

    async def restart(self, mode: str) -> None:
        """Stop the server as ``pg_ctl stop -m`` does, ``fast`` or ``immediate``, and start it again."""
        data = str(self.socket_dir / "data")
        words = ("-D", data, "-w", "-t", "60", "-l", str(self.socket_dir / "log"), "-m", mode, "restart")
        await asyncio.to_thread(_run, self.bin_dir / "pg_ctl", *words)

    async def drop_database(self, name: str) -> None:
        """Drop a database together with whoever is still connected."""
        await self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _make_template(self) -> None:
        await self._run(f'CREATE DATABASE "{_TEMPLATE}"')
        await asyncio.to_thread(upgrade, self.url(_TEMPLATE))
        connection = await asyncpg.connect(self.url(_TEMPLATE))
        try:
            tables = [row["relname"] for row in await connection.fetch(_TABLES)]
            for table in tables:
                assert not await connection.fetchval(f'SELECT count(*) FROM "{table}"'), f"{table} is never empty"
            self._shape = await connection.fetchval(_SHAPE)
        finally:
            await connection.close()
        self._emptying = "TRUNCATE " + ", ".join(f'"{table}"' for table in tables)
        self._has_template = True

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def running_cluster(*, is_durable: bool = False, settings: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """Make a cluster in a folder of its own, run it, stop it and remove it.

    Args:
        is_durable: commit to the disk as in production; for benchmarks, which would flatter themselves otherwise.
        settings: further settings of the server, ``name=value``; they win over ours.

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
                *settings,
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
