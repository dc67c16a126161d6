"""The endpoints of a sandbox, each put together by the first request that asks for it.

Litestar needs a millisecond for each endpoint, and the stand-ins have more than a hundred of them. Most sandboxes live
for one test, which asks for ten.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.utils import normalize_path

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PARAMETER = re.compile(r"\{\w+:(\w+)\}")


@dataclass(slots=True)
class _Door:
    """Everything at one address. ``app`` is None until somebody knocks."""

    address: re.Pattern[str]
    handlers: list[HTTPRouteHandler] = field(default_factory=list)
    app: Litestar | None = None


class Doors:
    """An ASGI app for ``handlers``; ``front`` answers what is none of theirs: the lifespan, unknown addresses."""

    def __init__(self, handlers: Iterable[HTTPRouteHandler], front: Litestar | None = None) -> None:
        self._front = front or plain_app([])
        by_path: dict[str, _Door] = {}
        for handler in handlers:
            for path in handler.paths:
                by_path.setdefault(path, _Door(_address(path))).handlers.append(handler)
        # Named segments come before parameters, and these before the rest of an address: the order of Litestar's trie.
        self._doors = [by_path[path] for path in sorted(by_path, key=_precedence)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: Any = self._behind(scope["path"]) if scope["type"] == "http" else self._front
        await app(scope, receive, send)

    def _behind(self, path: str) -> Litestar:
        asked = normalize_path(path)
        door = next((door for door in self._doors if door.address.fullmatch(asked)), None)
        if door is None:
            return self._front
        if door.app is None:
            door.app = plain_app(door.handlers)
        return door.app


def plain_app(handlers: Iterable[HTTPRouteHandler], **options: Any) -> Litestar:
    """Build an application without a log and without a description of itself (traps 10, 11)."""
    return Litestar(list(handlers), logging_config=None, openapi_config=None, **options)


def _address(path: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(normalize_path(path))
    kinds = {"path": ".+"}
    pattern = re.escape(parts[0])
    for kind, literal in zip(parts[1::2], parts[2::2], strict=True):
        pattern += kinds.get(kind, "[^/]+") + re.escape(literal)
    return re.compile(pattern)


def _precedence(path: str) -> list[int]:
    kinds = [_PARAMETER.search(segment) for segment in path.split("/")]
    return [0 if kind is None else 2 if kind[1] == "path" else 1 for kind in kinds]
