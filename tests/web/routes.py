"""Every route of the application, walked rather than listed, so that new pages are covered by themselves."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")


def walk(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Yield method, path template and handler of everything but the OPTIONS that Litestar adds."""
    for route in app.routes:
        handlers: list[Any] = getattr(route, "route_handlers", [])
        for handler in handlers:
            for method in sorted(set(handler.http_methods) - {"OPTIONS", "HEAD"}):
                yield str(method), route.path, handler


def fill(template: str, values: dict[str, str] | None = None) -> str:
    """Return a path with its parameters filled; those without a value get one that names nothing."""

    def value(match: re.Match[str]) -> str:
        name, kind = match.groups()
        return (values or {}).get(name) or (str(uuid4()) if kind == "uuid" else "nothing")

    return _PARAMETER.sub(value, template)
