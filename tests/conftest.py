"""What every test shares: settings, a migrated database of its own, and the promise not to leave this machine."""

import base64
import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest

from core.config import Settings
from core.db.migrate import upgrade
from core.db.session import Database
from core.logging import configure_logging
from core.wiring import Wiring, open_wiring
from tests.loopback import forbid_the_network, real_line
from tests.postgres import Cluster, NoServerError, running_cluster
from tests.runtime import VirtualRuntime
from tests.statements import share_compiled_statements

forbid_the_network()
configure_logging("warning", tracebacks=True)
share_compiled_statements()
# How long an example takes says how busy the machine is: 313 ms failed a test that takes 33 ms.
hypothesis.settings.register_profile(
    "tieout", hypothesis.settings.default, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tieout")

BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)]


_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2**30


def pytest_configure(config: pytest.Config) -> None:
    """Keep the folders of the tests in memory where it has room: the same files, and a commit waits for no disk.

    Most tests commit to a SQLite file, each commit asks for its bytes to be written through, and tests that post took
    twice as long on a disk. A process that is killed leaves in memory what it would leave there.
    """
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    if config.option.basetemp is None and has_room:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: what drives a browser or a process of its own waits for most of its time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what waits, then with what takes long, where workers share the tests.

    The first worker gets the front of the list, the others take from its end what it has not come to: so one worker
    waits for browsers while the others compute, the demo is started once, and nothing long begins last.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (not any(item.iter_markers("e2e")), not any(item.iter_markers("slow"))))


def pytest_collection_finish() -> None:
    """Spare the collector what lives to the end anyway. It took a fifth of the suite's CPU to look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop of the product."""
    return "asyncio"


@pytest.fixture
def runtime() -> VirtualRuntime:
    """A clock that stands still until it is told to move."""
    return VirtualRuntime()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with every table, made once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "tieout.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Development settings with fresh keys. The address is https, so cookies look as in production."""
    return Settings(
        app_env="development",
        app_base_url="https://tieout.test",
        database_url=f"sqlite:///{tmp_path / 'tieout.db'}",
        token_keys=f"k1:{base64.b64encode(bytes(range(32))).decode()}",
        secret_key="a secret of the tests, long enough to be one",
        stripe_webhook_secrets="whsec_of_the_tests",
        embedded_worker="no",
    )


@pytest.fixture
async def wiring(settings: Settings, runtime: VirtualRuntime, migrated_file: Path) -> AsyncIterator[Wiring]:
    """Everything a process holds, over a fresh SQLite file."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with open_wiring(settings, runtime=runtime, transport=real_line()) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of this session."""
    try:
        with running_cluster() as cluster:
            yield cluster
    except NoServerError as exc:
        pytest.skip(str(exc))


@pytest.fixture
async def postgres_wiring(settings: Settings, runtime: VirtualRuntime, postgres: Cluster) -> AsyncIterator[Wiring]:
    """Everything a process holds, over a fresh PostgreSQL database."""
    name = await postgres.new_database()
    on_postgres = msgspec.structs.replace(settings, database_url=postgres.url(name))
    async with open_wiring(on_postgres, runtime=runtime, transport=real_line()) as opened:
        yield opened
    await postgres.take_back(name)


@pytest.fixture(params=BOTH)
def any_wiring(request: pytest.FixtureRequest) -> Wiring:
    """The same test on SQLite and on PostgreSQL."""
    found: Wiring = request.getfixturevalue("wiring" if request.param == "sqlite" else "postgres_wiring")
    return found


@pytest.fixture
def database(any_wiring: Wiring) -> Database:
    """The database of :func:`any_wiring`."""
    return any_wiring.db
