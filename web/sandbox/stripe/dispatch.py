"""From a raw request to an answer: key, rate, idempotency, operation, expand, headers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from web.sandbox.log import LogEntry
from web.sandbox.stripe.auth import Caller, authenticate
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.expand import expand
from web.sandbox.stripe.idempotency import IdempotencyStore
from web.sandbox.stripe.limits import RateLimiter
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.params import Params, decode, sequence
from web.sandbox.stripe.present import shown
from web.sandbox.stripe.versions import shown_at
from web.sandbox.stripe.world import API_VERSION, Json, RequestRef, World


@dataclass
class ApiRequest:
    """What came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ApiAnswer:
    """What goes out."""

    status: int
    body: bytes
    headers: dict[str, str]


class Dispatcher:
    """Answers ``/v1/...`` requests from one table of operations."""

    def __init__(self, world: World, table: Table, limiter: RateLimiter) -> None:
        self._world = world
        self._table = table
        self._limiter = limiter
        self._idempotency = IdempotencyStore(world.clock)

    def answer(self, request: ApiRequest, entry: LogEntry | None) -> ApiAnswer:
        headers = {
            "request-id": self._world.new_id("req_", 14),
            "stripe-version": request.headers.get("stripe-version", API_VERSION),
            "cache-control": "no-cache, no-store",
        }
        try:
            caller = authenticate(self._world, request.headers)
            if entry is not None:
                entry.account = caller.account.id
            status, body = self._answer_caller(request, caller, headers, entry)
        except StripeError as error:
            status, body = error.status, _error_body(error, headers)
        return ApiAnswer(status, body, headers)

    def _answer_caller(
        self, request: ApiRequest, caller: Caller, headers: dict[str, str], entry: LogEntry | None
    ) -> tuple[int, bytes]:
        found = self._table.find(request.method, request.path)
        if found is None:
            message = (
                f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs or "
                "we can help at https://support.stripe.com/."
            )
            raise StripeError(message, status=404)
        operation, ids = found
        self._limiter.take(caller.account.id, f"{operation.method} {operation.path}")
        if operation.needs:
            caller.require(operation.needs)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        fingerprint = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.body).hexdigest()
        if key:
            headers["idempotency-key"] = key
            earlier = self._idempotency.find(caller.account.id, key, fingerprint)
            if earlier is not None:
                headers["idempotent-replayed"] = "true"
                if entry is not None:
                    entry.replayed = True
                return earlier.status, earlier.body
        self._world.request = RequestRef(headers["request-id"], key)
        try:
            call = Call(self._world, caller, ids, _params(request))
            status, body = 200, _encode(self._render(call, operation.handler(call), headers["stripe-version"]))
        except StripeError as error:
            status, body = error.status, _error_body(error, headers)
        finally:
            self._world.request = None
        if key:
            self._idempotency.keep(caller.account.id, key, fingerprint, status, body)
        return status, body

    def _render(self, call: Call, result: Json, version: str) -> Json:
        if result.get("object") == "list":
            items = [self._render_one(call, item, version) for item in result["data"]]
            body = {**result, "data": items}
        else:
            body = self._render_one(call, result, version)
        return expand(call.world, call.caller, body, sequence(call.params, "expand"))

    def _render_one(self, call: Call, item: Json, version: str) -> Json:
        return shown_at(call.account, shown(call.world, call.account, item), version)


def _params(request: ApiRequest) -> Params:
    params = decode(request.query)
    if request.body:
        params.update(decode(request.body.decode("utf-8", "replace")))
    return params


def _encode(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(", ", ": ")).encode()


def _error_body(error: StripeError, headers: dict[str, str]) -> bytes:
    headers.update(error.headers)
    error.body["error"].setdefault("request_log_url", f"https://dashboard.stripe.com/logs/{headers['request-id']}")
    return _encode(error.body)
