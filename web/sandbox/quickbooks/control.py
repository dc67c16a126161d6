"""``/_control/quickbooks/...``: what the company's owner, Intuit, or the passing of time would do."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler

from web.sandbox.quickbooks import books
from web.sandbox.quickbooks.amounts import decode, encode
from web.sandbox.quickbooks.company import Archiving, Behaviour, Company, Fields, Record
from web.sandbox.quickbooks.consent import token_answer
from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.fields import BY_PATH
from web.sandbox.quickbooks.oauth import ACCOUNTING
from web.sandbox.quickbooks.render import render
from web.sandbox.quickbooks.world import World

AnyRequest = Request[Any, Any, Any]
_ROOT = "/_control/quickbooks"
_REALM = _ROOT + "/companies/{realm:str}"
_DOCUMENTS = _REALM + "/documents/{entity:str}"
_DOCUMENT = _DOCUMENTS + "/{record_id:str}"


def control_routes(world: World) -> list[HTTPRouteHandler]:
    return [*_company_routes(world), *_document_routes(world), *_token_routes(world), *_meter_routes(world)]


def _company_routes(world: World) -> list[HTTPRouteHandler]:
    @post(_ROOT + "/companies")
    async def create(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)

        def work() -> Any:
            return _summary(
                world.create_company(body.get("name", ""), body.get("country", "US"), body.get("home_currency"))
            )

        return _answer(work, status=201)

    @get(_ROOT + "/companies", sync_to_thread=False)
    def list_companies() -> Response[bytes]:
        return _answer(lambda: [_summary(company) for company in world.companies.values()])

    @get(_REALM, sync_to_thread=False)
    def read(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: _summary(_company(world, request)))

    @get(_REALM + "/trial-balance", sync_to_thread=False)
    def trial_balance(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: _company(world, request).trial_balance(request.query_params.get("as_of")))

    @patch(_REALM + "/behaviour")
    async def behave(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)
        return _answer(lambda: _change_behaviour(_company(world, request), body))

    @post(_REALM + "/reset", status_code=200, sync_to_thread=False)
    def reset(request: AnyRequest) -> Response[bytes]:
        def work() -> Any:
            company = _company(world, request)
            company.was_reset = True
            return _summary(company)

        return _answer(work)

    @patch(_REALM + "/rates")
    async def rates(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)

        def work() -> Any:
            company = _company(world, request)
            company.rates |= body
            return company.rates

        return _answer(work)

    return [create, list_companies, read, trial_balance, behave, reset, rates]


def _document_routes(world: World) -> list[HTTPRouteHandler]:
    @get(_DOCUMENTS, sync_to_thread=False)
    def list_documents(request: AnyRequest) -> Response[bytes]:
        def work() -> Any:
            company = _company(world, request)
            return [render(company, record) for record in company.records[_entity(request)].values()]

        return _answer(work)

    @get(_DOCUMENT, sync_to_thread=False)
    def read(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: _with_postings(_company(world, request), _record(world, request)))

    @post(_DOCUMENTS)
    async def create(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)

        def work() -> Any:
            company = _company(world, request)
            return render(company, books.write(company, _entity(request), body, world.clock.now()))

        return _answer(work, status=201)

    @patch(_DOCUMENT)
    async def edit(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)
        return _answer(lambda: _edit(_company(world, request), _record(world, request), body, world.clock.now()))

    @post(_DOCUMENT + "/{action:str}", status_code=200, sync_to_thread=False)
    def act(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: _act(_company(world, request), _record(world, request), request, world.clock.now()))

    @post(_REALM + "/archive-between", status_code=200)
    async def archive_between(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)

        def work() -> Any:
            company = _company(world, request)
            company.archiving = Archiving(company.get("Account", str(body["account"])).id, int(body["after_items"]))
            return {"account": company.archiving.account_id}

        return _answer(work)

    return [list_documents, read, create, edit, act, archive_between]


def _token_routes(world: World) -> list[HTTPRouteHandler]:
    @post(_REALM + "/connect", status_code=200, sync_to_thread=False)
    def connect(request: AnyRequest) -> Response[bytes]:
        def work() -> Any:
            company, now, redirect = _company(world, request), world.clock.now(), "control"
            client_id = world.settings.intuit_client_id
            code = world.office.issue_code(client_id, company.realm_id, redirect, ACCOUNTING, now)
            grant, access = world.office.redeem(client_id, code, redirect, now)
            return {**token_answer(world, grant, access, with_hard_end=True), "realmId": company.realm_id}

        return _answer(work)

    @post(_REALM + "/tokens/expire", status_code=200)
    async def expire(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)

        def work() -> Any:
            realm_id = _company(world, request).realm_id
            return {"grants": world.office.expire(realm_id, world.clock.now(), refresh=bool(body.get("refresh")))}

        return _answer(work)

    @post(_REALM + "/tokens/revoke", status_code=200, sync_to_thread=False)
    def revoke(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: {"grants": world.office.revoke_realm(_company(world, request).realm_id)})

    @patch(_ROOT + "/oauth")
    async def configure(request: AnyRequest) -> Response[bytes]:
        body = await _body(request)

        def work() -> Any:
            world.office.punish_reuse = bool(body.get("punish_reuse", world.office.punish_reuse))
            world.refresh_pause_s = float(body.get("refresh_pause_s", world.refresh_pause_s))
            return {"punish_reuse": world.office.punish_reuse, "refresh_pause_s": world.refresh_pause_s}

        return _answer(work)

    return [connect, expire, revoke, configure]


def _meter_routes(world: World) -> list[HTTPRouteHandler]:
    @get(_REALM + "/counters", sync_to_thread=False)
    def counters(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: _counters(_company(world, request)))

    @delete(_REALM + "/counters", status_code=200, sync_to_thread=False)
    def clear_counters(request: AnyRequest) -> Response[bytes]:
        def work() -> Any:
            company = _company(world, request)
            company.counters.clear()
            return _counters(company)

        return _answer(work)

    @get(_REALM + "/requestids/violations", sync_to_thread=False)
    def violations(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: [msgspec.to_builtins(v) for v in _company(world, request).requests.violations])

    @delete(_REALM + "/requestids", status_code=200, sync_to_thread=False)
    def forget(request: AnyRequest) -> Response[bytes]:
        return _answer(lambda: {"forgotten": _company(world, request).requests.forget()})

    return [counters, clear_counters, violations, forget]


def _change_behaviour(company: Company, changes: Fields) -> Behaviour:
    unknown = changes.keys() - set(Behaviour.__struct_fields__)
    if unknown:
        raise Refused("2010", f"no such switch: {', '.join(sorted(unknown))}")
    if company.behaviour.multicurrency and changes.get("multicurrency") is False:
        raise Refused("6000", "multicurrency can't be turned off again")
    merged = {**msgspec.to_builtins(company.behaviour), **changes}
    try:
        company.behaviour = msgspec.convert(merged, Behaviour)
    except msgspec.ValidationError as exc:
        raise Refused("2010", str(exc)) from None
    return company.behaviour


def _edit(company: Company, record: Record, changes: Fields, now: datetime) -> Fields:
    """What the owner does on the screen: no SyncToken to bother with."""
    if record.entity in books.BUILDERS:
        base: Fields = {"Id": record.id, "SyncToken": str(record.sync_token), "sparse": True}
        if record.entity == "Purchase":
            base["PaymentType"] = record.fields["PaymentType"]
        return render(company, books.write(company, record.entity, {**base, **changes}, now))
    record.built.fields |= changes
    record.sync_token += 1
    record.updated = now
    return render(company, record)


def _act(company: Company, record: Record, request: AnyRequest, now: datetime) -> Any:
    identity = {"Id": record.id, "SyncToken": str(record.sync_token)}
    match request.path_params["action"]:
        case "void":
            return render(company, books.void(company, record.entity, identity, now))
        case "delete":
            books.delete(company, record.entity, identity, now)
            return {"deleted": record.id}
        case "deactivate":
            return _edit(company, record, {"Active": False}, now)
        case "activate":
            return _edit(company, record, {"Active": True}, now)
        case "match":
            record.is_matched = True
            return {"matched": record.id}
        case other:
            raise Refused("500", f"no such action: {other}", status=404)


def _with_postings(company: Company, record: Record) -> Fields:
    legs = [
        {"account": company.account_name(p.account_id), "amount_minor": p.cents}
        for p in company.ledger.postings(record.id)
    ]
    return {"document": render(company, record), "postings": legs}


def _counters(company: Company) -> Fields:
    return {name: company.counters[name] for name in ("requests", "batches", "core", "core_plus", "throttled")}


def _summary(company: Company) -> Fields:
    return {
        "realm_id": company.realm_id,
        "name": company.name,
        "country": company.country,
        "home_currency": company.home_currency,
        "behaviour": msgspec.to_builtins(company.behaviour),
    }


def _company(world: World, request: AnyRequest) -> Company:
    return world.company(request.path_params["realm"])


def _entity(request: AnyRequest) -> str:
    entity = BY_PATH.get(request.path_params["entity"].lower())
    if entity is None:
        raise Refused("500", f"no such entity: {request.path_params['entity']}", status=404)
    return entity


def _record(world: World, request: AnyRequest) -> Record:
    return _company(world, request).get(_entity(request), request.path_params["record_id"])


async def _body(request: AnyRequest) -> Fields:
    raw = await request.body()
    body = decode(raw) if raw else {}
    return body if isinstance(body, dict) else {}


def _answer(work: Callable[[], Any], *, status: int = 200) -> Response[bytes]:
    try:
        content = encode(work())
    except Refused as refused:
        status = 422 if refused.status == 400 else refused.status
        content = encode({"code": refused.code, "message": refused.message, "detail": refused.detail})
    return Response(content, status_code=status, media_type="application/json")
