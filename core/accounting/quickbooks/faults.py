"""QuickBooks' refusals, in all the forms in which they come, turned into our errors.

Forms seen: JSON ``Fault``; the gateway's lower-case ``fault``; XML although JSON was asked for (throttling); plain
text. HTTP 200 can carry a fault as well. The class of each code decides what may be done after it.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
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

MAINTENANCE_PAUSE_S = 900.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal, whatever form it came in."""

    code: str
    type: str
    message: str
    detail: str
    element: str

    @property
    def text(self) -> str:
        """QuickBooks' own words, for the page that quotes them."""
        parts = (self.message, self.detail)
        return ": ".join(dict.fromkeys(part for part in parts if part)) or f"code {self.code}"


class _Call(TypedDict):
    request_id: str | None
    status: int


_EXPIRED = {"3200"}
_THROTTLED = {"3001"}
_MAINTENANCE = {"130", "140", "150"}
_UNKNOWN = {"10000", "600"}
_RESET = {"10200"}

_REASONS: dict[str, Reason] = {
    "3100": Reason.NO_RIGHTS,
    "120": Reason.NO_RIGHTS,
    "5020": Reason.NO_RIGHTS,
    "6140": Reason.NUMBER_TAKEN,
    "6240": Reason.NAME_TAKEN,
    "6200": Reason.PERIOD_CLOSED,
    "6210": Reason.PERIOD_CLOSED,
    "6190": Reason.SUBSCRIPTION_ENDED,
    "620": Reason.CHANGED_IN_BOOKS,
    "5010": Reason.CHANGED_IN_BOOKS,
    **dict.fromkeys(("6100", "6160", "6170", "6230", "6470"), Reason.TAX_CODE_MISFIT),
    **dict.fromkeys(("4000", "4001", "4002", "6070", "1040"), Reason.OUR_FAULT),
    # Unknown key, missing field, length, format, enumeration, no lines, negative, unbalanced: bodies that we built.
    **{str(code): Reason.OUR_FAULT for code in range(2010, 2310, 10)},
}

REFERENCE_CODES = frozenset({"610", "2500", "6250", "6430"})
"""Something that the document points to is missing, inactive or of the wrong kind; which one, must be found out."""


def tid(answer: Answer) -> str | None:
    """Return Intuit's id of the call; its support asks for it."""
    return answer.headers.get("intuit_tid") or None


def read_faults(body: bytes) -> list[Fault]:
    """Return every fault in ``body``; empty when there is none or the body cannot be read."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _xml_faults(body)
    return _json_faults(data) if isinstance(data, dict) else []


def error_for(answer: Answer, faults: list[Fault], *, is_write: bool) -> ProviderError:
    """Return the error that an answer with ``faults``, or with another status than 200, means.

    Args:
        answer: what came.
        faults: what :func:`read_faults` found in it.
        is_write: whether the call could have changed the books; only then can an outcome be unknown.
    """
    codes = {fault.code for fault in faults}
    has_failed = answer.status >= 500 or answer.status == 408
    if is_write and has_failed and not codes & (_THROTTLED | _MAINTENANCE):
        return _unknown(answer, faults)
    waiting = _not_executed(answer, faults, codes)
    if waiting is not None:
        return waiting
    if _is_unknown(answer, faults):
        return _unknown(answer, faults) if is_write else ProviderUnavailableError(_text(faults), **_call(answer))
    return _refusal(answer, faults)


def _not_executed(answer: Answer, faults: list[Fault], codes: set[str]) -> ProviderError | None:
    """The gateway turned the call away before it reached the books."""
    if answer.status == 429 or codes & _THROTTLED:
        return RateLimitedError(_text(faults), retry_after_s=retry_after_s(answer.headers), **_call(answer))
    if answer.status == 401 or codes & _EXPIRED:
        return AccessExpiredError(_text(faults), **_call(answer))
    if codes & _MAINTENANCE:
        return ProviderUnavailableError(_text(faults), retry_after_s=MAINTENANCE_PAUSE_S, **_call(answer))
    if codes & _RESET:
        return ReconnectRequiredError("the company was reset", **_call(answer))
    return None


def _call(answer: Answer) -> _Call:
    return {"request_id": tid(answer), "status": answer.status}


def _is_unknown(answer: Answer, faults: list[Fault]) -> bool:
    if answer.status >= 500 or (answer.status < 400 and not faults):
        return True
    return any(
        fault.code in _UNKNOWN
        or fault.type == "SystemFault"
        or (fault.code == "6000" and "unexpected error" in f"{fault.message} {fault.detail}".lower())
        for fault in faults
    )


def _unknown(answer: Answer, faults: list[Fault]) -> OutcomeUnknownError:
    return OutcomeUnknownError(_text(faults), answered=True, **_call(answer))


def _refusal(answer: Answer, faults: list[Fault]) -> ProviderRejectedError:
    first = faults[0] if faults else Fault("", "", _plain(answer.body), "", "")
    reason = _REASONS.get(first.code, Reason.REFUSED)
    if reason is Reason.REFUSED and answer.status == 403:
        reason = Reason.NO_RIGHTS
    return ProviderRejectedError(
        reason,
        first.text,
        field=first.element or None,
        provider_code=first.code or None,
        **_call(answer),
    )


def _text(faults: list[Fault]) -> str:
    return faults[0].text if faults else ""


def _plain(body: bytes) -> str:
    """Words of an answer that is neither JSON nor XML of a known form; markup is dropped, not shown."""
    text = re.sub(r"<[^>]{0,500}>", " ", body[:2000].decode("utf-8", "replace"))
    return " ".join(html.unescape(text).split())


def _json_faults(data: Mapping[str, Any]) -> list[Fault]:
    holder = data.get("Fault") or data.get("fault")
    if not isinstance(holder, dict):
        return []
    lower = {key.lower(): value for key, value in holder.items()}
    errors, kind = lower.get("error"), str(lower.get("type") or "")
    found = (
        [_json_fault(error, kind) for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    )
    return found or [Fault("", kind, "", "", "")]


def _json_fault(error: Mapping[str, Any], kind: str) -> Fault:
    lower = {key.lower(): "" if value is None else str(value) for key, value in error.items()}
    return Fault(
        _code(lower.get("code", "")),
        kind,
        lower.get("message", ""),
        lower.get("detail", ""),
        lower.get("element", ""),
    )


# Patterns, not an XML parser: the body comes from outside, and a parser would follow its entities.
_XML_FAULT = re.compile(r"<Fault\b[^>]{0,200}?(?:type=\"([^\"]{0,60})\")?[^>]{0,200}>(.{0,20000}?)</Fault>", re.DOTALL)
_XML_ERROR = re.compile(r"<Error\b([^>]{0,300})>(.{0,5000}?)</Error>", re.DOTALL)


def _xml_faults(body: bytes) -> list[Fault]:
    text = body[:40_000].decode("utf-8", "replace")
    found = []
    for kind, inner in _XML_FAULT.findall(text):
        for attributes, content in _XML_ERROR.findall(inner):
            code = re.search(r"\bcode=\"(\d{1,8})\"", attributes)
            element = re.search(r"\belement=\"([^\"]{0,100})\"", attributes)
            found.append(
                Fault(
                    _code(code[1]) if code else "",
                    kind,
                    _xml_text(content, "Message"),
                    _xml_text(content, "Detail"),
                    element[1] if element else "",
                )
            )
    return found


def _xml_text(content: str, tag: str) -> str:
    match = re.search(rf"<{tag}>(.*?)</{tag}>", content, re.DOTALL)
    return html.unescape(match[1]).strip() if match else ""


def _code(text: str) -> str:
    return text.lstrip("0") or text
