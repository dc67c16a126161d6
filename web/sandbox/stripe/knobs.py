"""Knobs of the webhook sender: how deliveries go wrong until they are turned back."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from web.sandbox.clock import SandboxClock

if TYPE_CHECKING:
    from web.sandbox.stripe.webhooks import Delivery


class Knobs(msgspec.Struct, kw_only=True):
    """All off by default. Set through ``PUT /_control/stripe/webhooks/knobs``."""

    hold: bool = False
    """Keep deliveries back until they are released, in any order you name."""
    shuffle: bool = False
    """Each delivery waits a random part of ``shuffle_window_s``."""
    shuffle_window_s: float = 2.0
    delay_s: float = 0.0
    duplicates: int = 0
    """Extra deliveries of the same event id."""
    twin: bool = False
    """Also deliver a second event with a new id for the same change."""
    drop: str | None = None
    """Regular expression of event types that are never delivered; they stay visible in ``GET /v1/events``."""
    stale_s: int = 0
    """Sign with a timestamp this old."""
    bad_signature: bool = False
    extra_secrets: tuple[str, ...] = ()
    """Further secrets that sign as well, as while a secret is rolled."""

    def drops(self, event_type: str) -> bool:
        return self.drop is not None and re.search(self.drop, event_type) is not None

    def delay(self, clock: SandboxClock) -> float:
        return self.delay_s + (clock.random() * self.shuffle_window_s if self.shuffle else 0.0)

    def copies(self, delivery: "Delivery", clock: SandboxClock) -> "Iterator[Delivery]":
        """The delivery itself, its duplicates and its twin."""
        yield delivery
        for _ in range(self.duplicates):
            yield msgspec.structs.replace(delivery)
        if self.twin:
            yield msgspec.structs.replace(delivery, event={**delivery.event, "id": clock.new_id("evt_")})
