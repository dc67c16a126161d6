"""Books that change while payments wait, fly or stand: nothing reaches two companies, nothing is lost (F23, N6)."""

from dataclasses import replace
from uuid import UUID

import pytest

from core.accounting.port import Posted
from core.db.models import Attempt as AttemptRow
from core.db.models import AttemptOutcome, ItemState, PaymentState, SyncItem
from core.errors import (
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.reasons import Reason
from core.sync import lanes
from core.sync import posting as engine
from core.sync.acts import ignore_payment
from core.sync.lane_work import BooksLane, load_lane
from core.sync.operations import Report, Step
from tests.core.sync.conftest import PORTRAIT, Studio, sale

SYNCED = (PaymentState.SYNCED, None)
UNMAPPED = (PaymentState.NEEDS_ATTENTION, Reason.SERVICE_NOT_MAPPED)
NO_BOOKS = (PaymentState.WAITING, Reason.BOOKS_NOT_CONNECTED)
STAYS = (PaymentState.WAITING, Reason.RECONNECT_BOOKS)


ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
"""Nothing here happens at the same time, so one database tells as much as two."""


def cleared(studio: Studio) -> int:
    return studio.ledger.books.trial_balance().get("Stripe clearing", 0)


async def test_what_stands_in_one_company_is_never_offered_to_another(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await studio.disconnect()
    # A refund, a balance transaction, a catch-up: Stripe tells of the payment again while no books are connected ...
    await studio.pay(sale(refunded_minor=100))
    assert await studio.stands(payment_id) == SYNCED
    other = await studio.connect("another company")
    await other.map(PORTRAIT.key, "Session income")
    # ... and while others are.
    await other.pay(sale(refunded_minor=200))
    await other.quiet(hours=0.2)
    assert await other.stands(payment_id) == SYNCED
    assert (cleared(studio), cleared(other)) == (43300, 0)


async def test_what_went_to_the_next_company_is_not_posted_to_the_first_when_that_is_back(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    assert await studio.stands(payment_id) == UNMAPPED
    await studio.disconnect()
    assert await studio.stands(payment_id) == NO_BOOKS
    second = await studio.connect("second")
    await second.map(PORTRAIT.key, "Session income")
    await second.quiet()
    assert await second.stands(payment_id) == SYNCED
    await second.disconnect()
    again = await studio.connect(studio.books.external_id)
    await again.map(PORTRAIT.key, "Session income")
    await again.quiet(hours=0.2)
    assert await again.stands(payment_id) == SYNCED
    assert (cleared(again), cleared(second)) == (0, 43300)
    assert not await again.retry(payment_id)


async def test_what_no_company_took_is_posted_by_the_one_that_is_back(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await studio.disconnect()
    second = await studio.connect("second")
    await second.quiet()
    assert await second.stands(payment_id) == UNMAPPED
    await second.disconnect()
    again = await studio.connect(studio.books.external_id)
    await again.map(PORTRAIT.key, "Session income")
    await again.quiet()
    # The newest item is that of the second company: a retry must find the one in use.
    if await again.stands(payment_id) != SYNCED:
        assert await again.retry(payment_id)
        await again.quiet()
    assert await again.stands(payment_id) == SYNCED
    assert (cleared(again), cleared(second)) == (43300, 0)


async def _ignore(studio: Studio, payment_id: UUID) -> bool:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        return await ignore_payment(session, payment_id, why="Cash", by_user_id=studio.person.user_id, now=now)


async def test_a_payment_left_out_stays_out_in_every_company_until_it_is_taken_up(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    assert await _ignore(studio, payment_id)
    await studio.disconnect()
    second = await studio.connect("second")
    await second.map(PORTRAIT.key, "Session income")
    await second.pay(sale(refunded_minor=1))
    await second.quiet()
    left_out = (PaymentState.IGNORED, Reason.IGNORED_BY_PERSON)
    assert await second.stands(payment_id) == left_out
    assert await second.retry(payment_id)
    await second.quiet()
    assert await second.stands(payment_id) == SYNCED
    assert cleared(second) == 43300


async def test_a_payment_left_out_between_two_companies_stays_out_when_the_first_is_back(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await studio.disconnect()
    assert await _ignore(studio, payment_id)
    again = await studio.connect(studio.books.external_id)
    await again.map(PORTRAIT.key, "Session income")
    await again.quiet()
    assert await again.stands(payment_id) == (PaymentState.IGNORED, Reason.IGNORED_BY_PERSON)
    assert await again.retry(payment_id)
    await again.quiet()
    assert await again.stands(payment_id) == SYNCED


# In flight


async def fly(studio: Studio, payment_id: UUID, step: str) -> tuple[BooksLane, UUID, Step]:
    """Carry a sale to the moment at which the call of ``step`` is under way."""
    item = next(item for item in await studio.rows(SyncItem) if item.payment_id == payment_id)
    [claim] = [c for c in await lanes.claim_lanes(studio.wiring.db, 8) if c.connection_id == studio.books.id]
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        lane = BooksLane(studio.wiring, claim, *await load_lane(session, claim.connection_id))
    planned = await engine.advance(lane, item.id, None)
    while planned is not None and not (planned.write.kind == step and planned.move.name == "SEND"):
        planned = await engine.advance(lane, item.id, await lane.call(planned))
    assert planned is not None
    return lane, item.id, planned


NOT_DONE: list[ProviderError] = [
    NotSentError("no line"),
    RateLimitedError("slow", retry_after_s=30, status=429),
    ReconnectRequiredError("revoked", status=401),
    ProviderRejectedError(Reason.REFUSED, "no", status=400),
]
IN_DOUBT: list[ProviderError] = [
    OutcomeUnknownError("lost", answered=False),
    OutcomeUnknownError("500", answered=True, status=500),
    ProviderRejectedError(Reason.NUMBER_TAKEN, "in use", status=400),
]


def _by_name(error: ProviderError) -> str:
    return f"{type(error).__name__}-{error.text}"


@pytest.mark.parametrize("books_are_next", [False, True], ids=["no books", "other books"])
@pytest.mark.parametrize("error", NOT_DONE, ids=_by_name)
@pytest.mark.parametrize("step", ["customer", "invoice"])
@ON_SQLITE
async def test_disconnected_in_flight_and_not_begun_goes_to_the_next_company(
    studio: Studio, step: str, error: ProviderError, books_are_next: bool
) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, step)
    await studio.disconnect()
    second = await studio.connect("second") if books_are_next else None
    assert await engine.advance(lane, item_id, Report(call, error=error)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    item = next(item for item in await studio.rows(SyncItem) if item.id == item_id)
    assert (item.state, item.due_at) == (ItemState.BLOCKED, None)
    if second is None:
        assert await studio.stands(payment_id) == NO_BOOKS
        second = await studio.connect("second")
    await second.map(PORTRAIT.key, "Session income")
    await second.quiet(hours=0.2)
    if await second.stands(payment_id) == UNMAPPED:
        assert await second.retry(payment_id)
        await second.quiet()
    assert await second.stands(payment_id) == SYNCED
    assert (cleared(studio), cleared(second)) == (0, 43300)


@pytest.mark.parametrize("error", IN_DOUBT, ids=_by_name)
@pytest.mark.parametrize("step", ["invoice", "payment"])
@ON_SQLITE
async def test_disconnected_in_flight_and_in_doubt_stays_and_is_settled_when_the_company_is_back(
    studio: Studio, step: str, error: ProviderError
) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, step)
    await lane.call(call)  # it was executed, only we cannot know
    await studio.disconnect()
    assert await engine.advance(lane, item_id, Report(call, error=error)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    assert await studio.stands(payment_id) == STAYS
    second = await studio.connect("second")
    await second.map(PORTRAIT.key, "Session income")
    await second.quiet(hours=0.2)
    assert await second.stands(payment_id) == STAYS
    assert not await second.retry(payment_id)
    await second.disconnect()
    again = await studio.connect(studio.books.external_id)
    await again.quiet(hours=0.2)
    assert await again.stands(payment_id) == SYNCED
    assert (cleared(again), cleared(second)) == (43300, 0)


@ON_SQLITE
async def test_disconnected_in_flight_and_posted_whole_is_synced(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "payment")
    await studio.disconnect()
    assert await engine.advance(lane, item_id, await lane.call(replace(call))) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    assert await studio.stands(payment_id) in (SYNCED, STAYS)
    again = await studio.connect(studio.books.external_id)
    await again.quiet(hours=0.2)
    assert await again.stands(payment_id) == SYNCED
    assert cleared(again) == 43300


@ON_SQLITE
async def test_disconnected_in_flight_and_posted_half_stays(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "invoice")
    answer = await lane.books.execute(call.write)
    assert isinstance(answer, Posted)
    await studio.disconnect()
    assert await engine.advance(lane, item_id, Report(call, posted=answer)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    assert await studio.stands(payment_id) == STAYS
    second = await studio.connect("second")
    await second.quiet(hours=0.2)
    assert await second.stands(payment_id) == STAYS
    outcomes = [row.outcome for row in await second.rows(AttemptRow)]
    assert outcomes.count(AttemptOutcome.CONFIRMED) == 2
