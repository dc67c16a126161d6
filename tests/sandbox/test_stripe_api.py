"""The official SDK talks to the stand-in: lists, cursors, expand, idempotency, errors, keys, rates."""

import httpx
import pytest
import stripe as stripe_lib

from tests.sandbox.stripe_harness import Running
from web.sandbox.client import Business


async def business_with_payments(running: Running, count: int) -> Business:
    business = await running.control.create_account("Lumen Studio")
    for index in range(count):
        await running.control.pay(business.id, 1000 + index, description=f"Session {index}")
    await running.control.flush()
    return business


async def test_the_sdk_pages_through_a_list_newest_first(running: Running) -> None:
    business = await business_with_payments(running, 7)
    client = running.stripe(business.secret_key)
    listed = await client.v1.payment_intents.list_async({"limit": 3})
    amounts = [intent.amount async for intent in listed.auto_paging_iter()]
    assert amounts == [1006, 1005, 1004, 1003, 1002, 1001, 1000]


async def test_ending_before_gives_the_page_just_newer(running: Running) -> None:
    business = await business_with_payments(running, 5)
    key = business.secret_key
    every = (await running.get(key, "/v1/charges"))["data"]
    page = await running.get(key, f"/v1/charges?limit=2&ending_before={every[4]['id']}")
    assert [c["id"] for c in page["data"]] == [every[2]["id"], every[3]["id"]]
    assert page["has_more"] is True


async def test_created_filters_count_in_seconds(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await running.control.pay(business.id, 1000, created=1_700_000_000)
    await running.control.pay(business.id, 2000, created=1_700_000_500)
    found = await running.get(business.secret_key, "/v1/payment_intents?created[gte]=1700000100&created[lt]=1700001000")
    assert [i["amount"] for i in found["data"]] == [2000]


@pytest.mark.parametrize("style", ["expand[]", "expand[0]"])
async def test_expand_reaches_through_lists(running: Running, style: str) -> None:
    business = await business_with_payments(running, 1)
    path = f"/v1/payment_intents?{style}=data.latest_charge.balance_transaction"
    listed = await running.get(business.secret_key, path)
    row = listed["data"][0]["latest_charge"]["balance_transaction"]
    assert row["net"] == row["amount"] - row["fee"] == 1000 - 59


async def test_expand_refuses_a_fifth_level_and_what_is_no_object(running: Running) -> None:
    client = running.stripe((await business_with_payments(running, 1)).secret_key)
    with pytest.raises(stripe_lib.InvalidRequestError, match="more than 4 levels"):
        await client.v1.charges.list_async({"expand": ["data.payment_intent.latest_charge.customer.default_source"]})
    with pytest.raises(stripe_lib.InvalidRequestError, match="cannot be expanded"):
        await client.v1.charges.list_async({"expand": ["data.teapot"]})


async def test_a_repeated_idempotency_key_replays_the_answer(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    client = running.stripe(business.secret_key)
    options: stripe_lib.RequestOptions = {"idempotency_key": "booking-1041"}
    first = await client.v1.customers.create_async({"name": "Ann"}, options)
    second = await client.v1.customers.create_async({"name": "Ann"}, options)
    assert first.id == second.id
    assert second.last_response is not None
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe_lib.IdempotencyError):
        await client.v1.customers.create_async({"name": "Bob"}, options)
    assert len((await running.get(business.secret_key, "/v1/customers"))["data"]) == 1


async def test_errors_carry_type_code_param_and_request_id(running: Running) -> None:
    client = running.stripe((await running.control.create_account("Lumen Studio")).secret_key)
    with pytest.raises(stripe_lib.InvalidRequestError) as missing:
        await client.v1.payment_intents.retrieve_async("pi_nowhere")
    assert (missing.value.http_status, missing.value.code, missing.value.param) == (404, "resource_missing", "id")
    assert str(missing.value.request_id).startswith("req_")
    with pytest.raises(stripe_lib.InvalidRequestError) as bad:
        await client.v1.customers.list_async({"limit": 101})
    assert bad.value.param == "limit"
    with pytest.raises(stripe_lib.CardError) as declined:
        await client.v1.payment_intents.create_async(
            {"amount": 100, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
        )
    assert declined.value.code == "card_declined"


async def test_unknown_list_parameters_are_refused(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    answer = await running.http.get(
        running.url + "/v1/charges?colour=red", headers={"authorization": f"Bearer {business.secret_key}"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "parameter_unknown"


async def test_keys_open_only_their_own_business(running: Running) -> None:
    ours = await running.control.create_account("Lumen Studio")
    theirs = await running.control.create_account("North Coaching")
    made = await running.control.pay(theirs.id, 5000)
    with pytest.raises(stripe_lib.InvalidRequestError):
        await running.stripe(ours.secret_key).v1.payment_intents.retrieve_async(str(made.payment_intent))
    with pytest.raises(stripe_lib.AuthenticationError):
        await running.stripe("sk_test_invented_0000000000").v1.balance.retrieve_async()
    with pytest.raises(stripe_lib.PermissionError):
        await running.stripe(ours.secret_key, account=theirs.id).v1.balance.retrieve_async()


async def test_the_platform_reaches_a_business_only_while_it_is_connected(running: Running) -> None:
    business = await business_with_payments(running, 1)
    client = running.stripe("sk_test_platform_sandbox", account=business.id)
    with pytest.raises(stripe_lib.PermissionError):
        await client.v1.payment_intents.list_async()
    await running.control.connect(business.id, "connect")
    assert len((await client.v1.payment_intents.list_async()).data) == 1
    await running.control.disconnect(business.id)
    with pytest.raises(stripe_lib.PermissionError):
        await client.v1.payment_intents.list_async()


async def test_a_restricted_key_reads_what_it_was_given_and_no_more(running: Running) -> None:
    business = await business_with_payments(running, 1)
    key = await running.control.restricted_key(business.id, ["rak_charge_read", "balance_read"])
    client = running.stripe(key)
    assert len((await client.v1.charges.list_async()).data) == 1
    with pytest.raises(stripe_lib.PermissionError, match="rak_customer_read"):
        await client.v1.customers.list_async()
    with pytest.raises(stripe_lib.PermissionError, match="rak_payment_intent_read"):
        await client.v1.charges.list_async({"expand": ["data.payment_intent"]})
    with pytest.raises(stripe_lib.PermissionError, match="balance_transaction_source_read"):
        await client.v1.balance_transactions.list_async({"expand": ["data.source"]})
    with pytest.raises(stripe_lib.PermissionError):
        await client.v1.refunds.create_async({"charge": "ch_1"})


async def test_basic_auth_works_like_bearer(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    answer = await running.http.get(running.url + "/v1/balance", auth=(business.secret_key, ""))
    assert answer.status_code == 200
    assert answer.json()["available"] == [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}]


async def test_the_rate_limit_answers_429_with_its_reason_and_the_sdk_gets_through(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await running.control.set_rate_limit(5.0)
    headers = {"authorization": f"Bearer {business.secret_key}"}
    answers = [await running.http.get(running.url + "/v1/balance", headers=headers) for _ in range(12)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert limited[0].headers["stripe-rate-limited-reason"] in {"global-rate", "endpoint-rate"}
    assert limited[0].json()["error"]["code"] == "rate_limit"
    await running.control.advance(seconds=2)
    assert (await running.http.get(running.url + "/v1/balance", headers=headers)).status_code == 200


async def test_events_can_be_listed_by_type_and_by_page(running: Running) -> None:
    business = await business_with_payments(running, 3)
    client = running.stripe(business.secret_key)
    listed = await client.v1.events.list_async({"types": ["charge.succeeded", "charge.updated"], "limit": 2})
    types = [event.type async for event in listed.auto_paging_iter()]
    assert sorted(types) == ["charge.succeeded"] * 3 + ["charge.updated"] * 3
    wild = await running.get(business.secret_key, "/v1/events?type=payment_intent.*&limit=100")
    assert {event["type"] for event in wild["data"]} == {"payment_intent.created", "payment_intent.succeeded"}


async def test_metadata_expand_and_a_deleted_customer(running: Running) -> None:
    client = running.stripe((await running.control.create_account("Lumen Studio")).secret_key)
    customer = await client.v1.customers.create_async({"name": "Ann", "metadata": {"a": "1", "b": "2"}})
    changed = await client.v1.customers.update_async(customer.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    await client.v1.customers.delete_async(customer.id)
    gone = await client.v1.customers.retrieve_async(customer.id)
    assert gone.to_dict() == {"id": customer.id, "object": "customer", "deleted": True}


async def test_an_unknown_path_is_stripes_404(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    answer: httpx.Response = await running.http.get(running.url + "/v1/teapots", auth=(business.secret_key, ""))
    assert answer.status_code == 404
    assert "Unrecognized request URL" in answer.json()["error"]["message"]
    nobody = await running.http.get(running.url + "/v1/balance")
    assert nobody.status_code == 401
