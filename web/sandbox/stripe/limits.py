"""Request rates per account and per endpoint, as Stripe's sandbox enforces them."""

from dataclasses import dataclass

from web.sandbox.clock import SandboxClock
from web.sandbox.stripe.errors import StripeError


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Token buckets that hold one second's worth of requests."""

    def __init__(self, clock: SandboxClock, per_second: float | None) -> None:
        self._clock = clock
        self.per_second = per_second
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, account: str, endpoint: str) -> None:
        """Count one request.

        Raises:
            StripeError: 429 with the reason header, when the account or this endpoint of it is over its rate.
        """
        if self.per_second is None:
            return
        for name, reason in (("", "global-rate"), (endpoint, "endpoint-rate")):
            if not self._allowed((account, name), self.per_second):
                message = "Request rate limit exceeded. Learn more: https://docs.stripe.com/rate-limits"
                raise StripeError(
                    message,
                    status=429,
                    code="rate_limit",
                    headers={"stripe-rate-limited-reason": reason},
                )

    def _allowed(self, key: tuple[str, str], rate: float) -> bool:
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(rate, now))
        bucket.tokens = min(rate, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
