"""Xero's refusals in the shapes that are known: element errors, problem documents, the rate limiter's bare 429."""

from datetime import datetime
from typing import Any

from web.sandbox.faults import FaultAnswer, FaultRule
from web.sandbox.xero.amounts import encode

NO_ID = "00000000-0000-0000-0000-000000000000"
JSON_HEADERS = [("content-type", "application/json; charset=utf-8")]
TEXT_HEADERS = [("content-type", "text/plain; charset=utf-8")]
_TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 500: "Internal Server Error"}
_FAILED = "An error occurred in Xero. Check the API Status page for current service status."


class Invalid(Exception):  # noqa: N818 - reads as what happened
    """One element broke rules; the texts go into its ``ValidationErrors``."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class Stopped(Exception):  # noqa: N818 - reads as what happened
    """The whole request ends here with this answer."""

    def __init__(self, answer: FaultAnswer, reason: str = "") -> None:
        super().__init__(reason or answer.status)
        self.answer = answer


def validation_errors(messages: tuple[str, ...] | list[str]) -> list[dict[str, str]]:
    return [{"Message": message} for message in messages]


def summary(elements: list[Any]) -> FaultAnswer:
    """The 400 of a call with wrong elements."""
    body: dict[str, object] = {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": elements,
    }
    return FaultAnswer(400, list(JSON_HEADERS), encode(body))


def bad_request(kind: str, message: str, number: int) -> Stopped:
    body = {"ErrorNumber": number, "Type": kind, "Message": message}
    return Stopped(FaultAnswer(400, list(JSON_HEADERS), encode(body)), message)


def bad_data(message: str) -> Stopped:
    return bad_request("PostDataInvalidException", message, 14)


def bad_query(message: str) -> Stopped:
    return bad_request("QueryParseException", message, 16)


def problem(status: int, detail: str, instance: str) -> FaultAnswer:
    """Errors of the gateway, before the accounting code sees the request."""
    body: dict[str, object] = {
        "Type": None,
        "Title": _TITLES.get(status, "Error"),
        "Status": status,
        "Detail": detail,
        "Instance": instance,
        "Extensions": {},
    }
    return FaultAnswer(status, list(JSON_HEADERS), encode(body))


def expired_detail(ended: datetime) -> str:
    return f"TokenExpired: token expired at {ended:%m/%d/%Y %H:%M:%S}"


def not_found() -> Stopped:
    return Stopped(FaultAnswer(404, list(TEXT_HEADERS), b"The resource you're looking for cannot be found"))


def limited(which: str, retry_after: int | None) -> FaultAnswer:
    headers = [*TEXT_HEADERS, ("x-rate-limit-problem", which)]
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    return FaultAnswer(429, headers, b"Rate limit exceeded")


def offline() -> FaultAnswer:
    return FaultAnswer(503, list(TEXT_HEADERS), b"The Organisation is offline")


def server_error(instance: str) -> FaultAnswer:
    return problem(500, _FAILED, instance)


def injected(rule: FaultRule, instance: str) -> FaultAnswer:  # noqa: PLR0911 - one line per status
    """An error that a fault rule asks for; ``code`` names the limit (429), the detail (401, 403) or the type (400)."""
    match rule.status:
        case 429:
            return limited(rule.code or "minute", None)
        case 400:
            element = {"ValidationErrors": validation_errors([rule.message or "Injected by the sandbox"])}
            if rule.code is None:
                return summary([element])
            return bad_request(rule.code, rule.message or "Injected by the sandbox", 0).answer
        case 401:
            return problem(401, rule.message or rule.code or "TokenExpired: injected by the sandbox", instance)
        case 403:
            return problem(403, rule.message or rule.code or "AuthenticationUnsuccessful", instance)
        case 502 | 503 | 504:
            text = rule.message or "The Organisation is offline"
            return FaultAnswer(rule.status, list(TEXT_HEADERS), text.encode())
        case status:
            return problem(status, rule.message or _FAILED, instance)
