"""What a worker holds while a lane is its own: the opened provider, the pace, the breaker."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.accounting.port import AccountingProvider, Limits
from core.clock import Runtime
from core.connections.access import access_token
from core.connections.providers import open_books
from core.connections.status import note_broken
from core.db.models import BooksAccount, Connection, ItemKind, ItemState, Lane, Payment, PaymentState, SyncItem
from core.db.session import Database
from core.errors import (
    AccessExpiredError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitedError,
)
from core.reasons import Reason
from core.sync import ladder, lanes
from core.sync.call_counts import Spent, count
from core.sync.lanes import Claim
from core.sync.operations import Call, Report, Step, failed, perform_call
from core.sync.plan import ConnectedBooks
from core.wiring import Wiring

T = TypeVar("T")
LONGEST_PACE = timedelta(minutes=2)
"""No honest call is paid for longer than this: it would be a hundred requests in one."""

TOKEN_KEPT_S = 2.0
"""Reading it again is how a disconnection stops what is under way; so short a time spares a sale most of its reads."""

_NO_ANSWER = (NotSentError, OutcomeUnknownError, ProviderUnavailableError)


@dataclass(frozen=True, slots=True)
class Standing:
    """A lane's breaker, its pause, and the rates and settings that its items wait for."""

    failures: int
    paused: bool
    paused_until: datetime | None
    rates_wanted: dict[tuple[str, date], list[UUID]]
    settings_wanted: list[UUID]


class LaneWork:
    """The part that every kind of lane shares: pace, pause and breaker."""

    def __init__(self, wiring: Wiring, claim: Claim, connection: Connection, failures: int) -> None:
        self.wiring = wiring
        self.claim = claim
        self.connection = connection
        self.failures = failures
        self.paused = False
        self.paused_until: datetime | None = None
        # How the last call ended: with an answer of whatever kind, or with none; None: no call was made.
        self.is_answering: bool | None = None
        # The limit that was met is that of all connections to this provider together.
        self.everyone_rests_until: datetime | None = None
        self._is_limit_of_all = False
        self.next_call_at = claim.next_call_at
        self._access: str | None = None
        self._access_until = 0.0
        self._opened_at = wiring.runtime.monotonic()
        self._was_left = claim.was_left
        self.reconnect_reason = Reason.RECONNECT_STRIPE

    @property
    def db(self) -> Database:
        """The process's database."""
        return self.wiring.db

    @property
    def runtime(self) -> Runtime:
        """Clock and dice."""
        return self.wiring.runtime

    async def pace(self, calls_per_second: float, *, burst: int = 1) -> None:
        """Wait until the connection's next call is allowed; the lease makes this one clock for all processes.

        ``next_call_at`` is when a call at the even pace would be due. ``burst`` calls may run ahead of it.
        """
        interval = timedelta(seconds=1 / calls_per_second)
        now = self.runtime.now()
        due = self.next_call_at or now
        if due > now + LONGEST_PACE:
            # A clock that was ahead wrote it; the lane would be asleep until ours gets there (F26).
            due = now
        if self._was_left:
            # Its owner died and did not say when it called last. As if it had just spent its burst: one more for each
            # death would make more calls than the provider takes.
            self._was_left = False
            due = max(due, now + interval * burst)
        if due - interval * (burst - 1) > now:
            await self.runtime.sleep((due - interval * (burst - 1) - now).total_seconds())
            now = self.runtime.now()
        self.next_call_at = max(now, due) + interval

    async def record(self, work: Callable[[AsyncSession, datetime], Awaitable[T]]) -> T:
        """Run one unit of writing as the lane's owner, again where the database asks for it (F27).

        Raises:
            LeaseLostError: the lane went to somebody else; nothing of it stands.
        """

        async def unit() -> T:
            async with self.db.tenant(self.claim.tenant_id, write=True) as session:
                await lanes.guard(self.db, session, self.claim)
                return await work(session, await self.db.now(session))

        return await self.db.unit(unit)

    async def token(self, refused: str | None = None) -> str:
        """Return a usable access token; see :func:`core.connections.access.access_token`.

        It is asked for again after some seconds: it lives for minutes at least, and one that was ended meanwhile is
        refused by who gave it.
        """
        now = self.runtime.monotonic()
        if self._access is None or refused is not None or now >= self._access_until:
            self._access = None
            self._access = await access_token(
                self.wiring,
                tenant_id=self.claim.tenant_id,
                connection_id=self.claim.connection_id,
                refused=refused,
                row=self.connection if refused is None and now < self._opened_at + TOKEN_KEPT_S else None,
            )
            self._access_until = now + TOKEN_KEPT_S
        return self._access

    async def pause(
        self, session: AsyncSession, retry_after_s: float | None, reason: Reason, now: datetime, floor_s: float = 60.0
    ) -> datetime:
        """Rest the whole connection; return until when. Where no time is stated, longer after each slow-down.

        ``floor_s``: QuickBooks names no time, and its documentation asks for a minute.
        """
        self.paused = True
        if reason is Reason.RATE_LIMITED:
            self.failures += 1
            await lanes.note_failures(session, self.claim, self.failures)
        until = self.paused_until = now + ladder.pause_for(self.runtime, retry_after_s, self.failures, floor_s=floor_s)
        await lanes.hold(session, self.claim, until=until, reason=reason)
        if self._is_limit_of_all:
            self.everyone_rests_until = until
        return until

    def heard(self, error: ProviderError | None) -> None:
        """Take down how a call ended."""
        self.is_answering = not isinstance(error, _NO_ANSWER)
        self._is_limit_of_all = isinstance(error, RateLimitedError) and error.is_of_all

    async def block_connection(self, session: AsyncSession, now: datetime) -> None:
        """Let every waiting item of this connection wait for a sign-in: nothing fails, nothing is tried (F17)."""
        self.paused = True
        # Whatever said so, the call or the refresh: the pages must offer to sign in again.
        await note_broken(session, tenant_id=self.claim.tenant_id, connection_id=self.claim.connection_id, now=now)
        waiting = (ItemState.PENDING, ItemState.WORKING)
        blocked = (
            update(SyncItem)
            .where(SyncItem.connection_id == self.claim.connection_id, SyncItem.state.in_(waiting))
            .values(
                state=ItemState.BLOCKED,
                due_at=None,
                reason=self.reconnect_reason,
                reason_detail={"books": self.display_name},
                changed_at=now,
            )
            .execution_options(synchronize_session="fetch")
        )
        await session.execute(blocked)
        theirs = select(SyncItem.payment_id).where(
            SyncItem.connection_id == self.claim.connection_id,
            SyncItem.kind.in_((ItemKind.SALE, ItemKind.FETCH_PAYMENT)),
            SyncItem.state == ItemState.BLOCKED,
            SyncItem.reason == self.reconnect_reason,
        )
        shown = (
            update(Payment)
            .where(Payment.id.in_(theirs), Payment.state.in_((PaymentState.WAITING, PaymentState.SYNCING)))
            .values(
                state=PaymentState.WAITING,
                reason=self.reconnect_reason,
                reason_detail={"books": self.display_name},
                next_try_at=None,
            )
            .execution_options(synchronize_session="fetch")
        )
        await session.execute(shown)

    @property
    def display_name(self) -> str:
        """Name of the provider for people."""
        return "Stripe"

    @staticmethod
    def digest(body: bytes) -> str:
        """Return the hash that proves which bytes were frozen."""
        return hashlib.sha256(body).hexdigest()


class BooksLane(LaneWork):
    """A lane to a set of books."""

    def __init__(self, wiring: Wiring, claim: Claim, connection: Connection, failures: int) -> None:
        super().__init__(wiring, claim, connection, failures)
        self.reconnect_reason = Reason.RECONNECT_BOOKS
        self._books: AccountingProvider | None = None
        self._token: str | None = None
        self.profile = ConnectedBooks(connection, self.display_name)
        # Set after a restore from a backup: look up every reference before its first send (F31).
        self.adopting = connection.options.get("adopt") == "yes"
        self.spent, self._counted = Spent(), Spent()
        # Rates that plans have asked for, with the items that wait for each.
        self.rates_wanted: dict[tuple[str, date], list[UUID]] = {}
        # Items that stop on what was last read of the books' settings; and whether these were read in this lease.
        self.settings_wanted: list[UUID] = []
        self.has_fresh_settings = False
        self._settings_read_at: datetime | None = None
        # Whether calls that carried several documents may have to be repeated, or were cut off.
        self.has_open_batches = False

    @property
    def display_name(self) -> str:
        """Name of the provider for people."""
        return registry.get(self.connection.kind).display_name

    @property
    def limits(self) -> Limits:
        """Pace and settling time of the opened books."""
        return self.books.limits

    @property
    def books(self) -> AccountingProvider:
        """The opened books, bound to whatever token is at hand: preparing needs none."""
        if self._books is None:
            self._books = open_books(self.wiring, self.connection, self._token or "")
        return self._books

    def standing(self) -> Standing:
        """Return what a transaction changes of the lane itself, to go back to should it be undone."""
        rates = {rate: list(items) for rate, items in self.rates_wanted.items()}
        return Standing(self.failures, self.paused, self.paused_until, rates, list(self.settings_wanted))

    def stand_as(self, before: Standing) -> None:
        """Go back to what the lane was before a transaction that was undone."""
        self.failures, self.paused, self.paused_until = before.failures, before.paused, before.paused_until
        self.rates_wanted, self.settings_wanted = before.rates_wanted, before.settings_wanted

    async def settings_read_at(self, session: AsyncSession) -> datetime | None:
        """Return when these books last said how they are set up; None: never."""
        if self._settings_read_at is None:
            read = select(func.max(BooksAccount.read_at)).where(BooksAccount.connection_id == self.claim.connection_id)
            self._settings_read_at = (await session.execute(read)).scalar_one()
        return self._settings_read_at

    def take_settings(self, connection: Connection | None) -> None:
        """Prepare by these settings of the books from now on; None: they could not be had, and stay as they are."""
        self.has_fresh_settings = True
        if connection is not None:
            self.connection, self._books = connection, None

    async def call(self, step: Step) -> Report:
        """Make one call for one step; see :meth:`make`."""
        [report] = await self.make(Call((step,)))
        return report

    async def make(self, call: Call) -> list[Report]:
        """Make one call at the right pace with a valid token; a 401 refreshes once and repeats once (F13)."""

        async def asking(books: AccountingProvider) -> list[Report]:
            return await perform_call(books, call)

        reports = await self._make(call, asking, refused=None)
        self.heard(reports[0].error)
        if self._token and isinstance(reports[0].error, AccessExpiredError):
            reports = await self._make(call, asking, refused=self._token)
            self.heard(reports[0].error)
        self.spent.slow_downs += any(isinstance(report.error, RateLimitedError) for report in reports)
        return reports

    async def _make(
        self, call: Call, asking: Callable[[AccountingProvider], Awaitable[list[Report]]], *, refused: str | None
    ) -> list[Report]:
        try:
            await self._open_with_token(refused)
        except ProviderError as exc:
            return failed(call, exc)
        return await self._paced(asking, is_batch=call.batch_key is not None)

    async def count(self, session: AsyncSession, posted: Spent, now: datetime) -> None:
        """Write down what the calls so far have cost and brought, in the transaction that settles them."""
        due = replace(self.spent, documents=posted.documents, payments=posted.payments)
        await count(session, tenant_id=self.claim.tenant_id, connection_id=self.claim.connection_id, spent=due, now=now)
        self._counted = due

    async def record(self, work: Callable[[AsyncSession, datetime], Awaitable[T]]) -> T:
        """Run one unit of writing as the lane's owner; what it counted is counted once it stands.

        Raises:
            LeaseLostError: the lane went to somebody else; nothing of it stands.
        """
        self._counted = Spent()
        result = await super().record(work)
        self.spent = replace(
            self.spent,
            calls=self.spent.calls - self._counted.calls,
            slow_downs=self.spent.slow_downs - self._counted.slow_downs,
        )
        return result

    async def ask(self, asking: Callable[[AccountingProvider], Awaitable[T]]) -> T:
        """Read from the books at the right pace with a valid token; a 401 refreshes once and repeats once.

        Raises:
            ProviderError: as the adapter does; or no token can be had.
        """
        try:
            answer = await self._ask(asking)
        except ProviderError as exc:
            self.heard(exc)
            raise
        self.heard(None)
        return answer

    async def _ask(self, asking: Callable[[AccountingProvider], Awaitable[T]]) -> T:
        await self._open_with_token(None)
        try:
            return await self._paced(asking)
        except AccessExpiredError:
            if not self._token:
                raise
        await self._open_with_token(self._token)
        return await self._paced(asking)

    async def _open_with_token(self, refused: str | None) -> None:
        if not registry.get(self.connection.kind).uses_oauth:
            return
        try:
            token = await self.token(refused)
        except OutcomeUnknownError as exc:
            # The doubt is about the refresh; the call itself was not made.
            raise ProviderUnavailableError(exc.text, status=exc.status) from exc
        if token != self._token:
            self._token, self._books = token, open_books(self.wiring, self.connection, token)

    async def _paced(self, asking: Callable[[AccountingProvider], Awaitable[T]], *, is_batch: bool = False) -> T:
        """Make what may be several requests in a row, and let the next call wait for all of them."""
        limits = self.limits
        pace = limits.batches_per_second if is_batch and limits.batches_per_second else limits.calls_per_second
        await self.pace(pace, burst=limits.burst)
        before = self.books.calls
        try:
            return await asking(self.books)
        finally:
            made = self.books.calls - before
            self.spent.calls += made
            if made > 1 and self.next_call_at is not None:
                self.next_call_at += timedelta(seconds=(made - 1) / limits.calls_per_second)


async def load_lane(session: AsyncSession, connection_id: UUID) -> tuple[Connection, int]:
    """Read the connection of a claimed lane and its row of failures."""
    connection = await session.get_one(Connection, connection_id)
    lane = await session.get_one(Lane, connection_id)
    return connection, lane.failures
