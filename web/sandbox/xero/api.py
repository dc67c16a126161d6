"""``/api.xro/2.0/...``: bearer, organisation, scope, limits and idempotency in front of the accounting code."""

import hashlib
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import msgspec
from litestar import HttpMethod, Request, Response
from litestar.handlers import HTTPRouteHandler

from web.sandbox.faults import FaultAnswer
from web.sandbox.log import LogEntry, current_entry
from web.sandbox.xero import limits
from web.sandbox.xero.amounts import decode, encode, ms_time
from web.sandbox.xero.answers import MAX_LENGTH, Answer
from web.sandbox.xero.call import Call
from web.sandbox.xero.endpoints import allows
from web.sandbox.xero.errors import JSON_HEADERS, Stopped, expired_detail, offline, problem
from web.sandbox.xero.oauth import Access
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.service import Asked, needed_scopes, perform
from web.sandbox.xero.world import World
from web.sandbox.xero.xml import to_xml

AnyRequest = Request[Any, Any, Any]
_WRITES = ("PUT", "POST")


@dataclass(frozen=True)
class _Guest:
    """Who is let in, and where to."""

    access: Access
    organisation: Organisation


class Gateway:
    """Lets a request in, runs it once, and dresses the answer."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, request: AnyRequest) -> Response[bytes]:
        entry = current_entry(cast("MutableMapping[str, Any]", request.scope))
        asked = Asked(
            method=request.method,
            parts=[part for part in str(request.path_params["path"]).split("/") if part],
            query=dict(request.query_params),
            since=request.headers.get("if-modified-since"),
            body=await request.body(),
            content_type=request.headers.get("content-type", ""),
        )
        try:
            guest = self._admit(request, asked)
        except Stopped as stopped:
            return self._dressed(request, stopped.answer)
        organisation = guest.organisation
        if entry is not None:
            entry.account = organisation.tenant_id
        refusal = limits.admit(
            organisation, self._world.app_minute, self._world.clock.timestamp(), self._world.platform.app_minute_limit
        )
        if refusal is not None:
            organisation.counters["throttled"] += 1
            return self._dressed(request, refusal, organisation)
        self._count(organisation, asked)
        organisation.in_flight += 1
        try:
            answer = await self._once(guest, asked, request.headers.get("idempotency-key"), entry)
        finally:
            organisation.in_flight -= 1
        return self._dressed(request, answer, organisation)

    def _admit(self, request: AnyRequest, asked: Asked) -> _Guest:
        world, now = self._world, self._world.clock.now()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = world.office.find_access(token.strip()) if scheme.lower() == "bearer" else None
        if access is None:
            raise self._problem(401, "AuthenticationUnsuccessful")
        if now >= access.ends:
            raise self._problem(401, expired_detail(access.ends))
        tenant_id = request.headers.get("xero-tenant-id", "").lower()
        grant = access.grant
        organisation = world.organisations.get(tenant_id)
        if organisation is None or world.office.connection(grant.client_id, grant.user.id, tenant_id) is None:
            raise self._problem(403, "AuthenticationUnsuccessful")
        if not allows(access.scopes, needed_scopes(asked.parts), is_read=asked.method == "GET"):
            raise self._problem(401, "AuthorizationUnsuccessful")
        return _Guest(access, organisation)

    def _count(self, organisation: Organisation, asked: Asked) -> None:
        counters = organisation.counters
        counters["calls"] += 1
        counters["reads" if asked.method == "GET" else "writes"] += 1
        counters[f"{asked.method} {asked.parts[0] if asked.parts else ''}"] += 1

    async def _once(self, guest: _Guest, asked: Asked, key: str | None, entry: LogEntry | None) -> FaultAnswer:
        """Run a write under its key: a repeat within six minutes gets the first answer, whatever that was."""
        if key is None or asked.method not in _WRITES:
            return await self._attempt(guest, asked)
        client_id, store, at = guest.access.grant.client_id, self._world.answers, self._world.clock.timestamp()
        if not 0 < len(key) <= MAX_LENGTH:
            return problem(400, f"Idempotency Key: the key must have 1 to {MAX_LENGTH} characters.", self._new_id())
        fingerprint = _fingerprint(guest.organisation, asked)
        known = store.find(client_id, key, at)
        if known is not None and known.fingerprint != fingerprint:
            guest.organisation.note_violation("idempotency-key", key)
            return problem(400, f"Idempotency Key: {key} is used with a different request.", self._new_id())
        if known is not None:
            await known.done.wait()
            if known.answer is not None:
                guest.organisation.counters["replayed"] += 1
                if entry is not None:
                    entry.replayed = True
                return FaultAnswer(known.answer.status, list(known.answer.headers), known.answer.body)
        made = store.start(client_id, key, fingerprint, at)
        try:
            answer = await self._attempt(guest, asked)
            is_kept = answer.status < 400 or answer.status >= 500 or self._world.platform.cache_refusals
            if is_kept:
                made.answer = Answer(answer.status, answer.body, tuple(answer.headers))
            else:
                store.drop(client_id, key)
        except BaseException:
            store.drop(client_id, key)
            raise
        finally:
            made.done.set()
        return answer

    async def _attempt(self, guest: _Guest, asked: Asked) -> FaultAnswer:
        organisation = guest.organisation
        await self._world.clock.sleep(organisation.behaviour.latency_s)
        now = self._world.clock.now()
        if organisation.behaviour.offline:
            return offline()
        call = Call(organisation, now, self._world.new_id, 4 if asked.query.get("unitdp") == "4" else 2)
        try:
            status, content = perform(call, asked)
        except Stopped as stopped:
            if str(stopped).startswith("Sandbox:"):
                organisation.note_violation("strictness", str(stopped))
            return stopped.answer
        if content is None:
            return FaultAnswer(status, list(JSON_HEADERS), b"")
        body = encode({**self._envelope(now), **content})
        if asked.method == "GET" and asked.parts[0] != "Organisation":
            organisation.counters["egress_bytes"] += len(body)
        return FaultAnswer(status, list(JSON_HEADERS), body)

    def _envelope(self, now: datetime) -> dict[str, Any]:
        # "OK" whatever became of the elements: that is how Xero answers.
        return {"Id": self._new_id(), "Status": "OK", "ProviderName": "Sandbox app", "DateTimeUTC": ms_time(now)}

    def _dressed(
        self, request: AnyRequest, answer: FaultAnswer, organisation: Organisation | None = None
    ) -> Response[bytes]:
        headers = {name: value for name, value in answer.headers if name != "content-type"}
        media_type, body = dict(answer.headers)["content-type"], answer.body
        if "json" in media_type and body and "application/json" not in request.headers.get("accept", ""):
            media_type, body = "text/xml; charset=utf-8", to_xml(decode(body))
            if organisation is not None:
                organisation.note_violation("accept", "the answer was XML because JSON was not asked for")
        if media_type.startswith("text/"):
            # Litestar adds the charset of texts by itself.
            media_type = media_type.partition(";")[0]
        headers["Xero-Correlation-Id"] = self._new_id()
        if organisation is not None:
            limit = self._world.platform.app_minute_limit
            at = self._world.clock.timestamp()
            headers |= limits.remaining(organisation, self._world.app_minute, at, limit)
        return Response(body, status_code=answer.status, media_type=media_type, headers=headers)

    def _problem(self, status: int, detail: str) -> Stopped:
        return Stopped(problem(status, detail, self._new_id()))

    def _new_id(self) -> str:
        return self._world.new_id()


def _fingerprint(organisation: Organisation, asked: Asked) -> str:
    told = [organisation.tenant_id, asked.method, asked.parts, sorted(asked.query.items())]
    return hashlib.sha256(msgspec.json.encode(told) + asked.body).hexdigest()


def api_routes(world: World) -> list[HTTPRouteHandler]:
    gateway = Gateway(world)

    async def endpoint(request: AnyRequest) -> Response[bytes]:
        return await gateway.run(request)

    methods = [HttpMethod.GET, HttpMethod.PUT, HttpMethod.POST, HttpMethod.DELETE]
    return [HTTPRouteHandler("/api.xro/2.0/{path:path}", http_method=methods, status_code=200)(endpoint)]
