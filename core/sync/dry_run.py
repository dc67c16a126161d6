"""A dry run: what posting would do from a first day on, found by the real planners, with nothing frozen and written.

The items are named by the very functions that offer them, the documents are planned by the very planners that freeze
them, and both read the facts that are stored. So what comes out is what posting then makes, to the cent.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from core.accounting import registry
from core.accounting.port import AccountingProvider
from core.books.documents import DocumentKind, MoneyDocument
from core.books.effects import role_totals
from core.db.models import (
    POSTED_KINDS,
    BalanceTransaction,
    BooksDocument,
    BooksLink,
    Connection,
    Customer,
    DocumentState,
    ItemKind,
    ItemState,
    OpeningBalance,
    Payment,
    PaymentState,
    SyncItem,
    Tenant,
)
from core.errors import StopError
from core.reasons import Reason
from core.sync.documents import CUSTOMER, thaw
from core.sync.dry_run_result import DryRun, Stop, Stops, calls_needed
from core.sync.plan import ConnectedBooks
from core.sync.planners import plan
from core.sync.planners.offers import rows_since, wanted_for
from core.sync.planners.rows import OPENING, movement_rows
from core.sync.planners.wanted import Ground, Wanted, existing_items

PAGE = 500
"""How many facts are held in memory at a time."""

_CHARGE = "charge"
_GROWING = frozenset({ItemKind.REFUND, ItemKind.DISPUTE, ItemKind.PAYOUT})
_PLANNED_ANEW = frozenset(
    {
        Reason.SERVICE_NOT_MAPPED,
        Reason.CLEARING_NOT_CHOSEN,
        Reason.ROLE_NOT_CHOSEN,
        Reason.UNKNOWN_CATEGORY,
        Reason.ACCOUNT_INACTIVE,
        Reason.TAX_CODE_MISFIT,
        Reason.LINES_DO_NOT_ADD_UP,
        Reason.CURRENCY_NOT_ENABLED,
        Reason.SETTLED_ELSEWHERE,
    }
)
"""Reasons of stopped items that the planners themselves would name again; others stay as they are."""

Tell = Callable[[int], Awaitable[None]]
"""Told after each page how many items have been planned so far."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a dry run is asked about: the opened books, the first moment, and payments that must not be posted.

    ``duplicates`` holds Stripe's ids of payments that seem to stand in the books already.
    """

    connection: Connection
    books: AccountingProvider
    starts_at: datetime
    duplicates: Collection[str] = frozenset()


async def dry_run(session: AsyncSession, scope: Scope, *, now: datetime, tell: Tell | None = None) -> DryRun:
    """Plan everything since the first moment that does not stand in the books yet, and post nothing.

    Args:
        session: of the tenant, for reading; nothing else may be done with it.
        scope: what to plan.
        now: the present moment; what is due later, such as the fees of today, is planned all the same.
        tell: is told of the progress.
    """
    tenant = await session.get_one(Tenant, scope.connection.tenant_id)
    # The planners ask the tenant's row for the first day. It is told in memory alone: this session never writes.
    set_committed_value(tenant, "posting_starts_at", scope.starts_at)
    ground = Ground(tenant.id, scope.connection, scope.starts_at, ZoneInfo(tenant.time_zone))
    rehearsal = _Rehearsal(session, scope, ground, now)
    await rehearsal.books_so_far()
    async for wanted in rehearsal.everything():
        await rehearsal.take(wanted)
        if tell is not None:
            await tell(rehearsal.items)
    return await rehearsal.result()


class _Rehearsal:
    """Adds up what one dry run finds."""

    def __init__(self, session: AsyncSession, scope: Scope, ground: Ground, now: datetime) -> None:
        self.session, self.scope, self.ground, self.now = session, scope, ground, now
        connection = scope.connection
        self.profile = ConnectedBooks(connection, registry.get(connection.kind).display_name)
        self.items = 0
        self._documents: Counter[DocumentKind] = Counter()
        self._support: dict[str, DocumentKind] = {}
        self._totals: Counter[str] = Counter()
        self._stops = Stops()
        self._seen: set[tuple[ItemKind, str]] = set()
        self._sales = self._gross_minor = 0
        self._opening_minor: int | None = None

    async def books_so_far(self) -> None:
        """Begin with what was posted already, and with the decisions in force."""
        await self.profile.remember(self.session)
        after = UUID(int=0)
        while True:
            statement = (
                select(BooksDocument)
                .where(
                    BooksDocument.connection_id == self.ground.books.id,
                    BooksDocument.state == DocumentState.POSTED,
                    BooksDocument.id > after,
                )
                .order_by(BooksDocument.id)
                .limit(PAGE)
            )
            rows = (await self.session.execute(statement)).scalars().all()
            self._add(thaw(row.kind, row.content) for row in rows)
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def everything(self) -> AsyncIterator[Sequence[Wanted]]:
        """Name all items, page by page: as posting would ask for them."""
        yield await self._openings()
        async for sales in self._sales_since():
            yield sales
        async for rows in rows_since(self.session, self.ground):
            home = self.ground.books.currency.lower()
            charges = [row for row in rows if row.reporting_category == _CHARGE and row.currency.lower() == home]
            self._sales += len(charges)
            self._gross_minor += sum(row.amount_minor for row in charges)
            yield await wanted_for(self.session, self.ground, rows, now=self.now)
        yield await self._begun()

    async def _openings(self) -> list[Wanted]:
        home = self.ground.books.currency.lower()
        statement = select(OpeningBalance).where(OpeningBalance.starts_at == self.ground.starts_at)
        rows = (await self.session.execute(statement)).scalars().all()
        self._opening_minor = next((row.amount_minor for row in rows if row.currency.lower() == home), None)
        return [Wanted(ItemKind.OPENING, f"{OPENING}{row.currency}", self.now) for row in rows if row.amount_minor]

    async def _sales_since(self) -> AsyncIterator[Sequence[Wanted]]:
        """Yield the sales of payments whose money came in scope; a person's word to leave one out stands."""
        moved_at = func.coalesce(BalanceTransaction.created_at, Payment.paid_at)
        left_out = and_(Payment.state == PaymentState.IGNORED, Payment.reason != Reason.BEFORE_START)
        after = UUID(int=0)
        while True:
            statement = (
                select(Payment)
                .outerjoin(BalanceTransaction, BalanceTransaction.stripe_id == Payment.stripe_balance_transaction_id)
                .where(moved_at >= self.ground.starts_at, or_(Payment.reason.is_(None), ~left_out), Payment.id > after)
                .order_by(Payment.id)
                .limit(PAGE)
            )
            rows = (await self.session.execute(statement)).scalars().all()
            # Held while the page is planned, so that each is read once.
            clients = await self._clients(rows)
            yield [Wanted(ItemKind.SALE, row.source_id, self.now, row.id) for row in rows]
            del clients
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def _clients(self, rows: Sequence[Payment]) -> Sequence[Customer]:
        statement = select(Customer).where(Customer.id.in_({row.customer_id for row in rows}))
        return (await self.session.execute(statement)).scalars().all()

    async def _begun(self) -> list[Wanted]:
        """Name items of the queue whose documents are frozen already: nobody would ask for them again."""
        statement = select(SyncItem.kind, SyncItem.source_id, SyncItem.payment_id).where(
            SyncItem.connection_id == self.ground.books.id,
            SyncItem.kind.in_(POSTED_KINDS),
            SyncItem.state.not_in((ItemState.DONE, ItemState.IGNORED)),
        )
        return [
            Wanted(kind, name, self.now, payment_id)
            for kind, name, payment_id in (await self.session.execute(statement)).all()
        ]

    async def take(self, wanted: Sequence[Wanted]) -> None:
        """Plan some items and add up what their documents would do."""
        new = [one for one in wanted if (one.kind, one.source_id) not in self._seen]
        self._seen.update((one.kind, one.source_id) for one in new)
        for start in range(0, len(new), PAGE):
            page = new[start : start + PAGE]
            mine, elsewhere = await existing_items(self.session, self.ground, page)
            posted = await self._posted_steps(mine.values())
            for one in page:
                key = (one.kind, one.source_id)
                item = mine.get(key)
                if key not in elsewhere and not _is_settled(item):
                    await self._plan(one, item, posted.get(item.id, frozenset()) if item else frozenset())

    async def _posted_steps(self, items: Iterable[SyncItem]) -> Mapping[UUID, frozenset[str]]:
        statement = select(BooksDocument.item_id, BooksDocument.step).where(
            BooksDocument.item_id.in_({item.id for item in items}), BooksDocument.state == DocumentState.POSTED
        )
        found: dict[UUID, frozenset[str]] = {}
        for item_id, step in (await self.session.execute(statement)).all():
            found[item_id] = found.get(item_id, frozenset()) | {step}
        return found

    async def _plan(self, one: Wanted, item: SyncItem | None, posted: frozenset[str]) -> None:
        if one.kind is ItemKind.SALE and one.source_id in self.scope.duplicates:
            await self._stop(one, StopError(Reason.LOOKS_LIKE_DUPLICATE))
            return
        if item is not None and item.state is ItemState.NEEDS_ATTENTION and item.reason not in _PLANNED_ANEW:
            await self._stop(one, StopError(item.reason or Reason.REFUSED, dict(item.reason_detail)))
            return
        try:
            planned = await plan(self.session, item or self._item(one), self.profile)
        except StopError as stop:
            await self._stop(one, stop)
            return
        parts = [part for document in planned for part in self.scope.books.parts(document)]
        self._note([part for part in parts if part.step not in posted])

    def _item(self, one: Wanted) -> SyncItem:
        """Return an item that no queue will ever hold: the planners want to know what they plan for."""
        return SyncItem(
            id=uuid4(),
            tenant_id=self.ground.tenant_id,
            connection_id=self.ground.books.id,
            kind=one.kind,
            source_id=one.source_id,
            payment_id=one.payment_id,
        )

    def _note(self, parts: Sequence[MoneyDocument]) -> None:
        self.items += bool(parts)
        self._add(parts)
        for part in parts:
            self._documents[part.kind] += 1
            self._support |= {step: DocumentKind.CUSTOMER for step in part.needs if step.startswith(CUSTOMER)}
            self._support |= {needed.step: needed.kind for needed in self.scope.books.supporting(part)}

    def _add(self, documents: Iterable[MoneyDocument]) -> None:
        for account_id, amount in role_totals(documents).items():
            self._totals[account_id] += amount

    async def _stop(self, one: Wanted, stop: StopError) -> None:
        amount, currency = await self._amount(one)
        self._stops.add(
            Stop(
                kind=one.kind,
                reason=stop.reason,
                detail={"books": self.profile.name, **{key: str(value) for key, value in stop.detail.items()}},
                count=1,
                amount_minor=amount,
                currency=currency,
                payment_ids=(str(one.payment_id),) if one.payment_id else (),
            )
        )

    async def _amount(self, one: Wanted) -> tuple[int, str]:
        """Return what an item that stops is about: what it would do to the clearing account, fees apart."""
        home = self.ground.books.currency.lower()
        if one.kind is ItemKind.SALE and one.payment_id is not None:
            payment = await self.session.get_one(Payment, one.payment_id)
            if payment.settled_minor is None:
                return payment.amount_minor, payment.currency
            return payment.settled_minor, payment.settled_currency or home
        if one.kind is ItemKind.MOVEMENT:
            statement = select(BalanceTransaction).where(BalanceTransaction.stripe_id == one.source_id)
            rows: Sequence[BalanceTransaction] = (await self.session.execute(statement)).scalars().all()
        else:
            rows = await movement_rows(self.session, one.source_id)
        if one.kind is ItemKind.OPENING:
            return self._opening_minor or 0, one.source_id.removeprefix(OPENING)
        in_scope = [row for row in rows if row.created_at >= self.ground.starts_at]
        return sum(row.amount_minor for row in in_scope), in_scope[0].currency if in_scope else home

    async def result(self) -> DryRun:
        """Return what was found; accounts at zero are left out."""
        linked = await self._linked()
        support = Counter(kind for step, kind in self._support.items() if step not in linked)
        needed = calls_needed(self.scope.books.limits, {**self._documents, **support})
        return DryRun(
            starts_at=self.scope.starts_at,
            counted_at=self.now,
            currency=self.ground.books.currency.lower(),
            items=self.items,
            documents=dict(self._documents),
            support=dict(support),
            calls=needed.calls,
            seconds=needed.seconds,
            totals={account: amount for account, amount in self._totals.items() if amount},
            stops=self._stops.all(),
            sales=self._sales,
            gross_minor=self._gross_minor,
            opening_minor=self._opening_minor,
        )

    async def _linked(self) -> set[str]:
        """Return the clients, items and payees that the books are known to have."""
        steps, found = sorted(self._support), set[str]()
        for start in range(0, len(steps), PAGE):
            known = select(BooksLink.step).where(
                BooksLink.connection_id == self.ground.books.id, BooksLink.step.in_(steps[start : start + PAGE])
            )
            found.update((await self.session.execute(known)).scalars())
        return found


def _is_settled(item: SyncItem | None) -> bool:
    """Whether posting would leave an item alone."""
    if item is None:
        return False
    return item.state is ItemState.IGNORED or (item.state is ItemState.DONE and item.kind not in _GROWING)
