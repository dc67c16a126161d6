"""Writes that travel together: who is in a call is committed before it leaves, and never changes.

The members' bytes stand in their operations. After silence the very same call may go out once more within two minutes:
the same members in the same order under the same key, whatever else has become due. In every other doubt each member is
looked up, and what is missing travels in a new batch under a new key, or alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Limits
from core.books.documents import DocumentKind
from core.books.keys import operation_key
from core.db.models import Batch, ItemState, Operation, OperationState, SyncItem
from core.errors import OutcomeUnknownError
from core.sync.lane_work import BooksLane
from core.sync.operations import BLIND_REPEAT_WINDOW, Call, Move, Report, Step, mark_sent, write_of

_IN_DOUBT = (OperationState.SENT, OperationState.UNCERTAIN)
_OPEN = (ItemState.PENDING, ItemState.WORKING)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A batch that goes out once more, and the items that its members belong to, in the members' order."""

    call: Call
    item_ids: tuple[UUID, ...]


async def any_open(session: AsyncSession, connection_id: UUID) -> bool:
    """Say whether a batch of this connection is not known to have been answered."""
    open_ = select(Batch.id).where(Batch.connection_id == connection_id, Batch.settled_at.is_(None))
    return (await session.execute(open_.limit(1))).first() is not None


async def compose(
    session: AsyncSession, lane: BooksLane, steps: Sequence[Step], known: Mapping[str, Operation], now: datetime
) -> list[Call]:
    """Turn the steps of a round into calls: together what may travel together, the rest alone.

    Args:
        session: of the tenant, with the items locked.
        lane: of the books.
        steps: whose intents were written in this transaction.
        known: their operations, by key.
        now: database time.
    """
    calls: list[Call] = []
    for (kind, move), group in _groups(steps, lane.limits).items():
        size = lane.limits.together[kind]
        for start in range(0, len(group), size):
            part = tuple(group[start : start + size])
            if len(part) == 1:
                calls.append(Call(part))
            elif move is Move.SEND:
                calls.append(Call(part, await _commit(session, lane, kind, part, known, now)))
            else:
                calls.append(Call(part))
    together = {step.operation_key for call in calls for step in call.steps}
    return calls + [Call((step,)) for step in steps if step.operation_key not in together]


def _groups(steps: Sequence[Step], limits: Limits) -> dict[tuple[DocumentKind, Move], list[Step]]:
    found: defaultdict[tuple[DocumentKind, Move], list[Step]] = defaultdict(list)
    for step in steps:
        if not step.is_alone and step.write.kind in limits.together:
            found[step.write.kind, step.move].append(step)
    least = {Move.SEND: max(limits.together_from, 2), Move.LOOK_UP: 2}
    return {name: group for name, group in found.items() if len(group) >= least[name[1]]}


async def _commit(
    session: AsyncSession,
    lane: BooksLane,
    kind: DocumentKind,
    steps: Sequence[Step],
    members: Mapping[str, Operation],
    now: datetime,
) -> str:
    """Write down who travels in one call; return its key."""
    keys = [step.operation_key for step in steps]
    # How often each was sent makes the generation: what is sent again after a doubt travels under another key.
    names = "|".join(f"{key}.{members[key].sends}" for key in keys)
    key = operation_key(lane.claim.connection_id, "batch", f"{kind.value}:{names}", 0)
    # Not before it says which batch they are in: their rows are written once.
    with session.no_autoflush:
        row = await _find(session, lane, key)
    if row is None:
        row = Batch(
            tenant_id=lane.claim.tenant_id,
            id=uuid4(),
            connection_id=lane.claim.connection_id,
            kind=kind,
            key=key,
            size=len(steps),
            created_at=now,
        )
        session.add(row)
    # The same key once more only after a call that surely was not executed.
    row.sends, row.first_sent_at, row.settled_at = 1, now, None
    for position, member in enumerate(keys):
        members[member].batch_id, members[member].batch_position = row.id, position
    return key


async def settle(session: AsyncSession, lane: BooksLane, call: Call, reports: Sequence[Report], now: datetime) -> None:
    """Close a batch whose call was answered, or that has been repeated: it never goes out as it is again.

    No reports at all: the call broke through a fault of ours, and would again.
    """
    if call.batch_key is None:
        return
    row = await _find(session, lane, call.batch_key)
    if row is None:
        return
    silent = bool(reports) and all(
        isinstance(report.error, OutcomeUnknownError) and not report.error.answered for report in reports
    )
    if not silent or row.sends > 1:
        row.settled_at = now


async def repeat_one(session: AsyncSession, lane: BooksLane, now: datetime) -> Repeat | None:
    """Commit to sending a batch once more to which there was no answer at all; None when there is none to repeat."""
    open_ = select(Batch).where(Batch.connection_id == lane.claim.connection_id, Batch.settled_at.is_(None))
    for row in (await session.execute(open_.order_by(Batch.created_at))).scalars().all():
        members = await _members(session, row)
        items = await _items(session, members)
        if not _may_repeat(row, members, items, now):
            row.settled_at = now
        elif any(item.due_at is not None and item.due_at <= now for item in items):
            return _again(lane, row, members, items, now)
    return None


def _may_repeat(row: Batch, members: Sequence[Operation], items: Sequence[SyncItem], now: datetime) -> bool:
    in_time = row.first_sent_at is not None and now - row.first_sent_at <= BLIND_REPEAT_WINDOW
    untouched = len(members) == row.size and all(
        member.state in _IN_DOUBT and member.sends == 1 and not member.was_answered for member in members
    )
    waiting = len(items) == row.size and all(item.state in _OPEN and item.due_at is not None for item in items)
    return in_time and row.sends == 1 and untouched and waiting


def _again(
    lane: BooksLane, row: Batch, members: Sequence[Operation], items: Sequence[SyncItem], now: datetime
) -> Repeat:
    row.sends += 1
    steps = []
    for member in members:
        send = mark_sent(member, now=now, fence=lane.claim.fence, repeats=True)
        steps.append(Step(member.key, Move.SEND, write_of(member), send, is_alone=True))
    for item in items:
        item.state, item.changed_at = ItemState.WORKING, now
    return Repeat(Call(tuple(steps), row.key), tuple(member.item_id for member in members))


async def _members(session: AsyncSession, row: Batch) -> list[Operation]:
    statement = select(Operation).where(Operation.batch_id == row.id).order_by(Operation.batch_position)
    return list((await session.execute(statement)).scalars())


async def _items(session: AsyncSession, members: Sequence[Operation]) -> list[SyncItem]:
    ids = {member.item_id for member in members}
    statement = select(SyncItem).where(SyncItem.id.in_(ids)).order_by(SyncItem.id).with_for_update()
    return list((await session.execute(statement)).scalars())


async def _find(session: AsyncSession, lane: BooksLane, key: str) -> Batch | None:
    statement = select(Batch).where(Batch.connection_id == lane.claim.connection_id, Batch.key == key)
    return (await session.execute(statement)).scalar_one_or_none()
