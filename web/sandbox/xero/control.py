"""``/_control/xero/...``: what the owner, Xero, or the passing of time would do."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from web.sandbox.routes import ControlCall, ControlError, Method, control_route
from web.sandbox.xero import bank, contacts, journals, lists, sales, settling
from web.sandbox.xero.amounts import decode, encode
from web.sandbox.xero.call import Call
from web.sandbox.xero.consent import DEFAULT_USER, allow
from web.sandbox.xero.endpoints import BY_ELEMENT, Endpoint
from web.sandbox.xero.errors import Invalid, Stopped
from web.sandbox.xero.fields import clean
from web.sandbox.xero.organisation import Break, Organisation
from web.sandbox.xero.reading import find_one
from web.sandbox.xero.records import Json
from web.sandbox.xero.world import World

_ROOT = "/_control/xero"
_TENANT = _ROOT + "/organisations/{tenant:str}"
_RECORDS = _TENANT + "/records/{element:str}"
_RECORD = _RECORDS + "/{record:str}"
ASKED_SCOPES = (
    "openid profile email offline_access accounting.invoices accounting.payments accounting.banktransactions "
    "accounting.contacts accounting.settings.read accounting.reports.trialbalance.read"
)

Work = Callable[[ControlCall[msgspec.Raw]], Any]


class NewOrganisation(msgspec.Struct, forbid_unknown_fields=True):
    """An organisation to make."""

    name: str
    country: str = "GB"
    currency: str | None = None


class Consent(msgspec.Struct, forbid_unknown_fields=True):
    """A consent without the page."""

    user: str = DEFAULT_USER
    scope: str = ASKED_SCOPES


class Expiry(msgspec.Struct, forbid_unknown_fields=True):
    """Which tokens run out."""

    refresh: bool = False


class Failing(msgspec.Struct, forbid_unknown_fields=True):
    """The next write dies after so many elements, or loses an account there."""

    after_elements: int = 0
    status: int = 500
    archives: str | None = None


def control_routes(world: World) -> list[HTTPRouteHandler]:
    return [*_organisation_routes(world), *_record_routes(world), *_token_routes(world), *_meter_routes(world)]


def _route(method: Method, path: str, work: Work) -> HTTPRouteHandler:
    """Exact numbers in both directions; refusals of the books as 422."""

    def run(call: ControlCall[msgspec.Raw]) -> msgspec.Raw:
        try:
            return msgspec.Raw(encode(work(call)))
        except Invalid as invalid:
            raise ControlError(str(invalid), 422) from None
        except Stopped as stopped:
            raise ControlError(str(stopped), stopped.answer.status) from None

    return control_route(method, path, run, msgspec.Raw)


def _organisation_routes(world: World) -> list[HTTPRouteHandler]:
    def create(call: ControlCall[NewOrganisation]) -> Any:
        return _summary(world.create_organisation(call.data.name, call.data.country, call.data.currency))

    def trial_balance(call: ControlCall[msgspec.Raw]) -> Any:
        as_of = call.query.get("as_of")
        return _organisation(world, call).trial_balance(date.fromisoformat(as_of) if as_of else None)

    def behave(call: ControlCall[msgspec.Raw]) -> Any:
        organisation = _organisation(world, call)
        organisation.behaviour = _merged(organisation.behaviour, call)
        return organisation.behaviour

    def rates(call: ControlCall[msgspec.Raw]) -> Any:
        organisation = _organisation(world, call)
        told = {code: Decimal(rate) for code, rate in decode(call.data).items()}
        organisation.rates |= told
        organisation.currencies += [code for code in told if code not in organisation.currencies]
        return organisation.rates

    def configure(call: ControlCall[msgspec.Raw]) -> Any:
        world.platform = _merged(world.platform, call)
        world.office.new_consent_ends_older = world.platform.new_consent_ends_older
        return world.platform

    return [
        control_route("POST", _ROOT + "/organisations", create, NewOrganisation),
        _route("GET", _ROOT + "/organisations", lambda _: [_summary(o) for o in world.organisations.values()]),
        _route("GET", _TENANT, lambda call: _summary(_organisation(world, call))),
        _route("GET", _TENANT + "/trial-balance", trial_balance),
        _route("PUT", _TENANT + "/behaviour", behave),
        _route("PUT", _TENANT + "/rates", rates),
        _route("PUT", _ROOT + "/platform", configure),
    ]


def _record_routes(world: World) -> list[HTTPRouteHandler]:
    def prepared(call: ControlCall[msgspec.Raw]) -> tuple[Call, Endpoint]:
        endpoint = BY_ELEMENT.get(call.path["element"].lower())
        if endpoint is None:
            message = f"there are no records called {call.path['element']}"
            raise ControlError(message, 404)
        hand = Call(_organisation(world, call), world.clock.now(), world.new_id, unit_places=4, by_app=False)
        return hand, endpoint

    def every(call: ControlCall[msgspec.Raw]) -> Any:
        hand, endpoint = prepared(call)
        return [endpoint.render(hand, record, True) for record in endpoint.records(hand.organisation).values()]

    def one(call: ControlCall[msgspec.Raw]) -> Any:
        hand, endpoint = prepared(call)
        record = find_one(hand, endpoint, call.path["record"])
        accounts = hand.organisation.accounts
        legs = hand.organisation.ledger.legs(record.id)
        postings = [{"account": accounts[leg.account_id].name, "amount_minor": leg.cents} for leg in legs]
        return {"record": endpoint.render(hand, record, True), "postings": postings}

    def create(call: ControlCall[msgspec.Raw]) -> Any:
        hand, endpoint = prepared(call)
        return _by_hand(hand, endpoint, decode(call.data), None)

    def edit(call: ControlCall[msgspec.Raw]) -> Any:
        hand, endpoint = prepared(call)
        return _by_hand(hand, endpoint, decode(call.data), find_one(hand, endpoint, call.path["record"]))

    def act(call: ControlCall[msgspec.Raw]) -> Any:
        hand, endpoint = prepared(call)
        record = find_one(hand, endpoint, call.path["record"])
        _act(hand, endpoint, record, call.path["action"])
        return endpoint.render(hand, record, True)

    return [
        _route("GET", _RECORDS, every),
        _route("GET", _RECORD, one),
        _route("POST", _RECORDS, create),
        _route("PUT", _RECORD, edit),
        _route("POST", _RECORD + "/{action:str}", act),
    ]


def _token_routes(world: World) -> list[HTTPRouteHandler]:
    def connect(call: ControlCall[Consent]) -> Any:
        organisation = _organisation(world, call)
        client_id, redirect = world.settings.xero_client_id, "control"
        asked = {"client_id": client_id, "redirect_uri": redirect, "scope": call.data.scope}
        user = world.office.user(call.data.user)
        code = allow(world, asked, user, [organisation.tenant_id])
        now = world.clock.now()
        grant = world.office.redeem(client_id, code, redirect, "", now)
        connection = world.office.connection(client_id, user.id, organisation.tenant_id)
        connection_id = connection.id if connection else ""
        tenant = {"tenant_id": organisation.tenant_id, "connection_id": connection_id, "user_id": user.id}
        return {**world.office.answer(grant, now), **tenant, "auth_event_id": grant.auth_event_id}

    def disconnect(call: ControlCall[msgspec.Raw]) -> Any:
        return {"connections": world.office.disconnect(_organisation(world, call).tenant_id)}

    def expire(call: ControlCall[Expiry]) -> Any:
        return {"tokens": world.office.expire(world.clock.now(), refresh=call.data.refresh)}

    return [
        control_route("POST", _TENANT + "/connect", connect, Consent),
        _route("POST", _TENANT + "/disconnect", disconnect),
        control_route("POST", _ROOT + "/tokens/expire", expire, Expiry),
        _route("GET", _ROOT + "/connections", lambda _: list(world.office.connections.values())),
    ]


def _meter_routes(world: World) -> list[HTTPRouteHandler]:
    def clear_counters(call: ControlCall[msgspec.Raw]) -> Any:
        _organisation(world, call).counters.clear()
        return {}

    def clear_violations(call: ControlCall[msgspec.Raw]) -> Any:
        _organisation(world, call).violations.clear()
        return {}

    def break_next(call: ControlCall[Failing]) -> Any:
        organisation = _organisation(world, call)
        organisation.breaks.append(Break(call.data.after_elements, call.data.status, call.data.archives))
        return {"waiting": len(organisation.breaks)}

    return [
        _route("GET", _TENANT + "/counters", lambda call: dict(_organisation(world, call).counters)),
        _route("DELETE", _TENANT + "/counters", clear_counters),
        _route("GET", _TENANT + "/violations", lambda call: _organisation(world, call).violations),
        _route("DELETE", _TENANT + "/violations", clear_violations),
        control_route("POST", _TENANT + "/break", break_next, Failing),
        _route("DELETE", _ROOT + "/idempotency", lambda _: {"forgotten": world.answers.forget()}),
    ]


def _by_hand(hand: Call, endpoint: Endpoint, body: Any, target: Any) -> Json:
    """What the owner does on the screen, through the same rules as the API."""
    too_long: list[str] = []
    sent = clean(endpoint.element, body, too_long)
    if endpoint.write is None:
        return _edit_tax_rate(hand, endpoint, target, sent)
    try:
        record = endpoint.write(hand, sent, target, creates_only=target is None)
    except Invalid:
        hand.roll_back()
        raise
    return endpoint.render(hand, record, True)


def _edit_tax_rate(hand: Call, endpoint: Endpoint, target: Any, sent: Json) -> Json:
    if target is None or sent.keys() - {"Name", "Status"}:
        message = "only Name and Status of an existing tax rate can be changed"
        raise ControlError(message)
    target.name = sent.get("Name", target.name)
    target.status = sent.get("Status", target.status)
    return endpoint.render(hand, target, True)


def _act(hand: Call, endpoint: Endpoint, record: Any, action: str) -> None:
    match (endpoint.element, action):
        case ("Invoice" | "CreditNote" as entity, "void"):
            sales.write(hand, entity, {"Status": "VOIDED"}, record, creates_only=False)
        case ("Invoice" | "CreditNote" as entity, "delete"):
            sales.write(hand, entity, {"Status": "DELETED"}, record, creates_only=False)
        case ("Payment", "delete"):
            settling.delete(hand, record)
        case ("BankTransaction", "delete"):
            bank.write_transaction(hand, {"Status": "DELETED"}, record, creates_only=False)
        case ("BankTransfer", "delete"):
            bank.remove_transfer(hand, record)
        case ("ManualJournal", "void"):
            journals.remove(hand, record, "VOIDED")
        case ("Payment" | "BankTransaction" | "BankTransfer", "reconcile" | "unreconcile"):
            record.is_reconciled = action == "reconcile"
            hand.touch(record)
        case ("Contact", "archive" | "restore"):
            status = "ARCHIVED" if action == "archive" else "ACTIVE"
            contacts.write(hand, {"ContactStatus": status}, record, creates_only=False)
        case ("Account", "archive"):
            lists.archive(hand, record)
        case ("Account", "restore"):
            record.status = "ACTIVE"
            hand.touch(record)
        case (element, _):
            message = f"{element} has no action {action}"
            raise ControlError(message, 404)


def _merged(current: Any, call: ControlCall[msgspec.Raw]) -> Any:
    changes = decode(call.data)
    known = type(current).__struct_fields__
    unknown = set(changes) - set(known)
    if unknown:
        message = f"no such switch: {', '.join(sorted(unknown))}"
        raise ControlError(message)
    return msgspec.convert({**msgspec.to_builtins(current), **changes}, type(current))


def _summary(organisation: Organisation) -> Json:
    return {
        "tenant_id": organisation.tenant_id,
        "name": organisation.name,
        "country": organisation.country,
        "currency": organisation.currency,
        "short_code": organisation.short_code,
        "behaviour": msgspec.to_builtins(organisation.behaviour),
    }


def _organisation(world: World, call: ControlCall[Any]) -> Organisation:
    return world.organisation(call.path["tenant"].lower())
