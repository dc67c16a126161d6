"""Cookies: the session, the pre-session of the sign-in form, the device that signed in before (S2)."""

import hashlib
import hmac

from litestar.datastructures import Cookie

from core.config import Settings
from core.identity.sessions import ABSOLUTE

SESSION, DOOR, DEVICE = "session", "door", "device"
_DEVICE_AGE_S = 400 * 24 * 3600
_DOOR_AGE_S = 24 * 3600
_TOKEN_LENGTH = 64


def cookie_name(settings: Settings, name: str) -> str:
    """Return the cookie's full name.

    With the prefix a browser takes the cookie from this very host over https only, so no neighbour can plant one. Over
    plain http, which production refuses, browsers refuse the prefix; there the bare name is used.
    """
    return f"__Host-{name}" if settings.is_https else name


def session_cookie(settings: Settings, token: str) -> Cookie:
    """Sign this browser in."""
    return _cookie(settings, SESSION, token, int(ABSOLUTE.total_seconds()))


def door_cookie(settings: Settings, token: str) -> Cookie:
    """Tie a form that needs no session to this browser (C2)."""
    return _cookie(settings, DOOR, token, _DOOR_AGE_S)


def device_cookie(settings: Settings, token: str) -> Cookie:
    """Make this browser a known device of the account (A4)."""
    return _cookie(settings, DEVICE, token, _DEVICE_AGE_S)


def no_session_cookie(settings: Settings) -> Cookie:
    """Sign this browser out. Litestar's own deletion omits Secure, and browsers ignore it for this name (trap 15)."""
    return _cookie(settings, SESSION, "", 0)


def _cookie(settings: Settings, name: str, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        key=cookie_name(settings, name),
        value=value,
        max_age=max_age_s,
        path="/",
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


def token_in(cookies: dict[str, str], settings: Settings, name: str) -> str | None:
    """Return the token of one of our cookies if it can be one."""
    value = cookies.get(cookie_name(settings, name), "")
    return value if len(value) == _TOKEN_LENGTH and value.isascii() and value.isalnum() else None


def session_csrf_token(settings: Settings, session_hash: str) -> str:
    """Return the form token of a session (C2)."""
    return _sign(settings, f"session|{session_hash}")


def door_csrf_token(settings: Settings, door_token: str) -> str:
    """Return the form token of a browser that is not signed in."""
    return _sign(settings, f"door|{door_token}")


def _sign(settings: Settings, text: str) -> str:
    return hmac.new(settings.secret_key.encode(), f"csrf|{text}".encode(), hashlib.sha256).hexdigest()
