"""Every object and event that the stand-in makes has the shape that Stripe publishes."""

from tests.sandbox.stripe_harness import Running, needs_schema, schema_problems
from web.sandbox.stripe.inputs import CustomerInput, LineInput, TaxInput

pytestmark = needs_schema

LISTS = (
    "/v1/customers",
    "/v1/products",
    "/v1/prices",
    "/v1/tax_rates",
    "/v1/payment_intents",
    "/v1/charges",
    "/v1/refunds",
    "/v1/disputes",
    "/v1/payouts",
    "/v1/balance_transactions",
    "/v1/checkout/sessions",
    "/v1/payment_links",
    "/v1/invoices",
    "/v1/invoice_payments",
    "/v1/events",
)


async def lively_business(running: Running) -> tuple[str, str]:
    """A business in which everything has happened once; its account id and key."""
    control = running.control
    business = await control.create_account("Lumen Studio")
    await control.connect(business.id)
    product = await control.create_product(business.id, "Portrait session", unit_amount=40000)
    ann = CustomerInput(name="Ann Example", email="ann@example.com", address={"city": "Austin", "country": "US"})
    lines = [
        LineInput(product=product["product"], quantity=2, discount=1000, taxes=[TaxInput(percentage=8)]),
        LineInput(name="Album", unit_amount=5000),
    ]
    sold = await control.pay(
        business.id, via="checkout", lines=lines, new_customer=ann, shipping=900, tip=500, application_fee_amount=150
    )
    await control.pay(business.id, via="invoice", lines=lines, new_customer=ann)
    await control.pay(business.id, via="payment_link", lines=lines, billing=ann)
    await control.pay(business.id, 5000, description="Coaching call", metadata={"service": "coaching-60"})
    await control.pay(business.id, 4000, via="charge", description="From the platform")
    await control.pay(business.id, 3000, payment_method="pm_card_chargeDeclined")
    await control.pay(business.id, 9000, capture_method="manual")
    euro = await control.pay(business.id, 50000, currency="eur", settled_amount=54125, settled_currency="usd", fee=2952)
    await control.flush()
    assert sold.payment_intent is not None
    refund = await control.refund(business.id, sold.payment_intent, 2000)
    await control.refund(business.id, str(euro.payment_intent), 10000, exchange_rate=1.095)
    await control.fail_refund(business.id, refund["id"])
    for outcome in ("won", "lost"):
        payment = await control.pay(business.id, 18000)
        await control.flush()
        dispute = await control.dispute(business.id, str(payment.payment_intent))
        await control.answer_dispute(business.id, dispute["id"])
        await control.close_dispute(business.id, dispute["id"], outcome, countered_fee_returned=1500)
    await control.payout(business.id, include_pending=True, until="paid")
    await control.add_row(business.id, "stripe_fee", -200, description="Radar")
    await control.payout(business.id, automatic=False, amount=100)
    await control.disconnect(business.id)
    await control.flush()
    return business.id, business.secret_key


async def test_every_list_validates(running: Running) -> None:
    _, key = await lively_business(running)
    for path in LISTS:
        body = await running.get(key, f"{path}?limit=100")
        assert body["data"], path
        assert schema_problems(body) == [], path


async def test_every_delivered_event_validates(running: Running) -> None:
    account, _ = await lively_business(running)
    assert len(running.intake.events) > 40
    for event in running.intake.events:
        assert event["account"] == account
        assert schema_problems(event) == [], event["type"]


async def test_the_ledger_of_a_lively_business_is_sound(running: Running) -> None:
    account, _ = await lively_business(running)
    ledger = await running.control.ledger(account)
    assert ledger.problems == []
    assert ledger.posted_minor["usd"] == sum(row["net"] for row in ledger.rows if row["currency"] == "usd")


async def test_single_objects_validate(running: Running) -> None:
    account, key = await lively_business(running)
    for path in ("/v1/account", f"/v1/accounts/{account}"):
        assert schema_problems(await running.get(key, path)) == []
    for path in LISTS[:-1]:
        newest = (await running.get(key, f"{path}?limit=1"))["data"][0]
        assert schema_problems(await running.get(key, f"{path}/{newest['id']}")) == []
    session = (await running.get(key, "/v1/checkout/sessions?limit=1&expand[]=data.line_items"))["data"][0]
    assert schema_problems(session["line_items"]) == []
    items = await running.get(key, f"/v1/checkout/sessions/{session['id']}/line_items?expand[]=data.taxes")
    assert schema_problems(items) == []
    invoice = (await running.get(key, "/v1/invoices?limit=1"))["data"][0]
    assert schema_problems(await running.get(key, f"/v1/invoices/{invoice['id']}/lines")) == []
