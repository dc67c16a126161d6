"""Log lines: one JSON object each, with fields from a list and nothing else (L1, L2).

A secret cannot leak through a field that does not exist. What other libraries log is cut down to the first line of its
fixed text, without the values; an exception is logged as its class and the places it passed, without its message, since
messages of drivers and providers quote what they were given.
"""

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC
from traceback import extract_tb, print_exception
from types import TracebackType
from typing import Any, TextIO

import structlog

from core.clock import Runtime, SystemRuntime

FIELDS = frozenset(
    {
        "at",
        "level",
        "part",
        "event",
        "request_id",
        "method",
        "route",
        "status",
        "duration_ms",
        "tenant_id",
        "user_id",
        "connection_id",
        "payment_id",
        "item_id",
        "operation_id",
        "event_id",
        "event_type",
        "provider",
        "provider_request_id",
        "kind",
        "state",
        "step",
        "reason",
        "code",
        "outcome",
        "count",
        "tries",
        "seconds",
        "retry_after_s",
        "key_ids",
        "worker_id",
        "pid",
        "port",
        "version",
        "exception",
        "frames",
    }
)
"""Every field that a log line may have. Add one only if it can never hold a secret, a name or an address."""

_MAX_TEXT = 300
_MAX_FRAMES = 12
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_Event = MutableMapping[str, Any]
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def get_logger(name: str) -> Any:
    """Return the logger of one part of the product."""
    return structlog.get_logger(part=name)


def configure_logging(
    level: str = "info", *, stream: TextIO | None = None, runtime: Runtime | None = None, tracebacks: bool = False
) -> None:
    """Set up this process's log: ours as JSON lines, everybody else's tamed.

    Args:
        level: least level that is written.
        stream: where lines go; standard error when not given.
        runtime: the clock of the time stamps.
        tracebacks: also print whole tracebacks, messages included. For development; production never asks for it.
    """
    out: Any = stream or _StandardError()
    clock = runtime or SystemRuntime()
    renderer = structlog.processors.JSONRenderer(sort_keys=False)

    def stamp(_logger: object, method: str, event: _Event) -> _Event:
        at = clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"at": at, "level": method, **event}

    def flatten_exception(_logger: object, _method: str, event: _Event) -> _Event:
        found = event.pop("exc_info", None)
        found = sys.exc_info()[1] if found is True else found
        if isinstance(found, BaseException):
            event.update(describe_exception(found))
            if tracebacks:
                print_exception(found, file=out)
        return event

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, flatten_exception, _only_known_fields, stamp, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _tame_others(_Foreign(stamp, renderer, out))


class _StandardError:
    """Standard error as it is at the moment of writing: whoever replaced and closed it must not silence the log."""

    def write(self, text: str) -> int:
        """Pass ``text`` on."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Pass the wish on."""
        sys.stderr.flush()


def describe_exception(exc: BaseException) -> dict[str, Any]:
    """Return what may be said about an exception: class and frames, never its message (L2)."""
    frames = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in extract_tb(exc.__traceback__)
    ]
    cause = exc.__cause__ or exc.__context__
    name = type(exc).__qualname__
    return {"exception": f"{name} from {type(cause).__qualname__}" if cause else name, "frames": frames[-_MAX_FRAMES:]}


def _only_known_fields(_logger: object, _method: str, event: _Event) -> _Event:
    return {name: _short(value) for name, value in event.items() if name in FIELDS and value is not None}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_short(entry) for entry in list(value)[:_MAX_FRAMES]]
    return str(value)[:_MAX_TEXT]


class _Foreign(logging.Handler):
    """Writes what other libraries log: the first line of the fixed text, without arguments."""

    def __init__(self, stamp: Any, renderer: Any, out: TextIO) -> None:
        super().__init__()
        self._stamp, self._renderer, self._out = stamp, renderer, out

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        text = str(record.msg).strip().partition("\n")[0]
        event: _Event = {"event": text, "part": record.name}
        if record.exc_info and isinstance(record.exc_info[1], BaseException):
            event.update(describe_exception(record.exc_info[1]))
        line = self._renderer(
            None, record.levelname, self._stamp(None, record.levelname.lower(), _only_known_fields(None, "", event))
        )
        self._out.write(f"{line}\n")


def _tame_others(handler: logging.Handler) -> None:
    """Everybody else starts at WARNING: httpx tells URLs at INFO, drivers tell statements at DEBUG.

    uvicorn's access log prints queries, OAuth codes included, so it is off; ours tells the route instead.
    """
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("httpx", "httpcore", "stripe", "aiosqlite", "asyncpg", "sqlalchemy", "alembic", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
