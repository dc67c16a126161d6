"""One seed at play: what its troubles do to the world, to the database and to the processes."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.connections.attach import attach
from core.connections.disconnect import disconnect
from core.connections.refresh import put_tokens
from core.db.models import ConnectionMode, Payment
from core.errors import NotFoundError
from core.oauth import Identity, TokenSet
from core.sync.acts import retry_payment
from core.sync.adopt import list_adopting, set_adopting
from core.sync.worker import Worker
from tests.hands import HANDS
from tests.simulation import bulk, disk, human
from tests.simulation.catalogue import hit
from tests.simulation.direct import Answer
from tests.simulation.stage import Theatre
from web.sandbox.faults import FaultRule
from web.sandbox.quickbooks.client import ControlRefused as QuickBooksRefused
from web.sandbox.xero.client import ControlRefused as XeroRefused

Later = Callable[[], Awaitable[object]]
NAME = "Anna Berg Photography"
_PATIENCE = 50


class Scene:
    """What a seed may reach: the theatre, and what is planned for later."""

    def __init__(self, theatre: Theatre, dice: Random) -> None:
        self.theatre, self.dice = theatre, dice
        self.kind, self.wire, self.play = theatre.kind, theatre.wire, theatre.play
        self.sandbox, self.runtime, self.database = theatre.sandbox, theatre.runtime, theatre.trouble
        self.hand = HANDS[self.kind](self.play)
        self.later: list[Later] = []
        self.between: list[Later] = []
        self.last: list[Later] = []
        self.dies_in: int | None = None
        self.intake_fails = False
        self.side_by_side = False
        self.loses_commits = False
        self.wants_many = False
        self.backup: bytes | None = None
        self.was_restored = False
        self.clock_ahead_s = 0
        self.changes: list[human.Change] = []
        self.archived: list[str] = []
        self.is_closed = False
        self.has_other_mapping = False

    @property
    def wiring(self) -> Any:
        return self.theatre.wiring

    def after_work(self, act: Later) -> None:
        """Do something once the worker has seen the next deed."""
        self.later.append(act)

    def in_the_middle(self, act: Later) -> None:
        """Do something once a write has gone wrong, or at last when the worker has seen the next deed."""
        self.between.append(act)

    def at_the_end(self, act: Later) -> None:
        """Do something before everything is healed."""
        self.last.append(act)

    # -- The world outside

    async def knobs(self, **knobs: Any) -> None:
        """Let Stripe's deliveries go wrong."""
        await self.play.stripe.set_knobs(**knobs)

    def rule(self, rule: FaultRule) -> None:
        """Let calls go wrong."""
        self.sandbox.faults.add(rule)

    async def send_odd(self, kind: str) -> None:
        """Deliver something that is none of ours, or of another time."""
        before = len(self.theatre.intake.acked)
        await self.play.stripe.send_odd(kind, self.play.business)
        if len(self.theatre.intake.acked) > before:
            hit("F4")

    def expire_tokens(self) -> None:
        """Let the access tokens of the books run out."""
        now = self.sandbox.clock.now()
        if self.kind == "quickbooks":
            self.sandbox.quickbooks.world.office.expire(self.play.company, now)
        else:
            self.sandbox.xero.world.office.expire(now, refresh=False)

    def revoke(self) -> None:
        """Let the owner end our access inside the books."""
        if self.kind == "quickbooks":
            self.sandbox.quickbooks.world.office.revoke_realm(self.play.company)
        else:
            self.sandbox.xero.world.office.expire(self.sandbox.clock.now(), refresh=True)

    async def forget_keys(self) -> None:
        """Let the books forget their idempotency keys, later than anybody repeats blindly."""
        if self.wire.lost_keys:
            hit("F9")
        self.runtime.forward(seconds=130)
        if self.kind == "quickbooks":
            self.sandbox.quickbooks.world.companies[self.play.company].requests.forget()
        else:
            self.sandbox.xero.world.answers.forget()

    def spoil_bulk(self, how: str) -> None:
        """Spoil the next answer that tells of many documents."""
        self.wire.spoils.append(bulk.Disorder(how))

    def spoil_total(self) -> None:
        """Let the next write be answered with a total that is one cent off."""
        self.wire.spoils.append(bulk.CentOff())

    def misshape(self) -> None:
        """Let Stripe's next answers about one object lack what we need of them."""
        self.wire.spoils.append(bulk.Misshapen())

    async def close_books(self, day: str) -> None:
        """Close the books up to a day."""
        self.is_closed = True
        await self.hand.close_books(day)

    async def archive(self, name: str) -> None:
        """Archive an account."""
        # Books refuse to archive an account that holds something; then it stays as it is.
        with contextlib.suppress(QuickBooksRefused, XeroRefused):
            await self.hand.archive_account(self.play.accounts[name])
            self.archived.append(self.play.accounts[name])

    async def change_in_books(self, how: str) -> None:
        """Let a person edit, void or delete one of our documents."""
        change = await human.change(self.theatre, self.dice, how)
        if change is not None:
            self.changes.append(change)

    # -- What people do in the product

    async def change_mapping(self) -> None:
        """Map the first service to another account while something of it is under way."""
        if _count("SELECT count(*) FROM operation WHERE state IN ('planned', 'sent', 'uncertain')"):
            hit("F22")
        self.has_other_mapping = True
        history = self.theatre.history
        key = self.dice.choice(history.products[1:])
        await self._patiently(lambda: self.play.map(key, "Wedding", "Product income", tax=self.theatre.free_code))

    async def change_company(self) -> None:
        """Disconnect with work under way, connect another company, and come back to the first."""
        open_ = "SELECT count(*) FROM sync_item WHERE connection_id = ? AND state IN ('pending', 'working')"
        if _count(open_, self.play.books_id.hex):
            hit("F23")
        await self._patiently(self._disconnect)
        await self.theatre.step()
        await self._patiently(lambda: self.connect(self.theatre.other_company))
        await self.theatre.step()
        await self._patiently(self._disconnect)
        await self._patiently(lambda: self.connect(self.play.company))

    async def _disconnect(self) -> None:
        # Gone already: the answer to the commit was lost, and whoever clicks again is told that nothing is connected.
        with contextlib.suppress(NotFoundError):
            await disconnect(self.wiring, self.play.owner, self.kind)

    async def connect(self, company: str) -> None:
        """Sign in to a company of the books, as its owner does."""
        given = await self.theatre.sign_in(company)
        tokens = TokenSet(given.access_token, given.refresh_token, given.expires_in, None, None, {})
        identity = Identity(company, NAME, "US", "usd", True, self._options())
        await attach(
            self.wiring, self.play.owner, kind=self.kind, mode=ConnectionMode.OAUTH, identity=identity,
            put_secrets=lambda row: put_tokens(self.wiring, row, tokens),
        )  # fmt: skip

    async def _patiently(self, click: Later) -> None:
        """Let a person click again where a page said that the database is away."""
        for _ in range(_PATIENCE):
            with contextlib.suppress(SQLAlchemyError):
                await click()
                return
        raise AssertionError("the database never came back")

    def _options(self) -> dict[str, str]:
        """Return what is known of the company, as its consent tells it again."""
        database = disk.peek()
        try:
            found = database.execute(
                "SELECT options FROM connection WHERE id = ?", (self.play.books_id.hex,)
            ).fetchone()
        finally:
            database.close()
        options: dict[str, str] = json.loads(found[0])
        return options

    async def retry_five_times(self) -> None:
        """Click retry five times at once, while the worker is at it."""
        self.sandbox.faults.clear()
        shown: list[Any] = []

        async def look() -> None:
            async with self.wiring.db.tenant(self.play.owner.tenant_id) as session:
                newest_first = select(Payment.id).order_by(Payment.paid_at.desc())
                shown[:] = (await session.execute(newest_first)).scalars()

        await self._patiently(look)
        if not shown:
            return
        payment_id = shown[0]

        async def click() -> bool:
            async with self.wiring.db.tenant(self.play.owner.tenant_id, write=True) as session:
                return await retry_payment(
                    session, payment_id, by_user_id=self.play.owner.user_id, now=self.runtime.now()
                )

        async def click_or_be_refused() -> bool:
            # A page that says that the database is away is an answer as well; the items are retried at the end.
            with contextlib.suppress(SQLAlchemyError):
                return await self.wiring.db.unit(click)
            return False

        clicks = [self.theatre.live("web", click_or_be_refused()) for _ in range(5)]
        found = await asyncio.gather(*clicks, self.theatre.step())
        if any(found[:5]):
            hit("F24")

    # -- Processes, clock and database

    async def beside_worker(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Let two processes of the web do something while the worker works."""

        async def web() -> None:
            # A page would say what went wrong; the books are what counts here.
            with contextlib.suppress(Exception):
                await work()

        webs = [self.theatre.live("web", web()) for _ in range(2)]
        await asyncio.gather(*webs, self.theatre.step())

    async def work_for(self, *, hours: float, strides: int) -> None:
        """Let the worker work on while time goes by."""
        for _ in range(strides):
            self.runtime.forward(hours=hours / strides)
            await self.theatre.step()

    async def work(self) -> None:
        """Let the product see what has happened, more or less of it."""
        await self._deliver()
        if self.side_by_side:
            await self._deploy()
        if self.loses_commits:
            self.loses_commits = False
            await self.lose_commits(self.dice)
        chance = self.dice.random()
        for _ in range(0 if chance < 0.1 else 2 if chance < 0.5 else 4):
            await self.theatre.step(dies_in=self.dies_in)
            self.dies_in = None
            if self.wire.writes_spoiled:
                await self._do_between()
            self.runtime.forward(seconds=self.dice.choice((1, 20, 70)))
            await self.sandbox.flush()
        await self._do_between()
        later, self.later = self.later, []
        for act in later:
            await act()

    async def _do_between(self) -> None:
        between, self.between = self.between, []
        for act in between:
            await act()

    async def _deliver(self) -> None:
        await self.sandbox.flush()
        if self.intake_fails:
            self.database.heal()
            self.intake_fails = False

    async def _deploy(self) -> None:
        """Start a new worker while the old one is told to stop."""
        self.side_by_side = False
        old, self.play.worker = self.play.worker, Worker(self.wiring)

        async def stop() -> None:
            for _ in range(self.dice.randint(1, 12)):
                await asyncio.sleep(0)
            old._stop()

        held = await asyncio.gather(self.theatre.live("old", self.theatre.pass_of(old)), stop(), self.theatre.step())
        if held[0]:
            hit("F32")

    def step_clock_after(self, calls: int, seconds: int) -> None:
        """Let our clock step in the middle of some call of ours: what was begun by one time ends by another."""
        left = calls

        def tick(request: httpx.Request, _: Answer) -> None:
            nonlocal left
            if left == 0 and request.headers.get("authorization"):
                self.step_clock(seconds)
            left -= 1

        self.wire.spoils.append(tick)

    def step_clock(self, seconds: int) -> None:
        """Let the clock of our machine step, while the world outside goes on as before."""
        hit("F26")
        hit("F26 backwards" if seconds < 0 else "F26 forwards")
        self.runtime.forward(seconds=seconds)
        self.sandbox.clock._offset_s -= seconds
        self.clock_ahead_s += seconds

    def mend_clock(self) -> None:
        """Set our clock right again."""
        self.runtime.forward(seconds=-self.clock_ahead_s)
        self.sandbox.clock._offset_s += self.clock_ahead_s
        self.clock_ahead_s = 0

    def keep_backup(self) -> None:
        """Make a backup now."""
        self.backup = disk.copy()

    async def restore_backup(self) -> None:
        """Put the backup in the place of the database; the operator says that it is one."""
        if self.backup is not None and self.backup != disk.copy():
            hit("F31")
            await self._restore(self.backup)

    async def lose_commits(self, dice: Random) -> None:
        """Lose what is committed from now on until the machine is gone: a failover, a moment later."""
        kept = disk.copy()
        await self.theatre.step(dies_in=dice.randint(5, 120))
        if disk.copy() != kept:
            hit("F30")
        await self._restore(kept)

    async def _restore(self, content: bytes) -> None:
        await self.theatre.restart(content)
        self.was_restored = True
        await self.set_adopting()
        self.theatre.intake.forget_what_is_not_stored()

    async def set_adopting(self) -> None:
        """Look before every first send from now on, as the runbook says after a restore (F31)."""

        async def command() -> None:
            books = await list_adopting(self.wiring.db)
            await set_adopting(self.wiring.db, [one.connection_id for one in books], is_on=True)

        await self._patiently(command)


def _count(sql: str, *values: Any) -> int:
    database = disk.peek()
    try:
        return int(database.execute(sql, values).fetchone()[0])
    finally:
        database.close()
