"""The webhook part of the control API: knobs, held deliveries, resends, strange bodies, attempts, rate limit."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from web.sandbox.faults import check_pattern
from web.sandbox.routes import ControlCall, Nothing, control_route
from web.sandbox.stripe.errors import no_such
from web.sandbox.stripe.inputs import LimitInput, OddInput, ReleaseInput, ResendInput
from web.sandbox.stripe.knobs import Knobs
from web.sandbox.stripe.limits import RateLimiter
from web.sandbox.stripe.odd import send_odd
from web.sandbox.stripe.world import World, public

_ROOT = "/_control/stripe/webhooks"


def webhook_control(world: World, limiter: RateLimiter) -> list[HTTPRouteHandler]:
    """Handlers under ``/_control/stripe/webhooks`` and the rate limit."""
    outbox = world.outbox

    def set_knobs(call: ControlCall[Knobs]) -> Knobs:
        check_pattern(call.data.drop or "")
        outbox.knobs = call.data
        return outbox.knobs

    def held(_: ControlCall[Nothing]) -> list[dict[str, Any]]:
        return [
            {"event": d.event["id"], "type": d.event["type"], "account": d.account, "endpoint": d.endpoint}
            for d in outbox.held
        ]

    async def release(call: ControlCall[ReleaseInput]) -> dict[str, Any]:
        return {"delivered": await outbox.release(world, call.data.order)}

    def resend(call: ControlCall[ResendInput]) -> dict[str, Any]:
        account = world.accounts.get(call.data.account)
        if account is None:
            raise no_such("account", call.data.account, "account")
        shelf = account.shelf("event")
        wanted = [shelf.by_id[i] for i in call.data.events if i in shelf.by_id] or list(shelf.oldest_first())
        if call.data.events and len(wanted) != len(call.data.events):
            raise no_such("event", ", ".join(call.data.events), "events")
        return {"deliveries": sum(outbox.resend(world, account, event) for event in wanted)}

    def events(call: ControlCall[Nothing]) -> list[dict[str, Any]]:
        account = world.accounts.get(call.query.get("account", ""))
        if account is None:
            raise no_such("account", call.query.get("account", ""), "account")
        return [public(event) for event in account.shelf("event").oldest_first()]

    def attempts(call: ControlCall[Nothing]) -> list[Any]:
        wanted = call.query.get("account")
        return [attempt for attempt in outbox.attempts if wanted in {None, attempt.account}]

    def set_limit(call: ControlCall[LimitInput]) -> LimitInput:
        limiter.per_second = call.data.per_second
        return call.data

    return [
        control_route("GET", f"{_ROOT}/knobs", lambda _: outbox.knobs),
        control_route("PUT", f"{_ROOT}/knobs", set_knobs, Knobs),
        control_route("GET", f"{_ROOT}/held", held),
        control_route("POST", f"{_ROOT}/release", release, ReleaseInput),
        control_route("POST", f"{_ROOT}/resend", resend, ResendInput),
        control_route("POST", f"{_ROOT}/odd", lambda call: send_odd(world, call.data), OddInput),
        control_route("GET", f"{_ROOT}/events", events),
        control_route("GET", f"{_ROOT}/attempts", attempts),
        control_route("PUT", "/_control/stripe/rate_limit", set_limit, LimitInput),
    ]
