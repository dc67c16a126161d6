"""A word about what was just done, carried over the redirect after a form: a signed cookie that lives for seconds.

The page after the redirect says it once and empties the cookie. It is bound to the session, so nobody else can put
words into our mouth, and it holds only sentences of ours.
"""

import hashlib
import hmac

from litestar import Response
from litestar.datastructures import Cookie

from core.config import Settings
from core.crypto import same
from web.deps import Visitor
from web.forms import AnyRequest
from web.sessions import cookie_name
from web.views import Toast

_NAME = "flash"
_AGE_S = 30
_MAX_LENGTH = 1000
_PROBLEM, _FINE = "!", "."


def redirect_with(request: AnyRequest, visitor: Visitor, path: str, toast: Toast | None) -> Response[bytes]:
    """Answer a form: go to ``path``, a path of ours, and say ``toast`` there."""
    settings: Settings = request.app.state.settings
    response = Response(b"", status_code=303, headers={"Location": path})
    if toast is not None:
        response.cookies.append(_cookie(settings, _write(settings, visitor, toast), _AGE_S))
    return response


def take_flash(request: AnyRequest, visitor: Visitor) -> Toast | None:
    """Return what was left to be said to this session, if it is ours and whole."""
    settings: Settings = request.app.state.settings
    value = request.cookies.get(cookie_name(settings, _NAME), "")
    encoded, _, signature = value.partition("-")
    if len(value) > _MAX_LENGTH or not same(signature, _sign(settings, visitor, encoded)):
        return None
    try:
        text = bytes.fromhex(encoded).decode()
    except ValueError:
        return None
    return Toast(text=text[1:], is_problem=text.startswith(_PROBLEM))


def forget_flash(request: AnyRequest, response: Response[str]) -> None:
    """Empty the cookie once it was said."""
    settings: Settings = request.app.state.settings
    if cookie_name(settings, _NAME) in request.cookies:
        response.cookies.append(_cookie(settings, "", 0))


def _write(settings: Settings, visitor: Visitor, toast: Toast) -> str:
    text = f"{_PROBLEM if toast.is_problem else _FINE}{toast.text}"
    encoded = text.encode().hex()
    return f"{encoded}-{_sign(settings, visitor, encoded)}"


def _sign(settings: Settings, visitor: Visitor, encoded: str) -> str:
    message = f"flash|{visitor.session_hash}|{encoded}".encode()
    return hmac.new(settings.secret_key.encode(), message, hashlib.sha256).hexdigest()


def _cookie(settings: Settings, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        key=cookie_name(settings, _NAME),
        value=value,
        max_age=max_age_s,
        path="/",
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )
