"""Sends events to the registered endpoints: signed and retried by Stripe's rules, spoiled by the knobs."""

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Sequence

import httpx
import msgspec

from web.sandbox.clock import SandboxClock
from web.sandbox.scheduler import Scheduler
from web.sandbox.settings import SandboxSettings
from web.sandbox.stripe.knobs import Knobs
from web.sandbox.stripe.versions import shown_at
from web.sandbox.stripe.world import Account, Json, World, public

_MAX_ATTEMPTS_KEPT = 100_000


class Attempt(msgspec.Struct, kw_only=True):
    """One try of one delivery."""

    event: str
    type: str
    account: str
    endpoint: str
    url: str
    at: float
    number: int
    status: int | None = None
    error: str | None = None


class Delivery(msgspec.Struct, kw_only=True):
    """One event on its way to one endpoint."""

    account: str
    endpoint: str
    endpoint_owner: str
    event: Json
    tries: int = 0


class Outbox:
    """All outgoing webhooks of one sandbox."""

    def __init__(
        self,
        clock: SandboxClock,
        settings: SandboxSettings,
        scheduler: Scheduler,
        client: Callable[[], httpx.AsyncClient],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._scheduler = scheduler
        self._client = client
        self.knobs = Knobs()
        self.attempts: deque[Attempt] = deque(maxlen=_MAX_ATTEMPTS_KEPT)
        self.held: list[Delivery] = []

    def enqueue(self, world: World, account: Account, event: Json) -> None:
        """Plan the deliveries of a fresh event to every endpoint that wants it."""
        if self.knobs.drops(event["type"]):
            return
        for delivery in self._deliveries(world, account, event):
            event["pending_webhooks"] += 1
            for copy in self.knobs.copies(delivery, self._clock):
                self._plan(world, copy)

    def resend(self, world: World, account: Account, event: Json) -> int:
        """Deliver an old event again, as the Dashboard's button does; return the number of deliveries."""
        deliveries = self._deliveries(world, account, event)
        for delivery in deliveries:
            event["pending_webhooks"] += 1
            self._scheduler.later(0, lambda d=delivery: self._attempt(world, d))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        return len(deliveries)

    async def release(self, world: World, order: Sequence[int] | None = None) -> int:
        """Deliver what was held, one after the other, in ``order`` (indices into ``held``)."""
        held, self.held = self.held, []
        for index in order if order is not None else range(len(held)):
            await self._attempt(world, held[index])
        return len(held)

    async def send_raw(
        self, url: str, body: bytes, secrets: Sequence[str], *, age_s: int = 0, bad_signature: bool = False
    ) -> int | None:
        """POST any bytes with a Stripe-Signature header; return the status, None without an answer."""
        header = signature(body, secrets, self._clock.now_ts() - age_s, spoil=bad_signature)
        try:
            answer = await self._client().post(
                url,
                content=body,
                headers={
                    "content-type": "application/json; charset=utf-8",
                    "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                    "stripe-signature": header,
                },
                timeout=self._settings.stripe_webhook_timeout_s,
                follow_redirects=False,
            )
        except httpx.HTTPError:
            return None
        return answer.status_code

    def _deliveries(self, world: World, account: Account, event: Json) -> list[Delivery]:
        owners = [(account, False)]
        if account is not world.platform and world.grant_of(account.id):
            owners.append((world.platform, True))
        return [
            Delivery(account=account.id, endpoint=endpoint["id"], endpoint_owner=owner.id, event=event)
            for owner, connect in owners
            for endpoint in owner.shelf("webhook_endpoint").oldest_first()
            if endpoint["_connect"] is connect and wants(endpoint, event["type"])
        ]

    def _plan(self, world: World, delivery: Delivery) -> None:
        if self.knobs.hold:
            self.held.append(delivery)
            return
        self._scheduler.later(self.knobs.delay(self._clock), lambda: self._attempt(world, delivery))

    async def _attempt(self, world: World, delivery: Delivery) -> None:
        owner = world.accounts[delivery.endpoint_owner]
        endpoint = owner.get("webhook_endpoint", delivery.endpoint)
        if endpoint is None or endpoint["status"] != "enabled":
            return
        delivery.tries += 1
        attempt = Attempt(
            event=delivery.event["id"],
            type=delivery.event["type"],
            account=delivery.account,
            endpoint=endpoint["id"],
            url=endpoint["url"],
            at=self._clock.timestamp(),
            number=delivery.tries,
        )
        self.attempts.append(attempt)
        body = event_body(world, delivery, endpoint)
        secrets = [endpoint["_secret"], *self.knobs.extra_secrets]
        attempt.status = await self.send_raw(
            endpoint["url"], body, secrets, age_s=self.knobs.stale_s, bad_signature=self.knobs.bad_signature
        )
        if attempt.status is not None and 200 <= attempt.status < 300:
            delivery.event["pending_webhooks"] = max(0, delivery.event["pending_webhooks"] - 1)
            return
        attempt.error = "no answer" if attempt.status is None else f"status {attempt.status}"
        waits = self._settings.stripe_webhook_retries_s
        if delivery.tries <= len(waits):
            self._scheduler.later(waits[delivery.tries - 1], lambda: self._attempt(world, delivery))


def wants(endpoint: Json, event_type: str) -> bool:
    enabled = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in enabled or event_type in enabled)


def event_body(world: World, delivery: Delivery, endpoint: Json) -> bytes:
    """The bytes of one delivery: the endpoint's API version, and ``account`` on Connect endpoints."""
    event = public(delivery.event)
    version = endpoint["_version"]
    event["api_version"] = version
    event["data"]["object"] = shown_at(world.accounts[delivery.account], event["data"]["object"], version)
    event["pending_webhooks"] = max(1, event["pending_webhooks"])
    if endpoint["_connect"]:
        event["account"] = delivery.account
    return encode(event)


def encode(body: Json) -> bytes:
    return json.dumps(body, indent=2, ensure_ascii=False).encode()


def signature(body: bytes, secrets: Sequence[str], timestamp: int, *, spoil: bool = False) -> str:
    """A ``Stripe-Signature`` header: one ``v1`` per active secret, and the ``v0`` that test mode adds."""
    parts = [f"t={timestamp}"]
    for secret in secrets:
        digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        parts.append(f"v1={digest[::-1] if spoil else digest}")
    parts.append("v0=" + hashlib.sha256(body).hexdigest())
    return ",".join(parts)
