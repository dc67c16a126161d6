"""Strange deliveries, one at a time: what a webhook intake must survive."""

from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.inputs import OddInput
from web.sandbox.stripe.versions import shown_at
from web.sandbox.stripe.webhooks import encode
from web.sandbox.stripe.world import API_VERSION, Json, World, public

_OLD_VERSION = "2020-08-27"
_HOUR_S = 3600


async def send_odd(world: World, wish: OddInput) -> Json:
    """Send one strange body to the platform's Connect endpoint; returns the answer's status."""
    endpoint = next((e for e in world.platform.shelf("webhook_endpoint").newest_first() if e["_connect"]), None)
    if endpoint is None:
        message = "The platform has no Connect webhook endpoint."
        raise StripeError(message)
    age_s = {"stale": _HOUR_S, "future": -_HOUR_S}.get(wish.kind, 0)
    status = await world.outbox.send_raw(
        endpoint["url"],
        _body(world, wish),
        [endpoint["_secret"]],
        age_s=age_s,
        bad_signature=wish.kind == "bad_signature",
    )
    return {"status": status}


def _body(world: World, wish: OddInput) -> bytes:
    match wish.kind:
        case "junk":
            return b"{this is not json"
        case "not_utf8":
            return b'{"id": "evt_\xff\xfe", "object": "event"}'
        case "json_list":
            return b'[{"id": "evt_1", "object": "event"}]'
        case "thin":
            return encode(_thin(world))
    event = _event(world, wish)
    match wish.kind:
        case "other_mode":
            event["livemode"] = not event["livemode"]
        case "unknown_account":
            event["account"] = world.new_id("acct_1", 15)
        case "unknown_type":
            event["type"] = "payment_intent.teleported"
        case "no_object":
            del event["data"]
        case "old_api_version":
            account = world.accounts.get(event["account"], world.platform)
            event["api_version"] = _OLD_VERSION
            event["data"]["object"] = shown_at(account, event["data"]["object"], _OLD_VERSION)
    return encode(event)


def _event(world: World, wish: OddInput) -> Json:
    """A real event with a new id, so that the intake cannot know it already."""
    account = world.accounts.get(wish.account or "")
    found: Json | None = None
    if account is not None:
        shelf = account.shelf("event")
        found = shelf.by_id.get(wish.event or "") or next(shelf.newest_first(), None)
    event = public(found) if found else _invented(world)
    event.update(
        id=world.new_id("evt_"),
        account=account.id if account else world.new_id("acct_1", 15),
        pending_webhooks=1,
    )
    return event


def _invented(world: World) -> Json:
    body = {"id": world.new_id("cus_"), "object": "customer", "created": world.now(), "metadata": {}}
    return {
        "id": "",
        "object": "event",
        "api_version": API_VERSION,
        "created": world.now(),
        "data": {"object": body},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.created",
    }


def _thin(world: World) -> Json:
    return {
        "id": world.new_id("evt_test_"),
        "object": "v2.core.event",
        "type": "v1.payment_intent.succeeded",
        "created": world.clock.now().isoformat(),
        "livemode": False,
        "related_object": {"id": world.new_id("pi_"), "type": "payment_intent", "url": "/v1/payment_intents/x"},
    }
