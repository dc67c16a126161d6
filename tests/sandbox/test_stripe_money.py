"""The balance behaves like Stripe's: fees, refunds, disputes, payouts, to the cent."""

import pytest

from tests.sandbox.stripe_harness import Running
from web.sandbox.client import Business, SandboxError
from web.sandbox.stripe.inputs import FeeInput, LineInput, TaxInput


async def studio(running: Running, **options: str) -> Business:
    return await running.control.create_account("Lumen Studio", **options)


async def rows(running: Running, business: Business, **query: str) -> list[dict[str, object]]:
    wanted = "&".join(f"{name}={value}" for name, value in query.items())
    listed = await running.get(business.secret_key, f"/v1/balance_transactions?limit=100&{wanted}")
    return list(listed["data"])


async def pay(running: Running, business: Business, amount: int | None, **options: object) -> str:
    made = await running.control.pay(business.id, amount, **options)
    await running.control.flush()
    return str(made.payment_intent)


async def sound(running: Running, business: Business) -> dict[str, int]:
    ledger = await running.control.ledger(business.id)
    assert ledger.problems == []
    return ledger.posted_minor


async def test_fees_are_worked_out_or_given(running: Running) -> None:
    business = await studio(running)
    await pay(running, business, 12500)
    await pay(running, business, 12500, foreign_card=True)
    await pay(running, business, 152475, fee=5977, application_fee_amount=1525)
    await pay(running, business, 44000, fee_details=[FeeInput(amount=707), FeeInput(amount=71, type="tax")])
    found = [(row["fee"], [line["type"] for line in row["fee_details"]]) for row in await rows(running, business)]  # type: ignore[attr-defined]
    assert found == [
        (778, ["stripe_fee", "tax"]),
        (5977, ["application_fee", "stripe_fee"]),
        (580, ["stripe_fee"]),
        (393, ["stripe_fee"]),
    ]
    await sound(running, business)


async def test_the_platform_earns_the_application_fee(running: Running) -> None:
    business = await studio(running)
    await pay(running, business, 10000, application_fee_amount=500)
    fees = await running.get("sk_test_platform_sandbox", "/v1/application_fees")
    assert [(fee["amount"], fee["account"]) for fee in fees["data"]] == [(500, business.id)]
    charge = (await running.get(business.secret_key, "/v1/charges"))["data"][0]
    assert charge["application_fee"] == fees["data"][0]["id"]


@pytest.mark.parametrize(("currency", "amount", "fee"), [("jpy", 12000, 378), ("kwd", 12500, 663), ("usd", 100, 33)])
async def test_minor_units_follow_the_currency(running: Running, currency: str, amount: int, fee: int) -> None:
    business = await studio(running, currency=currency)
    await pay(running, business, amount)
    assert await sound(running, business) == {currency: amount - fee}


async def test_a_converted_sale_settles_in_the_home_currency(running: Running) -> None:
    business = await studio(running)
    intent = await pay(running, business, 50000, currency="eur", settled_currency="usd", exchange_rate=1.0825, fee=2952)
    (sale,) = await rows(running, business)
    assert (sale["amount"], sale["currency"], sale["exchange_rate"]) == (54125, "usd", 1.0825)
    await running.control.refund(business.id, intent, exchange_rate=1.095)
    refund, _ = await rows(running, business)
    assert refund["amount"] == -54750
    assert await sound(running, business) == {"usd": 54125 - 2952 - 54750}


async def test_partial_refunds_count_up_and_stop_at_the_charge(running: Running) -> None:
    business = await studio(running)
    intent = await pay(running, business, 10000)
    for amount, total in ((1000, 1000), (1500, 2500), (7500, 10000)):
        await running.control.refund(business.id, intent, amount)
        charge = (await running.get(business.secret_key, "/v1/charges"))["data"][0]
        assert charge["amount_refunded"] == total
    assert charge["refunded"] is True
    with pytest.raises(SandboxError, match="already been refunded"):
        await running.control.refund(business.id, intent, 1)
    await sound(running, business)


async def test_a_refund_that_fails_later_returns_the_money(running: Running) -> None:
    business = await studio(running)
    intent = await pay(running, business, 10000)
    refund = await running.control.refund(business.id, intent, 4000)
    failed = await running.control.fail_refund(business.id, refund["id"])
    assert failed["status"] == "failed"
    (back,) = await rows(running, business, type="refund_failure")
    assert (back["amount"], back["id"]) == (4000, failed["failure_balance_transaction"])
    assert await sound(running, business) == {"usd": 10000 - 320}


async def test_a_lost_and_a_won_dispute(running: Running) -> None:
    business = await studio(running)
    lost, won = [await pay(running, business, amount, fee=0) for amount in (8000, 18000)]
    disputes = [await running.control.dispute(business.id, intent) for intent in (lost, won)]
    assert disputes[0]["balance_transactions"][0]["net"] == -9500
    for dispute in disputes:
        await running.control.answer_dispute(business.id, dispute["id"])
    await running.control.close_dispute(business.id, disputes[0]["id"], "lost")
    closed = await running.control.close_dispute(
        business.id, disputes[1]["id"], "won", fee_returned=1500, countered_fee_returned=1500
    )
    assert [row["net"] for row in closed["balance_transactions"]] == [-19500, 19500]
    assert await sound(running, business) == {"usd": 18000 - 1500 - 1500}
    with pytest.raises(SandboxError, match="already closed"):
        await running.control.close_dispute(business.id, disputes[1]["id"], "lost")


async def test_an_inquiry_moves_no_money(running: Running) -> None:
    business = await studio(running)
    intent = await pay(running, business, 8000, fee=0)
    dispute = await running.control.dispute(business.id, intent, inquiry=True)
    assert dispute["status"] == "warning_needs_response"
    await running.control.close_dispute(business.id, dispute["id"], "warning_closed")
    assert await sound(running, business) == {"usd": 8000}


async def test_an_automatic_payout_sums_to_nothing_with_its_own_row(running: Running) -> None:
    business = await studio(running)
    first = await pay(running, business, 12500)
    await pay(running, business, 8000)
    await running.control.refund(business.id, first, 2500)
    await running.control.advance(days=3)
    payout = await running.control.payout(business.id, until="paid")
    assert payout["amount"] == 12500 - 393 + 8000 - 262 - 2500
    settled = await rows(running, business, payout=payout["id"])
    assert len(settled) == 4
    assert sum(int(str(row["net"])) for row in settled) == 0
    assert {row["status"] for row in settled} == {"available"}
    assert await sound(running, business) == {"usd": 0}
    with pytest.raises(SandboxError, match="nothing to pay out"):
        await running.control.payout(business.id)


async def test_only_what_is_available_is_paid_out(running: Running) -> None:
    business = await studio(running)
    await pay(running, business, 10000, fee=0)
    with pytest.raises(SandboxError):
        await running.control.payout(business.id)
    await running.control.advance(days=3)
    await pay(running, business, 7000, fee=0)
    assert (await running.control.payout(business.id))["amount"] == 10000
    balance = await running.get(business.secret_key, "/v1/balance")
    assert balance["pending"][0]["amount"] == 7000


async def test_a_negative_payout_debits_the_bank(running: Running) -> None:
    business = await studio(running)
    intent = await pay(running, business, 21650, fee=658)
    await running.control.payout(business.id, include_pending=True, until="paid")
    await running.control.dispute(business.id, intent)
    payout = await running.control.payout(business.id, include_pending=True, until="paid")
    assert payout["amount"] == -23150
    assert await sound(running, business) == {"usd": 0}


async def test_a_payout_fails_after_it_was_paid_and_the_next_one_takes_the_money(running: Running) -> None:
    business = await studio(running)
    await running.control.connect(business.id)
    await pay(running, business, 30000, fee=0)
    payout = await running.control.payout(business.id, include_pending=True, until="paid")
    failed = await running.control.move_payout(business.id, payout["id"], "fail")
    assert failed["status"] == "failed"
    (back,) = await rows(running, business, type="payout_failure")
    assert (back["reporting_category"], back["net"]) == ("payout_reversal", 30000)
    again = await running.control.payout(business.id, include_pending=True)
    assert again["id"] != payout["id"]
    assert sum(int(str(row["net"])) for row in await rows(running, business, payout=again["id"])) == 0
    await running.control.flush()
    told = [kind for kind in running.intake.types if kind.startswith("payout.")]
    assert told == [
        "payout.created",
        "payout.updated",
        "payout.reconciliation_completed",
        "payout.paid",
        "payout.failed",
        "payout.created",
    ]


async def test_a_manual_payout_has_no_breakdown(running: Running) -> None:
    business = await studio(running)
    await pay(running, business, 30000, fee=0)
    payout = await running.control.payout(business.id, automatic=False, amount=10000)
    assert (payout["automatic"], payout["reconciliation_status"]) == (False, "not_applicable")
    answer = await running.http.get(
        f"{running.url}/v1/balance_transactions?payout={payout['id']}", auth=(business.secret_key, "")
    )
    assert answer.status_code == 400
    assert await sound(running, business) == {"usd": 20000}


async def test_daily_payouts_settle_each_day_by_themselves(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio", daily_payouts=True)
    await pay(running, business, 10000, fee=0)
    await running.control.advance(days=1)
    await pay(running, business, 7000, fee=0)
    await running.control.advance(days=6)
    listed = (await running.get(business.secret_key, "/v1/payouts"))["data"]
    assert [(p["amount"], p["status"]) for p in listed] == [(7000, "paid"), (10000, "paid")]
    assert listed[0]["created"] - listed[1]["created"] == pytest.approx(86_400, abs=2)
    assert all(p["created"] % 86_400 <= 2 for p in listed)
    assert await sound(running, business) == {"usd": 0}


async def test_other_rows_carry_their_reporting_category(running: Running) -> None:
    business = await studio(running)
    await running.control.add_row(business.id, "stripe_fee", -200, description="Radar")
    await running.control.add_row(business.id, "tax_fee", -20)
    await running.control.add_row(business.id, "reserve_hold", -500)
    await running.control.add_row(business.id, "something_new", 700, reporting_category="brand_new")
    found = [(row["type"], row["reporting_category"]) for row in await rows(running, business)]
    assert found == [
        ("something_new", "brand_new"),
        ("reserve_hold", "risk_reserved_funds"),
        ("tax_fee", "tax"),
        ("stripe_fee", "fee"),
    ]
    assert await sound(running, business) == {"usd": -20}


async def test_a_checkout_explains_what_was_sold(running: Running) -> None:
    business = await studio(running)
    tax = [TaxInput(percentage=8, display_name="Texas sales tax")]
    lines = [
        LineInput(name="Portrait session", unit_amount=30000, discount=3000, taxes=tax),
        LineInput(name="Album", unit_amount=5000, quantity=2, taxes=[TaxInput(percentage=10, inclusive=True)]),
    ]
    intent = await pay(running, business, None, via="checkout", lines=lines, shipping=900, tip=4000)
    found = await running.get(
        business.secret_key, f"/v1/checkout/sessions?payment_intent={intent}&expand[]=data.line_items"
    )
    (session,) = found["data"]
    first, second = session["line_items"]["data"]
    assert (first["amount_subtotal"], first["amount_discount"], first["amount_tax"], first["amount_total"]) == (
        30000,
        3000,
        2160,
        29160,
    )
    assert (second["quantity"], second["amount_tax"], second["amount_total"]) == (2, 909, 10000)
    assert session["total_details"] == {"amount_discount": 3000, "amount_shipping": 900, "amount_tax": 3069}
    paid = await running.get(business.secret_key, f"/v1/payment_intents/{intent}")
    assert paid["amount_received"] == session["amount_total"] == 29160 + 10000 + 900 + 4000
    assert paid["amount_details"] == {"tip": {"amount": 4000}}


async def test_an_invoice_points_to_its_payment(running: Running) -> None:
    business = await studio(running)
    product = await running.control.create_product(business.id, "Coaching call", unit_amount=18000)
    lines = [LineInput(product=product["product"], quantity=2)]
    intent = await pay(running, business, None, via="invoice", lines=lines)
    found = await running.get(
        business.secret_key,
        f"/v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]={intent}&expand[]=data.invoice",
    )
    (row,) = found["data"]
    assert (row["amount_paid"], row["invoice"]["status"]) == (36000, "paid")
    line = row["invoice"]["lines"]["data"][0]
    assert line["pricing"]["price_details"] == {"price": product["price"], "product": product["product"]}


async def test_a_slow_method_completes_unpaid_and_pays_later(running: Running) -> None:
    business = await studio(running)
    await running.control.connect(business.id)
    made = await running.control.pay(business.id, 9000, via="checkout", settles_after_s=3600)
    await running.control.flush()
    completed = running.intake.of_type("checkout.session.completed")[0]["data"]["object"]
    assert completed["payment_status"] == "unpaid"
    assert made.charge is None
    await running.control.advance(seconds=3601)
    arrived = running.intake.of_type("checkout.session.async_payment_succeeded")[0]["data"]["object"]
    assert arrived["payment_status"] == "paid"
    assert await sound(running, business) == {"usd": 9000 - 291}


async def test_history_keeps_its_dates_and_can_stay_silent(running: Running) -> None:
    business = await studio(running)
    await running.control.connect(business.id)
    await pay(running, business, 5000, created=1_790_000_000, webhooks=False)
    (row,) = await rows(running, business)
    assert row["created"] == 1_790_000_000
    assert row["status"] == "available"
    assert running.intake.requests == []


async def test_a_destination_charge_has_no_intent(running: Running) -> None:
    business = await studio(running)
    made = await running.control.pay(business.id, 6000, via="charge", description="Booking 7")
    assert made.payment_intent is None
    assert str(made.charge).startswith("py_")
    (row,) = await rows(running, business)
    assert (row["type"], row["reporting_category"], row["source"]) == ("payment", "charge", made.charge)
