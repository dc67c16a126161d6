"""The part of the control API that every stand-in shares: clock, faults, request log, flush."""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from web.sandbox.clock import SandboxClock
from web.sandbox.faults import FaultRule, Faults
from web.sandbox.log import RequestLog
from web.sandbox.routes import ControlCall, Nothing, control_route
from web.sandbox.scheduler import Scheduler


class Advance(msgspec.Struct):
    """Move the clock forward."""

    seconds: float = 0.0
    days: float = 0.0
    flush: bool = True
    """Also run everything that falls due on the way, each at its own moment."""


class LogOptions(msgspec.Struct):
    """What the request log keeps."""

    record_bodies: bool


def shared_control(
    clock: SandboxClock, scheduler: Scheduler, faults: Faults, log: RequestLog
) -> list[HTTPRouteHandler]:
    """Handlers under ``/_control/``."""

    def time() -> dict[str, Any]:
        return {"now": clock.now_ts(), "iso": clock.now().isoformat(), "offset_s": clock.offset_s}

    async def advance(call: ControlCall[Advance]) -> dict[str, Any]:
        seconds = call.data.seconds + call.data.days * 86_400
        if call.data.flush:
            return {"jobs": await scheduler.advance(seconds), **time()}
        clock.advance(seconds)
        return {"jobs": 0, **time()}

    async def flush(_: ControlCall[Nothing]) -> dict[str, Any]:
        return {"jobs": await scheduler.run_due(), "pending": scheduler.pending()}

    def entries(call: ControlCall[Nothing]) -> list[Any]:
        found = log.entries(
            provider=call.query.get("provider"),
            account=call.query.get("account"),
            after_seq=int(call.query.get("after_seq", "0")),
        )
        return list(found)

    def clear_log(_: ControlCall[Nothing]) -> dict[str, Any]:
        log.clear()
        return {}

    def log_options(call: ControlCall[LogOptions]) -> LogOptions:
        log.record_bodies = call.data.record_bodies
        return call.data

    def clear_faults(call: ControlCall[Nothing]) -> dict[str, Any]:
        return {"removed": faults.clear(call.query.get("id"))}

    return [
        control_route("GET", "/_control/clock", lambda _: time()),
        control_route("POST", "/_control/clock/advance", advance, Advance),
        control_route("POST", "/_control/flush", flush),
        control_route("GET", "/_control/faults", lambda _: faults.rules()),
        control_route("POST", "/_control/faults", lambda call: faults.add(call.data), FaultRule),
        control_route("DELETE", "/_control/faults", clear_faults),
        control_route("GET", "/_control/log", entries),
        control_route("PUT", "/_control/log", log_options, LogOptions),
        control_route("DELETE", "/_control/log", clear_log),
    ]
