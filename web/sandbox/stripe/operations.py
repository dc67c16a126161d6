"""The table of API operations: method and path to a small function."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from web.sandbox.stripe.auth import Caller
from web.sandbox.stripe.errors import no_such
from web.sandbox.stripe.world import Account, Json, World


@dataclass(frozen=True)
class Call:
    """One request to one operation."""

    world: World
    caller: Caller
    ids: tuple[str, ...]
    params: dict[str, Any]

    @property
    def account(self) -> Account:
        return self.caller.account

    def load(self, kind: str, object_id: str | None = None, *, param: str = "id") -> Json:
        """The object of the path, or a 404 in Stripe's words."""
        wanted = self.ids[0] if object_id is None else object_id
        item = self.account.get(kind, wanted)
        if item is None:
            raise no_such(kind, wanted, param)
        return item


Handler = Callable[[Call], Json]


@dataclass(frozen=True)
class Operation:
    """One line of the table."""

    method: str
    path: str
    handler: Handler
    needs: str | None
    pattern: re.Pattern[str]


class Table:
    """Operations of one module; :meth:`find` over the sum of them is the router."""

    def __init__(self, *parts: "Table") -> None:
        self.operations: list[Operation] = [operation for part in parts for operation in part.operations]

    def add(self, method: str, path: str, needs: str | None, handler: Handler) -> None:
        pattern = re.compile("^" + re.sub(r"\{\w+\}", r"([^/]+)", path) + "$")
        self.operations.append(Operation(method, path, handler, needs, pattern))

    def get(self, path: str, needs: str | None = None) -> Callable[[Handler], Handler]:
        return self._decorator("GET", path, needs)

    def post(self, path: str, needs: str | None = None) -> Callable[[Handler], Handler]:
        return self._decorator("POST", path, needs)

    def delete(self, path: str, needs: str | None = None) -> Callable[[Handler], Handler]:
        return self._decorator("DELETE", path, needs)

    def find(self, method: str, path: str) -> tuple[Operation, tuple[str, ...]] | None:
        for operation in self.operations:
            if operation.method == method:
                match = operation.pattern.match(path)
                if match:
                    return operation, match.groups()
        return None

    def _decorator(self, method: str, path: str, needs: str | None) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.add(method, path, needs, handler)
            return handler

        return register
