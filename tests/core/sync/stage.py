"""The product around a story of Stripe's: a tenant with connected practice books, the intake, and the worker."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import select

from core.accounting.mock.adapter import MockAccountingAdapter
from core.accounting.port import AccountType
from core.config import Settings
from core.connections.attach import Person as Owner
from core.connections.attach import attach
from core.connections.books import connect_built_in, refresh_books
from core.connections.providers import open_books
from core.connections.refresh import put_tokens
from core.db.models import AccountRole, BooksTaxCode, Connection, ConnectionMode
from core.mapping.role_specs import SPECS
from core.mapping.roles import create_roles, save_role
from core.mapping.save import save_mapping
from core.oauth import Identity, TokenSet
from core.sync.worker import Worker
from core.wiring import Wiring, open_wiring
from tests.apps import app_over
from tests.core.sync.story_stripe import StoryStripe
from tests.factories import make_person
from tests.runtime import VirtualRuntime
from tests.stripe_events import sign


@dataclass(frozen=True, slots=True)
class Stage:
    """The story's tenant with connected practice books, the intake, and the worker."""

    wiring: Wiring
    http: httpx.AsyncClient
    worker: Worker
    books: MockAccountingAdapter
    owner: Owner
    runtime: VirtualRuntime

    async def deliver(self, event: dict[str, Any]) -> None:
        """As Stripe does: signed anew with each delivery."""
        raw = json.dumps(event).encode()
        signature = sign(raw, at=self.runtime.now())
        answer = await self.http.post("/webhooks/stripe", content=raw, headers={"Stripe-Signature": signature})
        assert answer.status_code == 200, event["type"]

    async def work(self) -> None:
        while await self.worker.step():
            pass

    async def rows(self, model: type[Any]) -> list[Any]:
        # Across tenants: events belong to nobody until they are routed.
        async with self.wiring.db.system() as session:
            return list((await session.execute(select(model))).scalars())


@asynccontextmanager
async def staged(settings: Settings, story: dict[str, Any], folder: Path) -> AsyncIterator[Stage]:
    """Set everything up through the product's own functions; Stripe is a transport, the books are a file."""
    last = max(event["created"] for event in story["events"])
    runtime = VirtualRuntime(datetime.fromtimestamp(last, UTC) + timedelta(minutes=1))
    settings = msgspec.structs.replace(settings, mock_books_path=str(folder / "books.db"))
    async with open_wiring(settings, runtime=runtime, transport=StoryStripe(story)) as wiring:
        made = await make_person(wiring, tenant={"posting_starts_at": datetime(2026, 1, 1, tzinfo=UTC)})
        owner = Owner(made.tenant_id, made.user_id, made.session_hash)
        await _connect_stripe(wiring, owner, story["account"])
        books = await _keep_books(wiring, owner)
        app = app_over(wiring)
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's stricter ASGI types
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=settings.app_base_url) as http:
            yield Stage(wiring, http, Worker(wiring), books, owner, runtime)


async def _connect_stripe(wiring: Wiring, owner: Owner, account: str) -> None:
    tokens = TokenSet("sk_test_of_the_story", None, None, None, None, {})
    identity = Identity(account, "Lumen Studio", "US", "usd", True, {})

    def put(row: Connection) -> None:
        put_tokens(wiring, row, tokens)

    await attach(wiring, owner, kind="stripe", mode=ConnectionMode.STRIPE_CONNECT, identity=identity, put_secrets=put)


async def _keep_books(wiring: Wiring, owner: Owner) -> MockAccountingAdapter:
    """Connect practice books and map everything to one income account."""
    connection_id = await connect_built_in(wiring, owner, "mock")
    async with wiring.db.tenant(owner.tenant_id) as session:
        connection = await session.get_one(Connection, connection_id)
    books = open_books(wiring, connection, "")
    assert isinstance(books, MockAccountingAdapter)
    income = await books.create_account("Income of the story", AccountType.INCOME, key="income")
    bank = await books.create_account("Bank of the story", AccountType.BANK, key="bank")
    await refresh_books(wiring, tenant_id=owner.tenant_id, connection_id=connection_id)
    await create_roles(
        wiring,
        tenant_id=owner.tenant_id,
        connection_id=connection_id,
        roles=[role for role, spec in SPECS.items() if spec.creatable],
        by_user_id=owner.user_id,
    )
    async with wiring.db.tenant(owner.tenant_id, write=True) as session:
        await save_role(
            session,
            tenant_id=owner.tenant_id,
            connection_id=connection_id,
            role=AccountRole.BANK,
            account_id=bank.external_id,
            by_user_id=owner.user_id,
            now=wiring.runtime.now(),
        )
        codes = (await session.execute(select(BooksTaxCode).where(BooksTaxCode.is_active))).scalars().all()
        await save_mapping(
            session,
            tenant_id=owner.tenant_id,
            connection_id=connection_id,
            service_id=None,
            income_account_id=income.external_id,
            tax_code_id=next((code.external_id for code in codes if code.rate_ppm), None),
            by_user_id=owner.user_id,
            now=wiring.runtime.now(),
        )
    return books
