"""Stripe's own client over our one way out, and its exceptions in our words.

Nothing of Stripe's SDK reaches the network by itself: :class:`OverOutgoing` carries every call through
:class:`~core.outgoing.Outgoing`, so the list of hosts, the timeouts and the transport of a test hold here as well.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stripe as stripe_lib

from core.clock import Runtime
from core.config import Settings
from core.errors import (
    AccessExpiredError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
    TieoutError,
)
from core.outgoing import Outgoing
from core.reasons import Reason

STRIPE_API_VERSION = "2026-10-28.endive"
"""Shape of every answer and of every event to an endpoint that we create. One place, changed on purpose only."""

MAX_RETRIES = 2
"""Repeats inside one call; reads are harmless and writes carry one Idempotency-Key through all of them."""

_LONGEST_BACKOFF_S = 5.0

# The SDK would write an id into the home directory and report timings; it also logs bodies, tokens included, at DEBUG.
stripe_lib.enable_telemetry = False
stripe_lib.set_app_info("Tieout")
logging.getLogger("stripe").setLevel(logging.WARNING)


def make_stripe(outgoing: Outgoing, settings: Settings, runtime: Runtime, api_key: str) -> stripe_lib.StripeClient:
    """Return a client that acts with ``api_key`` (a tenant's token or restricted key, or our own secret key).

    Cheap to make: connections belong to ``outgoing``. Use the ``*_async`` methods below ``client.v1``.
    """
    return stripe_lib.StripeClient(
        api_key,
        stripe_version=STRIPE_API_VERSION,
        base_addresses={"api": settings.stripe_api_base, "connect": settings.stripe_connect_base},
        max_network_retries=MAX_RETRIES,
        http_client=OverOutgoing(outgoing, runtime),
    )


def translate(exc: stripe_lib.StripeError) -> TieoutError:
    """Return our error for one of Stripe's; see :func:`stripe_errors`."""
    text, request_id, status = str(exc.user_message or ""), exc.request_id, exc.http_status
    match exc:
        case stripe_lib.AuthenticationError():
            return AccessExpiredError(text, request_id=request_id, status=status)
        case stripe_lib.PermissionError():
            return ReconnectRequiredError(text, request_id=request_id, status=status)
        case stripe_lib.RateLimitError():
            wait = read_retry_after(exc.headers or {})
            return RateLimitedError(text, retry_after_s=wait, request_id=request_id, status=status)
        case stripe_lib.InvalidRequestError() if status == 404 or exc.code == "resource_missing":
            return NotFoundError("Stripe has no such object")
        case stripe_lib.InvalidRequestError() | stripe_lib.CardError() | stripe_lib.IdempotencyError():
            return ProviderRejectedError(
                Reason.REFUSED,
                text,
                field=getattr(exc, "param", None),
                provider_code=exc.code,
                request_id=request_id,
                status=status,
            )
    return ProviderUnavailableError(text, request_id=request_id, status=status)


@contextmanager
def stripe_errors() -> Iterator[None]:
    """Let only our errors out. The original is dropped: it holds payloads that a traceback might show (L2)."""
    try:
        yield
    except stripe_lib.StripeError as exc:
        raise translate(exc) from None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, None where it asks for nothing sensible.

    A date is read against the answer's own ``Date``, so that a wrong clock of ours does not matter (F26).
    """
    fields = {name.lower(): value for name, value in headers.items()}
    value = fields.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    until, sent = _http_date(value), _http_date(fields.get("date", ""))
    if until is None or sent is None:
        return None
    return max(0.0, (until - sent).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class OverOutgoing(stripe_lib.HTTPClient):
    """Carries the SDK's calls. Asynchronous only; a streaming or blocking call is a fault of ours and raises."""

    name = "tieout"

    def __init__(self, outgoing: Outgoing, runtime: Runtime) -> None:
        super().__init__()
        self._outgoing = outgoing
        self._runtime = runtime

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request; a broken line becomes the SDK's own error, which it may repeat."""
        try:
            answer = await self._outgoing.send(method.upper(), url, headers=dict(headers), content=post_data)
        except (NotSentError, OutcomeUnknownError) as exc:
            raise stripe_lib.APIConnectionError(exc.text, should_retry=True) from exc  # type: ignore[no-untyped-call]  # the SDK does not say
        answered = httpx.Headers(answer.headers)
        # The SDK turns this header into a Python warning for whoever runs the process.
        answered.pop("Stripe-Notice", None)
        return answer.body, answer.status, answered

    def sleep_async(self, secs: float) -> Any:
        """Wait on the product's own clock."""
        return self._runtime.sleep(secs)

    async def close_async(self) -> None:
        """Close nothing: the connections are not ours."""

    def _should_retry(
        self, response: Any, api_connection_error: Any, num_retries: int, max_network_retries: int | None
    ) -> bool:
        # The SDK gives up on 429 at once. A short burst passes by itself; a stated time is kept by the caller (F10).
        if response is not None and response[1] == 429 and read_retry_after(response[2]) is None:
            return num_retries < (max_network_retries or 0)
        return bool(super()._should_retry(response, api_connection_error, num_retries, max_network_retries))

    def _sleep_time_seconds(self, num_retries: int) -> float:
        longest = min(self.INITIAL_DELAY * 2 ** (num_retries - 1), _LONGEST_BACKOFF_S)
        return float(longest * (0.5 + self._runtime.random() / 2))
