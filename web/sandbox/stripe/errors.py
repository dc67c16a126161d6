"""Stripe's error bodies."""

import json
from typing import Any

from web.sandbox.faults import FaultAnswer, FaultRule

Json = dict[str, Any]

_TYPE_OF_STATUS = {402: "card_error", 409: "api_error", 429: "rate_limit_error"}


class StripeError(Exception):
    """Raised by an operation; becomes the answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",  # noqa: A002 - Stripe's own word
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        error: Json = {"message": message, "type": type, "code": code, "param": param, **extra}
        self.body: Json = {"error": {k: v for k, v in error.items() if v is not None}}


class OAuthError(Exception):
    """The OAuth endpoints speak RFC 6749, not Stripe's error objects."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.body: Json = {"error": error, "error_description": description}


def missing_param(name: str) -> StripeError:
    return StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def invalid_param(name: str, message: str) -> StripeError:
    return StripeError(message, param=name)


def no_such(kind: str, object_id: str, param: str = "id") -> StripeError:
    noun = kind.replace("_", " ") if kind != "payment_intent" else kind
    return StripeError(
        f"No such {noun}: '{object_id}'",
        status=404,
        code="resource_missing",
        param=param,
        doc_url="https://docs.stripe.com/error-codes#resource-missing",
    )


def fault_shape(rule: FaultRule) -> FaultAnswer:
    """How Stripe words an injected error."""
    error: Json = {
        "message": rule.message or "An unknown error occurred",
        "type": _TYPE_OF_STATUS.get(rule.status, "api_error" if rule.status >= 500 else "invalid_request_error"),
    }
    headers = [("content-type", "application/json"), ("request-id", "req_" + rule.id[-12:])]
    if rule.status == 429:
        error["message"] = rule.message or "Request rate limit exceeded."
        error["code"] = rule.code or "rate_limit"
        headers.append(("stripe-rate-limited-reason", "global-rate"))
    elif rule.code:
        error["code"] = rule.code
    return FaultAnswer(rule.status, headers, json.dumps({"error": error}).encode())
