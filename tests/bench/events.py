"""Events as Stripe sends them: bodies made by the sandbox from one real payment, each copy with ids of its own."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator

import httpx

from web.sandbox.app import create_sandbox
from web.sandbox.client import SandboxClient
from web.sandbox.settings import SandboxSettings

_KINDS = ("payment_intent.succeeded", "charge.succeeded", "checkout.session.completed")
_EVENT_MARK, _OBJECT_MARK = "evt_bench", "obj_bench"


async def event_templates() -> list[str]:
    """Return one body of each kind, with marks in place of its ids."""
    sandbox = create_sandbox(SandboxSettings())
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
        client = SandboxClient("http://sandbox", http)
        account = (await client.create_account("Harbour Light")).id
        product = await client.create_product(account, "Portrait session", unit_amount=42000)
        line = {"product": product["product"], "unit_amount": 42000, "quantity": 1}
        customer = await client.create_customer(account, name="Anna Berg", email="anna@example.com")
        await client.pay(account, via="checkout", customer=customer["id"], lines=[line])
        events = await client.events(account)
    found = [event for event in events if event["type"] in _KINDS]
    if {event["type"] for event in found} != set(_KINDS):
        raise LookupError("the sandbox did not make every kind of event")
    return [_marked(event, account) for event in found]


def marked_events(events: list[dict[str, object]], account: str) -> list[str]:
    """Return bodies that tell of the objects of ``events``; only their own ids are marks."""
    found = [event for event in events if event["type"] in _KINDS]
    return [_text(event, account).replace(str(event["id"]), _EVENT_MARK) for event in found]


def _marked(event: dict[str, object], account: str) -> str:
    event_id, object_id = str(event["id"]), str(event["data"]["object"]["id"])  # type: ignore[index]
    return _text(event, account).replace(event_id, _EVENT_MARK).replace(object_id, _OBJECT_MARK)


def _text(event: dict[str, object], account: str) -> str:
    return json.dumps({**event, "account": account}, indent=2)


def bodies(templates: list[str], run: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` bodies, each with the event id that it alone has."""
    for number in range(count):
        event_id = f"evt_{run}{number:012d}"
        text = templates[number % len(templates)]
        yield event_id, text.replace(_EVENT_MARK, event_id).replace(_OBJECT_MARK, f"pi_{run}{number:012d}").encode()


def signature(body: bytes, secret: str) -> str:
    """Sign ``body`` as Stripe does."""
    stamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"
