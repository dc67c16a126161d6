"""Webhooks leave the stand-in the way they leave Stripe, and go wrong on demand."""

import stripe as stripe_lib

from tests.sandbox.stripe_harness import HOOK, SECRET, Running, serve
from web.sandbox.settings import SandboxSettings


async def connected(running: Running) -> str:
    business = await running.control.create_account("Lumen Studio")
    await running.control.connect(business.id)
    return business.id


async def test_deliveries_are_signed_by_stripes_rules(running: Running) -> None:
    account = await connected(running)
    await running.control.pay(account, 5000)
    await running.control.flush()
    assert running.intake.requests
    for request in running.intake.requests:
        header = request.headers["stripe-signature"]
        assert stripe_lib.WebhookSignature.verify_header(request.content.decode(), header, SECRET, tolerance=300)
    assert {event["account"] for event in running.intake.events} == {account}


async def test_one_card_payment_tells_its_story_in_order(running: Running) -> None:
    account = await connected(running)
    made = await running.control.pay(account, 12500, via="checkout", bt_delay_s=3, description="Portrait session")
    await running.control.flush()
    told = [e for e in running.intake.events if e["type"] != "payment_intent.created"]
    assert sorted(e["type"] for e in told) == [
        "charge.succeeded",
        "checkout.session.completed",
        "payment_intent.succeeded",
    ]
    charge = running.intake.of_type("charge.succeeded")[0]
    assert charge["data"]["object"]["balance_transaction"] is None
    assert charge["created"] == running.intake.of_type("payment_intent.succeeded")[0]["created"]
    await running.control.advance(seconds=4)
    updated = running.intake.of_type("charge.updated")[0]
    assert updated["data"]["previous_attributes"] == {"balance_transaction": None}
    assert updated["data"]["object"]["balance_transaction"].startswith("txn_")
    assert updated["data"]["object"]["payment_intent"] == made.payment_intent


async def test_events_of_one_api_request_share_its_id(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await running.control.connect(business.id)
    client = running.stripe(business.secret_key)
    await client.v1.payment_intents.create_async(
        {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True},
        {"idempotency_key": "booking-7"},
    )
    await running.control.flush()
    requests = {e["request"]["id"] for e in running.intake.events if e["type"] != "charge.updated"}
    assert len(requests) == 1
    assert running.intake.of_type("charge.succeeded")[0]["request"]["idempotency_key"] == "booking-7"


async def test_a_refused_delivery_is_tried_again_with_a_fresh_signature(running: Running) -> None:
    account = await connected(running)
    running.intake.status = 503
    await running.control.create_product(account, "Portrait session")
    await running.control.flush()
    running.intake.status = 200
    await running.control.advance(seconds=3)
    first, second = running.intake.requests
    assert first.content == second.content
    assert first.headers["stripe-signature"] != second.headers["stripe-signature"]
    attempts = await running.control.attempts(account)
    assert [(a.number, a.status) for a in attempts] == [(1, 503), (2, 200)]
    events = await running.control.events(account)
    assert events[-1]["pending_webhooks"] == 0
    await running.control.advance(days=3)
    assert len(running.intake.requests) == 2


async def test_an_endpoint_of_the_business_itself_has_no_account_and_its_own_secret(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    client = running.stripe(business.secret_key)
    endpoint = await client.v1.webhook_endpoints.create_async(
        {
            "url": "http://app.test/webhooks/stripe/own",
            "enabled_events": ["charge.succeeded"],
            "api_version": "2026-10-28.endive",
        }
    )
    assert endpoint.secret is not None
    assert "secret" not in (await client.v1.webhook_endpoints.retrieve_async(endpoint.id)).to_dict()
    await running.control.pay(business.id, 5000)
    await running.control.flush()
    assert running.intake.types == ["charge.succeeded"]
    request = running.intake.requests[0]
    assert str(request.url) == "http://app.test/webhooks/stripe/own"
    assert "account" not in running.intake.events[0]
    header = request.headers["stripe-signature"]
    assert stripe_lib.WebhookSignature.verify_header(request.content.decode(), header, endpoint.secret, tolerance=300)
    await client.v1.webhook_endpoints.delete_async(endpoint.id)
    await running.control.pay(business.id, 5000)
    await running.control.flush()
    assert len(running.intake.requests) == 1


async def test_a_business_that_is_not_connected_tells_the_platform_nothing(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await running.control.pay(business.id, 5000)
    await running.control.flush()
    assert running.intake.requests == []
    assert await running.control.events(business.id)


async def test_duplicates_and_twins(running: Running) -> None:
    account = await connected(running)
    await running.control.set_knobs(duplicates=2, twin=True)
    await running.control.create_product(account, "Portrait session")
    await running.control.flush()
    ids = [event["id"] for event in running.intake.events]
    assert len(ids) == 4
    assert len(set(ids)) == 2
    assert len({event["data"]["object"]["id"] for event in running.intake.events}) == 1


async def test_dropped_events_are_still_in_the_event_list(running: Running) -> None:
    account = await connected(running)
    await running.control.set_knobs(drop="^charge")
    await running.control.pay(account, 5000)
    await running.control.flush()
    assert not [t for t in running.intake.types if t.startswith("charge")]
    listed = [event["type"] for event in await running.control.events(account)]
    assert "charge.succeeded" in listed
    await running.control.set_knobs()
    missed = [e["id"] for e in await running.control.events(account) if e["type"] == "charge.succeeded"]
    assert await running.control.resend(account, missed) == 1
    await running.control.flush()
    assert running.intake.types[-1] == "charge.succeeded"


async def test_held_events_go_out_in_any_order(running: Running) -> None:
    account = await connected(running)
    await running.control.set_knobs(hold=True)
    for name in ("first", "second", "third"):
        await running.control.create_product(account, name)
    assert [entry["type"] for entry in await running.control.held()] == ["product.created"] * 3
    assert await running.control.release([2, 0, 1]) == 3
    assert [e["data"]["object"]["name"] for e in running.intake.events] == ["third", "first", "second"]


async def test_a_rolled_secret_signs_twice_and_a_stale_signature_is_refused_by_the_sdk(running: Running) -> None:
    account = await connected(running)
    await running.control.set_knobs(extra_secrets=("whsec_new",))
    await running.control.create_product(account, "Portrait session")
    await running.control.flush()
    request = running.intake.requests[-1]
    for secret in (SECRET, "whsec_new"):
        header = request.headers["stripe-signature"]
        assert stripe_lib.WebhookSignature.verify_header(request.content.decode(), header, secret, tolerance=300)
    await running.control.set_knobs(stale_s=301)
    await running.control.create_product(account, "Album")
    await running.control.flush()
    stale = running.intake.requests[-1]
    try:
        stripe_lib.WebhookSignature.verify_header(
            stale.content.decode(), stale.headers["stripe-signature"], SECRET, tolerance=300
        )
    except stripe_lib.SignatureVerificationError:
        return
    raise AssertionError("a stale signature passed")


async def test_strange_bodies_one_at_a_time(running: Running) -> None:
    account = await connected(running)
    await running.control.pay(account, 5000)
    await running.control.flush()
    running.intake.requests.clear()
    for kind in ("other_mode", "unknown_account", "unknown_type", "old_api_version", "no_object", "stale", "future"):
        assert await running.control.send_odd(kind, account) == 200
    other_mode, unknown, strange, old, empty, *_ = running.intake.events
    assert other_mode["livemode"] is True
    assert unknown["account"] != account
    assert strange["type"] == "payment_intent.teleported"
    assert old["api_version"] == "2020-08-27"
    assert "data" not in empty
    for kind in ("junk", "not_utf8", "json_list", "thin", "bad_signature"):
        await running.control.send_odd(kind, account)
    assert len(running.intake.requests) == 12


async def test_an_old_endpoint_gets_old_shapes(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    client = running.stripe(business.secret_key)
    await client.v1.webhook_endpoints.create_async(
        {"url": HOOK, "enabled_events": ["payment_intent.succeeded"], "api_version": "2022-08-01"}
    )
    await running.control.pay(business.id, 5000)
    await running.control.flush()
    event = running.intake.events[0]
    assert event["api_version"] == "2022-08-01"
    assert event["data"]["object"]["charges"]["data"][0]["amount"] == 5000
    assert "latest_charge" not in event["data"]["object"]


async def test_no_answer_from_the_intake_counts_as_a_failure() -> None:
    closed = "http://127.0.0.1:9/webhooks/stripe"
    settings = SandboxSettings(stripe_webhook_url=closed, stripe_bt_delay_s=(0.0, 0.0), stripe_rate_limit=None)
    async with serve(settings, own_sender=True) as running:
        account = await connected(running)
        await running.control.create_product(account, "Portrait session")
        await running.control.flush()
        attempts = await running.control.attempts(account)
        assert [(a.status, a.error) for a in attempts] == [(None, "no answer")]
