"""Events as Stripe sends them, signed as Stripe signs."""

import hashlib
import hmac
import itertools
import json
from datetime import datetime
from typing import Any

from tests.runtime import START

SECRET = "whsec_of_the_tests"

_numbers = itertools.count(1)


def event(kind: str = "payment_intent.succeeded", obj: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "id": f"evt_{number:024d}",
        "object": "event",
        "account": "acct_0000000000000001",
        "api_version": "2026-10-28.endive",
        "created": int(START.timestamp()),
        "livemode": False,
        "type": kind,
        "data": {"object": {"id": f"pi_{number:024d}", "object": "payment_intent"} if obj is None else obj},
        **fields,
    }


def encode(body: Any) -> bytes:
    return json.dumps(body).encode()


def v1(raw: bytes, stamp: int | str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()


def sign(raw: bytes, *, at: datetime = START, secrets: tuple[str, ...] = (SECRET,), age_s: float = 0) -> str:
    stamp = int(at.timestamp() - age_s)
    return ",".join([f"t={stamp}", *(f"v1={v1(raw, stamp, secret)}" for secret in secrets)])
