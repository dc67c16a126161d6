"""The headers that every response carries, errors and static files included (C4, C6, C7)."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from litestar.types import Message, Scope

from core.config import Settings
from web.facts import facts_of

_POWERS = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
NO_STORE = "no-store"
_REQUEST_ID, _CACHE_CONTROL = b"x-request-id", b"cache-control"


def content_policy(settings: Settings) -> str:
    """Return the policy: everything from ourselves, nothing inline.

    Chromium also checks where a form's answer redirects to, so the consent pages that "Connect" leads to are named.
    """
    consent = sorted({_origin(url) for url in settings.authorize_urls})
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            " ".join(("form-action 'self'", *consent)),
        )
    )


def security_headers(settings: Settings) -> dict[str, str]:
    """Return the fixed headers of this process."""
    headers = {
        "Content-Security-Policy": content_policy(settings),
        "X-Content-Type-Options": "nosniff",
        # "no-referrer" would make forms send "Origin: null", which the guard refuses.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{power}=()" for power in _POWERS),
    }
    if settings.is_https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers


def header_writer(settings: Settings) -> Callable[[Message, Scope], Awaitable[None]]:
    """Return the hook that Litestar calls before anything is sent."""
    # Encoded once. Litestar's own headers object looks through all that are there for each one that is set.
    fixed = [(name.lower().encode(), value.encode()) for name, value in security_headers(settings).items()]
    ours = {name for name, _ in fixed} | {_REQUEST_ID}

    async def write_headers(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        headers = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
        headers += (*fixed, (_REQUEST_ID, facts_of(scope).request_id.encode()))
        if not any(name.lower() == _CACHE_CONTROL for name, _ in headers):
            headers.append((_CACHE_CONTROL, NO_STORE.encode()))
        message["headers"] = headers

    return write_headers


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
