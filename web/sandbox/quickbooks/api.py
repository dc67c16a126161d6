"""``/v3/company/{realm}/...``: the gateway (bearer, throttle, headers) in front of the service."""

from collections.abc import Callable, MutableMapping
from typing import Any, cast

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from web.sandbox.faults import FaultAnswer
from web.sandbox.log import current_entry
from web.sandbox.quickbooks import info, query
from web.sandbox.quickbooks.amounts import decode, encode, pacific
from web.sandbox.quickbooks.company import Company, Fields
from web.sandbox.quickbooks.errors import JSON_HEADERS, Refused, forbidden, missing, throttled, to_xml, unauthorized
from web.sandbox.quickbooks.service import Answer, Write, batch, changes, entity_of, parse_body, read_one, single
from web.sandbox.quickbooks.world import World

AnyRequest = Request[Any, Any, Any]
_PATH = "/v3/company/{realm:str}/{name:str}"


class _Stopped(Exception):  # noqa: N818 - reads as what happened
    """The gateway answers by itself."""

    def __init__(self, answer: FaultAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Gateway:
    """Lets a request in, runs it, and dresses the answer."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, request: AnyRequest, work: Callable[[Company], Answer], *, is_batch: bool = False) -> Response[bytes]:
        try:
            company = self._admit(request, is_batch=is_batch)
        except _Stopped as stopped:
            return self._response(stopped.answer.status, stopped.answer.body, stopped.answer.headers)
        entry = current_entry(cast("MutableMapping[str, Any]", request.scope))
        if entry is not None:
            entry.account = company.realm_id
            entry.idempotency_key = request.query_params.get("requestid")
        try:
            _check_usable(company)
            answer = work(company)
        except Refused as refused:
            answer = Answer(refused.status, encode({"Fault": refused.fault(), "time": self.time()}))
        if entry is not None:
            entry.replayed = answer.was_replayed
        if "application/json" in request.headers.get("accept", ""):
            return self._response(answer.status, answer.body, JSON_HEADERS)
        return self._response(
            answer.status, to_xml(decode(answer.body)), [("content-type", "application/xml;charset=UTF-8")]
        )

    def read(self, request: AnyRequest, work: Callable[[Company], Fields]) -> Response[bytes]:
        """Run something that only reads: metered when it succeeds."""

        def counted(company: Company) -> Answer:
            body = encode({**work(company), "time": self.time()})
            company.counters["core_plus"] += 1
            return Answer(200, body)

        return self.run(request, counted)

    def time(self) -> str:
        return pacific(self._world.clock.now(), milliseconds=True)

    def _admit(self, request: AnyRequest, *, is_batch: bool) -> Company:
        world, now = self._world, self._world.clock.now()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = world.office.check(token.strip(), now) if scheme.lower() == "bearer" else None
        if grant is None:
            detail = "Token expired: the access token is unknown, has run out, or was revoked"
            headers = [*JSON_HEADERS, ("www-authenticate", 'Bearer realm="Intuit", error="invalid_token"')]
            raise _Stopped(FaultAnswer(401, headers, unauthorized(now, detail)))
        company = world.companies.get(request.path_params["realm"])
        if company is None or grant.realm_id != company.realm_id:
            raise _Stopped(FaultAnswer(403, JSON_HEADERS, forbidden(now)))
        company.counters["requests"] += 1
        company.counters["batches"] += is_batch
        behaviour = company.behaviour
        at = now.timestamp()
        if behaviour.throttle and not world.throttle.admit(company.realm_id, grant.client_id, at, is_batch=is_batch):
            company.counters["throttled"] += 1
            raise _Stopped(throttled(now, as_json=behaviour.throttle_json))
        return company

    def _response(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> Response[bytes]:
        sent = dict(headers)
        media_type = sent.pop("content-type")
        sent["intuit_tid"] = self._world.clock.new_id("1-", 32).lower()
        sent |= {"Qbo-Version": "1987.101", "Service-Time": "total=12, db=3"}
        return Response(body, status_code=status, media_type=media_type, headers=sent)


def _check_usable(company: Company) -> None:
    if company.was_reset:
        raise Refused("10200", "All data of this company was wiped by its owner")
    if company.behaviour.subscription_ended:
        raise Refused("6190", "Invalid Company Status : the subscription period has ended or was canceled.")


def api_routes(world: World) -> list[HTTPRouteHandler]:
    gateway = Gateway(world)

    @get(_PATH, sync_to_thread=False)
    def read_collection(request: AnyRequest) -> Response[bytes]:
        name = request.path_params["name"].lower()
        params = request.query_params
        match name:
            case "query":
                return gateway.read(
                    request, lambda company: {"QueryResponse": query.run(company, _needed(request, "query"))}
                )
            case "preferences":
                return gateway.read(request, lambda company: {"Preferences": info.preferences(company)})
            case "cdc":
                entities, since = params.get("entities", ""), params.get("changedSince", "")
                return gateway.read(request, lambda company: changes(company, entities, since, world.clock.now()))
            case "exchangerate":
                as_of = params.get("asofdate")
                currency = params.get("sourcecurrencycode", "")
                return gateway.read(
                    request,
                    lambda company: {"ExchangeRate": info.exchange_rate(company, currency, as_of, world.clock.now())},
                )
            case _:
                return gateway.read(request, lambda company: read_one(company, name, ""))

    @get(_PATH + "/{record_id:str}", sync_to_thread=False)
    def read_object(request: AnyRequest) -> Response[bytes]:
        name, record_id = request.path_params["name"].lower(), request.path_params["record_id"]
        return gateway.read(request, lambda company: read_one(company, name, record_id))

    @post(_PATH)
    async def write(request: AnyRequest) -> Response[bytes]:
        name = request.path_params["name"]
        raw = await request.body()
        if name == "query":
            return gateway.read(request, lambda company: {"QueryResponse": query.run(company, raw.decode())})
        if name == "batch":
            return gateway.run(request, lambda company: _batch(company, request, raw), is_batch=True)
        return gateway.run(request, lambda company: _single(company, request, name, raw))

    def _batch(company: Company, request: AnyRequest, raw: bytes) -> Answer:
        content = batch(company, _json(request, raw), request.query_params.get("requestid"), world.clock.now())
        return Answer(200, encode({**content, "time": gateway.time()}))

    def _single(company: Company, request: AnyRequest, name: str, raw: bytes) -> Answer:
        params = request.query_params
        include = frozenset(params.get("include", "").lower().split(",")) - {""}
        change = Write(entity_of(name), _json(request, raw), params.get("operation", "").lower(), include)
        return single(company, change, params.get("requestid"), world.clock.now())

    return [read_collection, read_object, write]


def _needed(request: AnyRequest, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise missing(name)
    return str(value)


def _json(request: AnyRequest, raw: bytes) -> Any:
    if "application/json" not in request.headers.get("content-type", ""):
        raise Refused(
            "1050", "Invalid Content Type : only application/json is understood", message="Invalid Content Type"
        )
    return parse_body(raw)
