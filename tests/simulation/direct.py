"""The sandbox's own endpoints, called without a server: what a request means is theirs, how it travels is not."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import msgspec
from litestar.handlers import HTTPRouteHandler

from web.sandbox.app import Sandbox
from web.sandbox.log import LogEntry, attach

_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")


@dataclass
class _Url:
    path: str


@dataclass
class Asked:
    """As much of a request as the sandbox's endpoints look at."""

    method: str
    path: str
    headers: httpx.Headers
    raw: bytes
    path_params: Mapping[str, str]
    scope: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> _Url:
        return _Url(self.path)

    @property
    def query_params(self) -> dict[str, str]:
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    async def body(self) -> bytes:
        return self.raw

    async def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class _Route:
    pattern: re.Pattern[str]
    endpoint: Callable[..., Any]


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Endpoints:
    """All endpoints of one sandbox by method and path."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._routes: dict[str, list[_Route]] = {}
        self._known: dict[tuple[str, str], tuple[_Route, dict[str, str]]] = {}
        for handler in _handlers(sandbox):
            for path in handler.paths:
                route = _Route(re.compile(_PARAMETER.sub(_group, path.rstrip("/") or "/") + "/?$"), handler.fn)
                for method in handler.http_methods:
                    self._routes.setdefault(str(method), []).append(route)

    async def answer(self, request: httpx.Request, entry: LogEntry | None = None) -> Answer:
        """Let the endpoint of ``request`` do its work."""
        route, params = self._find(request.method, request.url.path)
        asked = Asked(
            request.method, request.url.path, request.headers, request.content, params,
            {"query_string": request.url.query, "path": request.url.path},
        )  # fmt: skip
        if entry is not None:
            attach(asked.scope, entry)
        response = route.endpoint(asked)
        if inspect.isawaitable(response):
            response = await response
        headers = [(name, value) for name, value in dict(response.headers).items()]
        if response.media_type:
            headers.append(("content-type", str(response.media_type)))
        return Answer(response.status_code or 200, headers, _bytes(response.content))

    def _find(self, method: str, path: str) -> tuple[_Route, dict[str, str]]:
        for route in self._routes.get(method, ()):
            found = route.pattern.match(path)
            if found:
                return route, found.groupdict()
        raise LookupError(f"the sandbox has no {method} {path}")


def _bytes(content: Any) -> bytes:
    match content:
        case bytes():
            return content
        case str():
            return content.encode()
        case None:
            return b""
        case _:
            return msgspec.json.encode(content)


def _group(found: re.Match[str]) -> str:
    name, kind = found.groups()
    return f"(?P<{name}>.+)" if kind == "path" else f"(?P<{name}>[^/]+)"


def _handlers(sandbox: Sandbox) -> list[HTTPRouteHandler]:
    found: list[Any] = [
        *sandbox._handlers(),
        *sandbox.stripe.route_handlers,
        *sandbox.quickbooks.route_handlers,
        *sandbox.xero.route_handlers,
    ]
    # What names more comes first: /x/{id}/void before /x/{rest}.
    return sorted(
        (one for one in found if isinstance(one, HTTPRouteHandler)),
        key=lambda one: -min(len(_PARAMETER.sub("", path)) for path in one.paths),
    )
