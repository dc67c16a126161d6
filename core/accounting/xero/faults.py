"""Xero's refusals, in all the forms in which they come, turned into our errors.

Forms: a validation exception with the words of each element; a problem document of the gateway (401, 403, 500); a bare
429; plain text. Most of the time the words are all that tells one refusal from another, so their cores are matched, in
any case, and the words themselves are kept for the page that quotes them.
"""

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import msgspec

from core.errors import (
    AccessExpiredError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.outgoing import Answer, retry_after_s
from core.reasons import Reason

CONCURRENT_PAUSE_S = 2.0
"""Too many calls at once: the others end within seconds, and Xero names no time."""

_KEY_REUSED = re.compile(r"idempotency key.*different request", re.IGNORECASE | re.DOTALL)

# The first that matches decides. "TaxType code ... with account code" is about the tax, so taxes come before accounts.
_WORDS: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), reason)
    for pattern, reason in (
        (r"(invoice|credit ?note) (#|number) must be unique", Reason.NUMBER_TAKEN),
        (r"already (assigned to|used by) another contact|contact ?number.{0,80}(unique|already)", Reason.NAME_TAKEN),
        (r"exceeds the amount outstanding", Reason.CHANGED_IN_BOOKS),
        (r"only be made against authorised documents", Reason.CHANGED_IN_BOOKS),
        (r"lock date", Reason.PERIOD_CLOSED),
        (r"not subscribed to currency|currency.{0,80}not (enabled|subscribed)", Reason.CURRENCY_NOT_ENABLED),
        (r"tax ?(type|rate|code)", Reason.TAX_CODE_MISFIT),
        (r"contact.{0,200}(archived|gdpr)|(archived|gdpr).{0,40}contact", Reason.CUSTOMER_INACTIVE),
        (
            r"account.{0,200}(archived|inactive|not active|not a valid|not valid|not be found|not recogni|not exist)",
            Reason.ACCOUNT_INACTIVE,
        ),
        (r"limit of invoices you can approve", Reason.SUBSCRIPTION_ENDED),
        (r"organisation (is|has been) (suspended|expired|cancelled)|subscription.{0,40}(ended|expired)",
         Reason.SUBSCRIPTION_ENDED),
    )
)  # fmt: skip
# A code with which Xero names the thing at fault.
_QUOTED_ACCOUNT = re.compile(r"account code '+([^']{1,20})'", re.IGNORECASE)


class _Call(TypedDict):
    request_id: str | None
    status: int


def correlation_id(answer: Answer) -> str | None:
    """Return Xero's id of the call; its support asks for it."""
    return answer.headers.get("xero-correlation-id") or None


def is_missing(answer: Answer) -> bool:
    """Tell whether a read found no such element."""
    return answer.status == 404


def names_elements(answer: Answer) -> bool:
    """Tell whether a write was refused on account of elements that the answer names."""
    if answer.status != 400:
        return False
    data = _json_object(answer.body)
    return data.get("Type") == "ValidationException" and bool(_element_words(data))


def error_for(answer: Answer, *, is_write: bool) -> ProviderError:
    """Return the error that an answer of another status than 200 means.

    Args:
        answer: what came.
        is_write: whether the call could have changed the books; only then can an outcome be unknown.
    """
    data = _json_object(answer.body)
    text = _text(data) or _plain(answer.body)
    if answer.status == 429:
        return _limited(answer, text)
    if answer.status in (401, 403):
        return _no_access(answer, data, text)
    if answer.status == 501:
        return ProviderRejectedError(Reason.REFUSED, text, **_call(answer))
    if answer.status >= 500 or answer.status < 400 or answer.status == 408:
        # A 503 says "offline", but nothing says that it was said before the write.
        if is_write:
            return OutcomeUnknownError(text, answered=True, **_call(answer))
        return ProviderUnavailableError(text, **_call(answer))
    return _refused(answer, data, text, is_write=is_write)


def _no_access(answer: Answer, data: Mapping[str, Any], text: str) -> ProviderError:
    if answer.status == 401 and "AuthorizationUnsuccessful" not in text:
        return AccessExpiredError(text, **_call(answer))
    if not data:
        # Not Xero's own words: something in between, which let nothing through.
        return ProviderUnavailableError(text, **_call(answer))
    # 401: a scope is missing, and a fresh token of the same grant would lack it as well. 403: disconnected within
    # Xero, or the person lost access: the grant works, but not for this organisation.
    return ReconnectRequiredError(text, **_call(answer))


def refusal(messages: Iterable[str], *, request_id: str | None, status: int | None = None) -> ProviderRejectedError:
    """Return the refusal that an element's words mean."""
    said = list(messages)
    for pattern, reason in _WORDS:
        for message in said:
            if pattern.search(message):
                return _rejected(reason, message, request_id, status)
    return _rejected(Reason.REFUSED, said[0] if said else "refused without a word", request_id, status)


def _rejected(reason: Reason, text: str, request_id: str | None, status: int | None) -> ProviderRejectedError:
    refused = ProviderRejectedError(reason, text, request_id=request_id, status=status)
    named = _QUOTED_ACCOUNT.search(text)
    if named is not None:
        refused.detail.update(account_code=named[1])
    return refused


def _refused(answer: Answer, data: Mapping[str, Any], text: str, *, is_write: bool) -> ProviderError:
    if _KEY_REUSED.search(text):
        # Something was sent under this key. What became of it, only the books know.
        return OutcomeUnknownError(text, answered=True, **_call(answer))
    if data.get("Type") == "ValidationException":
        return refusal(_element_words(data) or [text], request_id=correlation_id(answer), status=answer.status)
    if answer.status == 404 and is_write:
        return ProviderRejectedError(Reason.CHANGED_IN_BOOKS, text, **_call(answer))
    if answer.status in (400, 405, 406, 415):
        # A query or a body of a form that Xero does not read: ours, all of it.
        return ProviderRejectedError(Reason.OUR_FAULT, text, **_call(answer))
    return ProviderRejectedError(Reason.REFUSED, text, **_call(answer))


def _limited(answer: Answer, text: str) -> RateLimitedError:
    """Nothing was run, nor remembered under the key. A day's limit can ask for most of a day.

    ``appminute`` is the limit of the app over all its organisations; how Xero spells it is not certain.
    """
    problem = answer.headers.get("x-rate-limit-problem", "").strip().lower()
    seconds = retry_after_s(answer.headers)
    if seconds is None and problem == "concurrent":
        seconds = CONCURRENT_PAUSE_S
    said = f"{text}: {problem}" if problem else text
    return RateLimitedError(said, retry_after_s=seconds, is_of_all=problem.startswith("app"), **_call(answer))


def _call(answer: Answer) -> _Call:
    return {"request_id": correlation_id(answer), "status": answer.status}


def _element_words(data: Mapping[str, Any]) -> list[str]:
    elements = data.get("Elements")
    errors: list[Any] = []
    for element in elements if isinstance(elements, list) else []:
        of_element = element.get("ValidationErrors") if isinstance(element, dict) else None
        errors += of_element if isinstance(of_element, list) else []
    return [str(error["Message"]) for error in errors if isinstance(error, dict) and error.get("Message")]


def _text(data: Mapping[str, Any]) -> str:
    words = _element_words(data)
    if words:
        return words[0]
    # The identity service writes its problem documents with capitals, other parts of Xero without.
    lower = {key.lower(): value for key, value in data.items()}
    for key in ("detail", "message", "title"):
        if isinstance(lower.get(key), str) and lower[key]:
            return str(lower[key])
    return ""


def _plain(body: bytes) -> str:
    """Words of an answer that is no JSON; markup is dropped, not shown."""
    text = re.sub(r"<[^>]{0,500}>", " ", body[:2000].decode("utf-8", "replace"))
    return " ".join(html.unescape(text).split())


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return data if isinstance(data, dict) else {}
