"""The ledger of intents: one row per provider write, and the rule for every doubt.

The life of a write:

1. its exact bytes are committed (``SENT`` before the first byte leaves);
2. the answer settles it: ``CONFIRMED``, ``REJECTED``, or back to ``PLANNED`` when it surely did not happen;
3. anything else is a doubt (``UNCERTAIN``, or ``SENT`` left behind by a dead process). No answer at all: the same bytes
   under the same key once more, within two minutes. Otherwise look it up by its reference: found and equal, adopt it;
   found and different, a person decides; not found and the last send is older than the settling time, send again.

Never is anything sent again blind. Several writes may travel in one call; each keeps its own row and its own outcome.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from core.accounting.port import AccountingProvider, Limits, Posted, PreparedWrite
from core.books.documents import DocumentKind
from core.db.models import AttemptOutcome, Operation, OperationState
from core.errors import (
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
)

BLIND_REPEAT_WINDOW = timedelta(minutes=2)
FOUND_FIRST = frozenset({DocumentKind.CUSTOMER, DocumentKind.ITEM, DocumentKind.PAYEE})
"""Kinds that may exist already because a person made them: looked up before they are ever created."""


class Move(Enum):
    """What to do about an operation now."""

    SEND = auto()
    LOOK_UP = auto()
    WAIT = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """One call to make. Its intent is committed. ``send`` as in :meth:`AccountingProvider.execute`.

    ``is_alone``: it must not travel with others: the same bytes once more after silence go as they went before, and
    what has broken a call of ours breaks its own only.
    """

    operation_key: str
    move: Move
    write: PreparedWrite
    send: int = 1
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request: a step alone, or several of one kind and move together. ``batch_key``: of a committed batch."""

    steps: tuple[Step, ...]
    batch_key: str | None = None

    @property
    def is_alone(self) -> bool:
        """Whether it is one step that travels as itself."""
        return self.batch_key is None and len(self.steps) == 1


@dataclass(frozen=True, slots=True)
class Report:
    """How one call ended: the operation, what was tried, what stands in the books, or the error.

    ``is_first``: of all that one failed call was for, the one that counts as the failure. ``was_made`` False: the call
    was held back, nothing left.
    """

    step: Step
    posted: Posted | None = None
    error: ProviderError | None = None
    is_first: bool = True
    was_made: bool = True

    @property
    def is_trouble(self) -> bool:
        """Whether it says that other calls might end badly too."""
        return self.error is not None and not isinstance(self.error, ProviderRejectedError)

    @property
    def outcome(self) -> AttemptOutcome:
        """The word that the history keeps."""
        if self.error is None:
            if self.step.move is Move.SEND:
                return AttemptOutcome.CONFIRMED
            return AttemptOutcome.FOUND if self.posted else AttemptOutcome.NOT_FOUND
        return _WORD.get(type(self.error), AttemptOutcome.UNKNOWN)


_WORD: dict[type[ProviderError], AttemptOutcome] = {
    NotSentError: AttemptOutcome.NOT_SENT,
    OutcomeUnknownError: AttemptOutcome.UNKNOWN,
    RateLimitedError: AttemptOutcome.RATE_LIMITED,
    ProviderUnavailableError: AttemptOutcome.UNAVAILABLE,
    ProviderRejectedError: AttemptOutcome.REJECTED,
}


def write_of(operation: Operation) -> PreparedWrite:
    """Return the frozen write of a stored operation: the very bytes that were committed."""
    return PreparedWrite(
        kind=operation.kind,
        step=operation.step,
        key=operation.key,
        reference=operation.reference,
        path=operation.path,
        body=operation.body,
        total_minor=operation.total_minor,
        currency=operation.currency,
        party_id=operation.party_id,
        home_minor=operation.home_minor,
    )


def next_move(operation: Operation, *, now: datetime, limits: Limits | None = None, adopting: bool = False) -> Move:
    """Decide what an unsettled operation needs.

    Args:
        operation: PLANNED, SENT or UNCERTAIN.
        now: database time.
        limits: of the books; they name the kinds that nothing there keeps from being doubled.
        adopting: look before every first send (after a restore from a backup, F31).
    """
    if operation.state is OperationState.PLANNED:
        found_first = FOUND_FIRST | limits.found_first if limits is not None else FOUND_FIRST
        look_first = operation.sends == 0 and (adopting or operation.kind in found_first)
        return Move.LOOK_UP if look_first else Move.SEND
    if operation.batch_id is not None:
        # Alone it has another key than it had among others: only the whole batch can be repeated (core.sync.batch).
        return Move.LOOK_UP
    in_time = operation.first_sent_at is not None and now - operation.first_sent_at <= BLIND_REPEAT_WINDOW
    if operation.sends == 1 and not operation.was_answered and in_time:
        return Move.SEND
    return Move.LOOK_UP


def after_not_found(operation: Operation, *, now: datetime, limits: Limits) -> Move:
    """Decide after a look-up that found nothing: believe it only when the last send has had time to show."""
    if operation.last_sent_at is None or now - operation.last_sent_at >= timedelta(seconds=limits.settling_s):
        return Move.SEND
    return Move.WAIT


def mark_sent(operation: Operation, *, now: datetime, fence: int, repeats: bool) -> int:
    """Write the intent down; the caller commits before anything leaves. Return which sending this is.

    Args:
        operation: PLANNED, SENT or UNCERTAIN.
        now: database time.
        fence: of the lease.
        repeats: the same bytes once more without a look-up: still the first sending, never a new one.
    """
    operation.state = OperationState.SENT
    operation.sends += 1
    operation.first_sent_at = operation.first_sent_at or now
    operation.last_sent_at = now
    operation.fence = fence
    return 1 if repeats else operation.sends


def differences(operation: Operation, posted: Posted) -> dict[str, object]:
    """Compare what stands in the books with what was sent, to the minor unit; empty means equal (F19)."""
    found: dict[str, object] = {}
    if operation.total_minor is not None and posted.total_minor != operation.total_minor:
        found["total_minor"] = posted.total_minor
    if operation.total_minor is not None and posted.currency and posted.currency.lower() != operation.currency.lower():
        found["currency"] = posted.currency
    if operation.home_minor is not None and posted.home_minor not in (None, operation.home_minor):
        found["home_minor"] = posted.home_minor
    if operation.party_id is not None and posted.party_id is not None and posted.party_id != operation.party_id:
        found["customer"] = posted.party_id
    return found


async def perform_call(provider: AccountingProvider, call: Call) -> list[Report]:
    """Make one request and say for each of its steps how it ended; only provider errors are caught."""
    if call.is_alone:
        return [await perform(provider, call.steps[0])]
    writes = [step.write for step in call.steps]
    ends: list[Posted | ProviderError | None]
    try:
        if call.batch_key is not None:
            ends = list(await provider.execute_many(writes, key=call.batch_key))
        else:
            ends = list(await provider.look_up_many(writes))
    except ProviderError as exc:
        return failed(call, exc)
    told: list[ProviderError] = []
    reports = []
    for step, end in zip(call.steps, ends, strict=True):
        if isinstance(end, ProviderError):
            reports.append(Report(step, error=end, is_first=not any(end is other for other in told)))
            told.append(end)
        else:
            reports.append(Report(step, posted=end))
    return reports


def failed(call: Call, error: ProviderError) -> list[Report]:
    """Return what a call that failed as a whole means for each of its steps: the same, counted once."""
    return [Report(step, error=error, is_first=number == 0) for number, step in enumerate(call.steps)]


async def perform(provider: AccountingProvider, step: Step) -> Report:
    """Make one call for one step and say how it ended; only provider errors are caught."""
    try:
        if step.move is Move.SEND:
            return Report(step, posted=await provider.execute(step.write, send=step.send))
        return Report(step, posted=await provider.look_up(step.write))
    except ProviderError as exc:
        return Report(step, error=exc)
