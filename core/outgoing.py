"""The one way out: every HTTP call to Stripe, Intuit or Xero leaves through an :class:`Outgoing`.

It refuses any host that the settings do not name (I3), never follows a redirect (O8), has timeouts, and turns what
httpx raises into our two classes: *not sent* (repeat freely) and *outcome unknown* (look it up first).
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from core.errors import ConfigurationError, NotSentError, OutcomeUnknownError
from core.tally import Counters, Outcome, outcome_of

Transport = httpx.AsyncBaseTransport
"""What carries the bytes; so named for whoever hands one in without knowing httpx."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""A provider answer above this is junk, not data (its largest honest page is about 2 MB)."""

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: httpx.Headers
    body: bytes


def retry_after_s(headers: httpx.Headers) -> float | None:
    """Return the seconds that ``Retry-After`` asks for; None where it asks for nothing sensible.

    A date is read against the answer's own ``Date``, so that a wrong clock of ours does not matter (F26).
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= 8 and int(value) > 0:
        return float(value)
    until, sent = _http_date(value), _http_date(headers.get("date", ""))
    if until is None or sent is None or until <= sent:
        return None
    return (until - sent).total_seconds()


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value.endswith("GMT") else None
    except (ValueError, OverflowError):
        return None


def host_of(url: str) -> str:
    """Return ``host`` or ``host:port`` of ``url`` in lower case."""
    return urlsplit(url).netloc.lower()


class Outgoing:
    """HTTP for one process and one event loop.

    Args:
        allowed_urls: base URLs from the settings; only their hosts are ever called.
        transport: what carries the bytes; tests and the simulation hand in their own.
        read_timeout_s: longest wait for an answer; the token endpoint may ask for more per call.
        counters: count how calls end.
    """

    def __init__(
        self,
        allowed_urls: Iterable[str],
        *,
        transport: Transport | None = None,
        read_timeout_s: float = 30.0,
        counters: Counters | None = None,
    ) -> None:
        self._counters = counters or Counters()
        self._hosts = frozenset(host_of(url) for url in allowed_urls)
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context() if transport is None else True,
            timeout=httpx.Timeout(read_timeout_s, connect=5.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32),
            headers={"User-Agent": "Tieout"},
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | str | None = None,
        read_timeout_s: float | None = None,
    ) -> Answer:
        """Send one request and read its answer.

        Raises:
            NotSentError: no byte can have arrived.
            OutcomeUnknownError: the line broke, or time ran out, after the request may have arrived.
            ConfigurationError: the host is not one of ours; nothing is sent.
        """
        if host_of(url) not in self._hosts:
            raise ConfigurationError(f"refused to call {host_of(url)!r}: not a configured provider host")
        timeout = httpx.USE_CLIENT_DEFAULT if read_timeout_s is None else httpx.Timeout(read_timeout_s, connect=5.0)
        request = self._client.build_request(method, url, headers=headers, content=content, timeout=timeout)
        try:
            response = await self._client.send(request, stream=True)
            try:
                body = await _read_bounded(response)
            finally:
                await response.aclose()
        except _NOT_SENT as exc:
            self._counters.call(url, Outcome.NOT_SENT)
            raise NotSentError(type(exc).__name__) from exc
        except httpx.HTTPError as exc:
            self._counters.call(url, Outcome.NO_ANSWER)
            raise OutcomeUnknownError(type(exc).__name__, answered=False) from exc
        self._counters.call(url, outcome_of(method, response.status_code))
        return Answer(response.status_code, response.headers, body)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


async def _read_bounded(response: httpx.Response) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise OutcomeUnknownError(
                "the answer is longer than any honest one", answered=True, status=response.status_code
            )
        chunks.append(chunk)
    return b"".join(chunks)
