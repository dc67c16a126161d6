"""A token endpoint in a test's own hands, and connections whose secrets are sealed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import msgspec
import pytest

from core.connections.secrets import seal
from core.db.models import Connection
from core.outgoing import Outgoing
from core.wiring import Wiring
from tests.factories import make_connection, make_person

Reply = httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response]]


def tokens(number: int, **changes: Any) -> httpx.Response:
    """A good token answer."""
    body = {
        "token_type": "bearer",
        "access_token": f"access-{number}",
        "refresh_token": f"refresh-{number}",
        "expires_in": 3600,
        **changes,
    }
    return httpx.Response(200, json={name: value for name, value in body.items() if value is not None})


def refused(error: str = "invalid_grant") -> httpx.Response:
    return httpx.Response(400, json={"error": error, "error_description": "<script>alert(1)</script>"})


@dataclass
class TokenEndpoint:
    """Answers what it was told, in order, the last answer for ever; remembers every refresh token it was sent."""

    replies: list[Reply] = field(default_factory=lambda: [tokens(2)])
    sent: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        fields = parse_qs((await request.aread()).decode())
        self.sent.append(fields.get("refresh_token", [""])[0])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(50):
                await asyncio.sleep(0)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if isinstance(reply, Exception):
                raise reply
            return reply if isinstance(reply, httpx.Response) else await reply(request)
        finally:
            self.at_once -= 1


@dataclass
class Linked:
    """A workspace with one connection, and the endpoint that refreshes it."""

    wiring: Wiring
    endpoint: TokenEndpoint
    tenant_id: UUID
    connection_id: UUID

    async def row(self) -> dict[str, Any]:
        """Every column, as stored."""
        async with self.wiring.db.tenant(self.tenant_id) as session:
            found = await session.get_one(Connection, self.connection_id)
        return {column.key: getattr(found, column.key) for column in Connection.__table__.columns}

    async def change(self, edit: Callable[[Connection], None]) -> None:
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            edit(await session.get_one(Connection, self.connection_id))


def over(wiring: Wiring, handler: Any) -> Wiring:
    """The same process, with outgoing calls answered by ``handler``."""
    settings = msgspec.structs.replace(
        wiring.settings,
        quickbooks_client_id="client",
        quickbooks_client_secret="secret",
        stripe_secret_key="sk_test_ours",
    )
    transport = handler if isinstance(handler, httpx.AsyncBaseTransport) else httpx.MockTransport(handler)
    outgoing = Outgoing(settings.outgoing_urls, transport=transport)
    return replace(wiring, settings=settings, outgoing=outgoing)


async def link(wiring: Wiring, endpoint: TokenEndpoint, *, life_s: float = 120, **values: Any) -> Linked:
    """Make a workspace with a QuickBooks connection whose token has ``life_s`` to live."""
    person = await make_person(wiring)
    ends = values.pop("access_expires_at", wiring.runtime.now() + timedelta(seconds=life_s))
    row = await make_connection(wiring, person.tenant_id, access_expires_at=ends, **values)
    linked = Linked(wiring, endpoint, person.tenant_id, row.id)

    def put(found: Connection) -> None:
        found.access_token = seal(wiring.keys, found, "access_token", "access-1")
        found.refresh_token = seal(wiring.keys, found, "refresh_token", "refresh-1")

    await linked.change(put)
    return linked


@pytest.fixture
def endpoint() -> TokenEndpoint:
    return TokenEndpoint()


@pytest.fixture
async def linked(any_wiring: Wiring, endpoint: TokenEndpoint) -> Linked:
    """A connection whose token has two minutes to live, on both databases."""
    return await link(over(any_wiring, endpoint), endpoint)
