"""A whole story of webhooks, in any order and three times over: each movement is in the books exactly once."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.config import Settings
from core.db.models import (
    Attempt,
    AttemptOutcome,
    EventState,
    Operation,
    OperationState,
    Payment,
    PaymentState,
    StripeEvent,
)
from core.intake.handlers import is_known
from tests.core.sync.stage import Stage, staged
from tests.postgres import Cluster

SCENARIO = Path(__file__).parents[4] / "shared" / "specs" / "stripe" / "scenario_card_refund_dispute_payout.json"
TIMES = 3

pytestmark = pytest.mark.skipif(not SCENARIO.is_file(), reason="the example story is not in this clone")


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCENARIO.read_text(encoding="utf-8"))
    assert len(found["events"]) == 18
    return found


async def tell(stage: Stage, story: dict[str, Any], seed: int) -> None:
    """Deliver every event three times in some order, with the worker at work in between."""
    dice = random.Random(seed)
    deliveries = list(story["events"]) * TIMES
    dice.shuffle(deliveries)
    for event in deliveries:
        await stage.deliver(event)
        if dice.random() < 0.3:
            await stage.worker.step()
    await stage.work()


async def check(stage: Stage, story: dict[str, Any]) -> None:
    payments = await stage.rows(Payment)
    assert {payment.source_id: payment.state for payment in payments} == dict.fromkeys(
        ("pi_3A", "pi_3B"), PaymentState.SYNCED
    )
    invoices, paid = stage.books.books.documents("invoice"), stage.books.books.documents("payment")
    assert sorted(document.total_minor for document in invoices) == [8000, 12500]
    assert sorted(document.total_minor for document in paid) == [8000, 12500]
    assert all(invoice.paid_minor == invoice.total_minor for invoice in invoices)
    balance = stage.books.books.trial_balance()
    expected = story["expected"]
    # What a client paid, less what went back, was disputed and was charged, is what Stripe sent to the bank.
    left = expected["gross"] + expected["refunds"] + expected["disputes"] - expected["stripe_fees"]
    assert balance["Bank of the story"] == left == expected["payout"]
    assert (balance["Stripe clearing"], balance["Stripe disputes held"]) == (0, 0)
    assert balance["Stripe fees"] + balance["Dispute fees"] == expected["stripe_fees"]
    assert sum(balance.values()) == 0
    # One client paid both, once as a customer of Stripe and once with an e-mail address alone.
    assert [customer.name for customer in stage.books.books.customers()] == ["Ann Example"]

    events = await stage.rows(StripeEvent)
    assert len(events) == 18
    for event in events:
        assert event.state is (EventState.ROUTED if is_known(event.type) else EventState.KEPT), event.type
    assert [event.type for event in events if event.state is EventState.KEPT] == ["customer.created"]
    assert {operation.state for operation in await stage.rows(Operation)} == {OperationState.CONFIRMED}
    attempts = await stage.rows(Attempt)
    # A refund that comes before its sale is stopped, and goes on by itself.
    expected_outcomes = {
        AttemptOutcome.CONFIRMED,
        AttemptOutcome.FOUND,
        AttemptOutcome.NOT_FOUND,
        AttemptOutcome.STOPPED,
    }
    assert {attempt.outcome for attempt in attempts} - {AttemptOutcome.REJECTED} <= expected_outcomes
    # Both of Ann's names may travel in one round: the books refuse the second, and it is found to be the first.
    refused = [attempt for attempt in attempts if attempt.outcome is AttemptOutcome.REJECTED]
    assert all((attempt.step or "").startswith("customer:") for attempt in refused)
    assert [attempt.text for attempt in attempts if "incident" in (attempt.text or "")] == []


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_three_times_over_is_each_sale_once(
    settings: Settings, story: dict[str, Any], tmp_path: Path, migrated_file: Path, seed: int
) -> None:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with staged(settings, story, tmp_path) as stage:
        await tell(stage, story, seed)
        await check(stage, story)


@pytest.mark.postgres
async def test_the_same_on_postgres(
    settings: Settings, story: dict[str, Any], tmp_path: Path, postgres: Cluster
) -> None:
    name = await postgres.new_database()
    async with staged(msgspec.structs.replace(settings, database_url=postgres.url(name)), story, tmp_path) as stage:
        await tell(stage, story, seed=7)
        await check(stage, story)
    await postgres.drop_database(name)


async def test_the_story_told_backwards_and_again_a_day_later_changes_nothing_more(
    settings: Settings, story: dict[str, Any], tmp_path: Path, migrated_file: Path
) -> None:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with staged(settings, story, tmp_path) as stage:
        for event in reversed(story["events"]):
            await stage.deliver(event)
        await stage.work()
        await check(stage, story)
        before = stage.books.books.documents()
        stage.runtime.forward(days=1)
        for event in story["events"]:
            await stage.deliver(event)
            await stage.work()
        await check(stage, story)
        assert stage.books.books.documents() == before
