"""The stand-in can tell the published example story: two payments, a refund, a lost dispute, one payout."""

import json
from typing import Any

import pytest

from tests.sandbox.stripe_harness import SCENARIO_FILE, Running
from web.sandbox.stripe.inputs import CustomerInput, LineInput, TaxInput

needs_scenario = pytest.mark.skipif(not SCENARIO_FILE.is_file(), reason="the example story is not in this clone")


async def tell(running: Running) -> str:
    """The same business facts as the example; returns the account."""
    control = running.control
    business = await control.create_account("Lumen Studio")
    await control.connect(business.id)
    product = await control.create_product(business.id, "Portrait session", unit_amount=12000)
    lines = [LineInput(product=product["product"], taxes=[TaxInput(percentage=4, amount=500)])]
    ann = CustomerInput(name="Ann Example", email="ann@example.com")
    portrait = await control.pay(
        business.id, via="checkout", lines=lines, new_customer=ann, description="Portrait session", fee=393
    )
    coaching = await control.pay(
        business.id, 8000, description="Coaching call", metadata={"service": "coaching-60"}, fee=262
    )
    await control.flush()
    await control.refund(business.id, str(portrait.payment_intent), 2500)
    dispute = await control.dispute(business.id, str(coaching.payment_intent))
    await control.close_dispute(business.id, dispute["id"], "lost")
    await control.advance(days=3)
    payout = await control.payout(business.id)
    await control.move_payout(business.id, payout["id"], "advance")
    await control.advance(days=1)
    await control.move_payout(business.id, payout["id"], "pay")
    await control.disconnect(business.id)
    await control.flush()
    return business.id


@needs_scenario
async def test_every_event_of_the_example_is_told_with_at_least_its_fields(running: Running) -> None:
    example = json.loads(SCENARIO_FILE.read_text(encoding="utf-8"))
    await tell(running)
    # The example's generator filled these sub-trees with noise that a plain account does not show.
    for event in example["events"]:
        ours = running.intake.of_type(event["type"])
        assert ours, event["type"]
        for told in ours[:1]:
            assert set(event) <= set(told), event["type"]
            assert set(event["data"]["object"]) <= set(told["data"]["object"]), event["type"]
            assert set(event["data"].get("previous_attributes", {})) <= set(told["data"].get("previous_attributes", {}))


@needs_scenario
async def test_the_money_of_the_example_comes_out_to_the_cent(running: Running) -> None:
    example = json.loads(SCENARIO_FILE.read_text(encoding="utf-8"))
    account = await tell(running)
    ledger = await running.control.ledger(account)
    assert ledger.problems == []

    def figures(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        names = ("type", "reporting_category", "amount", "fee", "net", "currency")
        return sorted(tuple(row[name] for name in names) for row in rows)

    assert figures(ledger.rows) == figures(example["balance_transactions"])
    assert sum(row["net"] for row in ledger.rows) == 0
