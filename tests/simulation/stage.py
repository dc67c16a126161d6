"""One tenant between Stripe and one set of books, ready to be forked: what every seed of a kind begins with."""

import asyncio
import base64
import json
import os
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import msgspec

from core.accounting.xero.oauth import SCOPE
from core.books.roles import BookkeepingSettings
from core.config import Settings, parse_key_ring
from core.connections.access import POLL_S
from core.crypto import KeyRing
from core.db.engine import make_engine
from core.db.migrate import upgrade
from core.db.session import Database
from core.intake.webhook import BadEventError, Inbox, StorageError, platform_endpoint, receive
from core.outgoing import Outgoing
from core.signals import Signals
from core.sync.worker import Worker
from core.wiring import Wiring
from tests.histories import History, open_history
from tests.outside import BASE, SANDBOX, sandbox_settings
from tests.play import Outside, Play, Stage, _set_up
from tests.simulation import disk
from tests.simulation.catalogue import hit
from tests.simulation.database import Trouble
from tests.simulation.life import Life, live
from tests.simulation.wire import Wire
from web.sandbox.app import Sandbox, create_sandbox
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl

T = TypeVar("T")
PRACTICE = disk.NAMES + "practice.db"
TEMPLATE = disk.NAMES + "template.db"

STARTS = {
    "quickbooks": datetime(2026, 3, 7, 14, 0, tzinfo=UTC),
    "xero": datetime(2026, 12, 30, 15, 0, tzinfo=UTC),
    "mock": datetime(2026, 10, 31, 13, 0, tzinfo=UTC),
}
"""The day before summer time begins in New York, the days before a year ends, the day before summer time ends."""

TAX_CODES = {"quickbooks": ("Taxable", "Non-taxable"), "xero": ("Texas Sales Tax", "Tax Exempt")}

_DUE = (
    "SELECT EXISTS (SELECT 1 FROM stripe_event WHERE state IN ('stored', 'retry'))"
    " OR EXISTS (SELECT 1 FROM sync_item WHERE due_at <= ?)"
)
_APPEND_ONLY = (
    "CREATE TRIGGER IF NOT EXISTS {table}_{what} BEFORE {what} ON {table} BEGIN SELECT RAISE(ABORT, 'N10'); END"
)


class Clock(Stage):
    """The clock of a play, which sees who waits for whom."""

    wire: Wire | None = None

    async def sleep(self, seconds: float) -> None:
        if (
            seconds == POLL_S
            and self.wire is not None
            and any(count for name, count in self.wire.in_flight.items() if name.startswith("refresh"))
        ):
            hit("F14")
        await super().sleep(seconds)


class Intake(httpx.AsyncBaseTransport):
    """Stripe's way to the product: what the page of the webhooks does, without the page."""

    def __init__(self) -> None:
        self.wiring: Wiring | None = None
        self.inbox: Inbox | None = None
        self.life = Life("web")
        self._writer: asyncio.Task[None] | None = None
        self.acked: list[str] = []
        self.seen: set[str] = set()
        self.newest = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status = await self._take(request.content, request.headers.get("stripe-signature", ""))
        if status == 200:
            self._count(request.content)
        if status == 503:
            hit("F5")
        return httpx.Response(status)

    async def _take(self, raw: bytes, signature: str) -> int:
        assert self.wiring is not None
        assert self.inbox is not None
        try:
            await receive(self.inbox, self.wiring, await platform_endpoint(self.wiring), raw, signature)
        except BadEventError:
            return 400
        except StorageError:
            return 503
        return 200

    def _count(self, raw: bytes) -> None:
        # As lenient as the product, which keeps whatever was signed.
        event = json.loads(raw)
        fact = f"{event['type']} {event['data']['object'].get('id')} {event['created']}"
        if event["id"] in self.seen or fact in self.seen:
            hit("F1")
        elif event["created"] < self.newest:
            hit("F2")
        self.seen |= {event["id"], fact}
        self.newest = max(self.newest, event["created"])
        self.acked.append(event["id"])

    def forget_what_is_not_stored(self) -> None:
        """After a restore: what was acknowledged since the backup is gone, and nobody can say otherwise."""
        database = disk.peek()
        stored = {row[0] for row in database.execute("SELECT event_id FROM stripe_event")}
        database.close()
        self.acked = [event_id for event_id in self.acked if event_id in stored]

    def open(self) -> None:
        """Start the writer of the inbox."""
        assert self.wiring is not None
        self.inbox = Inbox(self.wiring)
        self._writer = asyncio.get_running_loop().create_task(self.inbox.run())

    async def close(self) -> None:
        """Stop it, as a process that ends does."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        self._writer = None


class Theatre:
    """Everything of one kind of books; built once, then forked for each seed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.runtime = Clock(STARTS[kind])
        settings = Settings(
            app_env="development",
            app_base_url="https://tieout.test",
            database_url=f"sqlite:///{disk.WATCHED}",
            token_keys=f"k1:{base64.b64encode(bytes(range(32))).decode()}",
            secret_key="a secret of the tests, long enough to be one",
            stripe_webhook_secrets=SANDBOX.stripe_webhook_secret,
            embedded_worker="no",
        )
        self.settings = msgspec.structs.replace(sandbox_settings(settings), mock_books_path=PRACTICE)
        self.intake = Intake()
        self.trouble = Trouble()
        self.at_point: Callable[[Life, str], None] | None = None
        self.is_reborn = False
        """Forked in the middle of work: what was open belongs to the process that went on."""
        # Opened by raise_curtain().
        self.sandbox: Sandbox
        self.wire: Wire
        self.play: Play
        self.history: History
        self.free_code = ""
        self.other_company = ""
        self.engine = make_engine(self.settings.database_url)

    @property
    def wiring(self) -> Wiring:
        return self.play.wiring

    async def raise_curtain(self, empty: bytes) -> None:
        """Open a business at Stripe, a company, a workspace that connects both, and start posting."""
        disk.restore(empty)
        disk.restore(b"", PRACTICE)
        self.runtime = Clock(STARTS[self.kind])
        world = msgspec.structs.replace(SANDBOX, stripe_webhook_url="https://tieout.test/webhooks/stripe")
        to_intake = httpx.AsyncClient(transport=self.intake, base_url="https://tieout.test")
        self.sandbox = create_sandbox(world, self.runtime, to_intake)
        self.wire = Wire(self.sandbox, self.runtime)
        self.runtime.wire = self.wire
        signals = Signals()
        wiring = Wiring(
            self.settings, self.runtime, Database(self.engine, self.runtime, signals),
            KeyRing(parse_key_ring(self.settings.token_keys), self.runtime),
            Outgoing(self.settings.outgoing_urls, transport=self.wire), signals,
        )  # fmt: skip
        self.intake.wiring = wiring
        self.intake.acked.clear()
        self.intake.seen.clear()
        self.intake.newest = 0
        self.intake.open()
        http = httpx.AsyncClient(transport=self.wire, base_url=BASE)
        self.play = await _set_up(wiring, self.sandbox, http, self.kind, "US", Outside(self.wire))
        taxed, free = TAX_CODES.get(self.kind, TAX_CODES["quickbooks"])
        self.history = await open_history(self.play, 1, taxed=taxed, free=free)
        self.free_code = free
        self.other_company = await self._open_other_company()
        await self.play.start(self.runtime.now())
        # A little more than an hour: what is read every hour was read a moment ago, and not in each seed once more.
        await self.play.pass_time(hours=1.1)
        # Accounts that a person asks for on a page are found again by their names: they need no intent.
        self.wire.broken.clear()
        self.wire.trace.clear()
        _let_only_grow()

    async def _open_other_company(self) -> str:
        if self.kind == "quickbooks":
            return (await QuickBooksControl(BASE, self.play.http).create_company("Other Ltd", country="US")).realm_id
        if self.kind == "xero":
            return (await XeroControl(BASE, self.play.http).create_organisation("Other Ltd", country="US")).tenant_id
        return ""

    async def rest(self) -> None:
        """Close every file, so that the process can be forked."""
        await self.intake.close()
        await self.engine.dispose()

    def begin(self, seed: int) -> None:
        """Let all chance of this process follow from ``seed``."""
        self.runtime._dice.seed(seed)
        self.sandbox.clock._rng = random.Random(seed)
        self.wire.dice = random.Random(seed)
        kernel = random.Random(seed)
        os.urandom = kernel.randbytes
        self.history.seed = seed
        self.history.__post_init__()
        disk.Disk.watcher = self.trouble
        self.intake.open()

    async def live(self, name: str, work: Coroutine[Any, Any, T], *, dies_in: int | None = None) -> T | None:
        """Let a process of its own do ``work``."""
        life = Life(name, dies_in=dies_in)
        life.at_point = self.at_point
        return await live(life, work)

    async def pass_of(self, worker: Worker) -> int:
        """One pass as the worker's own loop makes it: it outlives a database that is away for a moment."""
        running: set[asyncio.Task[int]] = set()
        is_busy = await worker._start_what_is_due(running)
        return int(is_busy) + sum(await asyncio.gather(*running))

    async def sign_in(self, company: str) -> Any:
        """Return the tokens that the owner of a company gives us."""
        if self.kind == "quickbooks":
            return await QuickBooksControl(BASE, self.play.http).connect(company)
        return await XeroControl(BASE, self.play.http).connect(company, scope=SCOPE)

    async def step(self, *, dies_in: int | None = None) -> int:
        """Let the worker do what is due; a dead one is followed by a new one, when the lease is over."""
        if not self._is_anything_due():
            return 0
        done = await self.live("worker", self.pass_of(self.play.worker), dies_in=dies_in)
        if done is None:
            self.play.worker = Worker(self.wiring)
            self.runtime.forward(seconds=61)
            if self.is_reborn:
                self.is_reborn = False
                await self.restart()
            return 1
        return done

    def _is_anything_due(self) -> bool:
        """Look before asking the worker: a pass that finds nothing costs as much as a document."""
        database = disk.peek()
        try:
            now = self.runtime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
            return bool(database.execute(_DUE, (now,)).fetchone()[0])
        finally:
            database.close()

    async def quiet(self) -> None:
        """Let Stripe deliver and the worker work until neither has anything left to do now."""
        for _ in range(200):
            done = await self.sandbox.flush()
            done += await self.step()
            if not done:
                return
        raise AssertionError(f"never quiet: {await self.play.open_items()}")

    async def restart(self, content: bytes | None = None) -> None:
        """End every process at once and start anew, perhaps over an older copy of the database."""
        await self.rest()
        if content is not None:
            disk.restore(content)
        self.play.worker = Worker(self.wiring)
        self.intake.open()

    async def choose(self, styles: tuple[Any, Any]) -> None:
        """Choose how sales and fees are booked."""
        self.history.styles = styles
        await self.play.settle_on(BookkeepingSettings(sale_style=styles[0], fee_style=styles[1]))


def empty_database() -> bytes:
    """Return the bytes of a database with every table and no row."""
    upgrade(f"sqlite:///{TEMPLATE}")
    return disk.copy(TEMPLATE)


def _let_only_grow() -> None:
    """Let the database itself refuse to change history (N10)."""
    database = disk.sqlite3.connect(disk.place(disk.WATCHED))
    for table in ("attempt", "mapping_version", "role_version", "bookkeeping_version"):
        for what in ("UPDATE", "DELETE"):
            database.execute(_APPEND_ONLY.format(table=table, what=what))
    database.commit()
    database.close()
