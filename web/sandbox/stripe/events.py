"""Makes Event objects: kept for ``GET /v1/events`` and handed to the webhook outbox."""

from web.sandbox.stripe.present import shown
from web.sandbox.stripe.world import API_VERSION, Account, Json, World


def emit(
    world: World,
    account: Account,
    event_type: str,
    item: Json,
    *,
    previous: Json | None = None,
    at: int | None = None,
    send: bool = True,
) -> Json:
    """Record that ``item`` changed. ``previous`` are the old values of an ``*.updated`` event.

    ``send=False`` keeps the event in the list only, as if every delivery had been lost.
    """
    data: Json = {"object": shown(world, account, item)}
    if previous is not None:
        data["previous_attributes"] = previous
    request = world.request
    event: Json = {
        "id": world.new_id("evt_"),
        "object": "event",
        "api_version": API_VERSION,
        "created": world.now() if at is None else at,
        "data": data,
        "livemode": account.livemode,
        "pending_webhooks": 0,
        "request": {
            "id": request.id if request else None,
            "idempotency_key": request.idempotency_key if request else None,
        },
        "type": event_type,
    }
    account.add(event)
    if send:
        world.outbox.enqueue(world, account, event)
    return event
