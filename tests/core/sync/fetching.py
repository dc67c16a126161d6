"""A tenant whose Stripe account is the sandbox's, with a worker: what the tests of fetching stand on."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import msgspec
from sqlalchemy import delete, func, select, update

from core.connections.attach import Person as Owner
from core.connections.attach import attach
from core.connections.refresh import put_tokens
from core.db.models import (
    BalanceTransaction,
    Connection,
    ConnectionMode,
    Dispute,
    ItemKind,
    Payment,
    PaymentLine,
    Payout,
    Refund,
    StripeEvent,
    SyncItem,
)
from core.db.upsert import insert_missing
from core.intake.webhook import PLATFORM, row_of
from core.oauth import Identity, TokenSet
from core.sync.worker import Worker
from core.wiring import Wiring
from tests.factories import make_person
from tests.outside import BASE, Outside
from tests.runtime import VirtualRuntime
from web.sandbox.client import SandboxClient

Json = dict[str, Any]
OURS = {"id", "tenant_id", "connection_id", "payment_id", "fetched_at", "customer_id", "service_id", "first_seen_at"}
"""Columns that differ between two tenants who see the same."""


@dataclass
class Account:
    """One Stripe account of the sandbox, and the tenant that is connected to it."""

    outside: Outside
    http: httpx.AsyncClient
    client: SandboxClient
    id: str
    owner: Owner
    stripe_id: Any
    worker: Worker

    @property
    def wiring(self) -> Wiring:
        return self.outside.wiring

    @property
    def runtime(self) -> VirtualRuntime:
        assert isinstance(self.wiring.runtime, VirtualRuntime)
        return self.wiring.runtime

    async def tell(self, events: Iterable[Json]) -> None:
        """Let events arrive, as the intake stores them."""
        rows = {}
        for event in events:
            full = {**event, "account": self.id}
            raw, now = msgspec.json.encode(full), self.runtime.now()
            rows[full["id"]] = row_of(full, raw, scope=PLATFORM, expects_live=False, now=now)
        async with self.wiring.db.open_session(write=True) as session:
            await insert_missing(session, StripeEvent, list(rows.values()))

    async def tell_shuffled(self, seed: int, *, times: int = 2, prefix: str = "") -> None:
        """Let every event arrive, more than once and in any order, with the worker at work in between."""
        dice = random.Random(seed)
        events = [{**event, "id": f"evt_{prefix}{event['id']}"} for event in await self.client.events(self.id)] * times
        dice.shuffle(events)
        while events:
            size = dice.randint(1, 12)
            burst, events = events[:size], events[size:]
            await self.tell(burst)
            await self.worker.step()
        await self.work()

    async def work(self, *, rounds: int = 60) -> None:
        """Work until nothing is due any more, without waiting."""
        for _ in range(rounds):
            if not await self.worker.step():
                return

    async def hurry(self, *kinds: ItemKind) -> None:
        """Make everything of these kinds due now that is due at all, and work."""
        async with self.wiring.db.tenant(self.owner.tenant_id, write=True) as session:
            now = await self.wiring.db.now(session)
            due = update(SyncItem).where(SyncItem.kind.in_(kinds), SyncItem.due_at.is_not(None))
            await session.execute(due.values(due_at=now).execution_options(synchronize_session=False))
        await self.work()

    async def forget(self, *kinds: ItemKind) -> None:
        """Take standing items away, as if nobody ever asked for them."""
        async with self.wiring.db.tenant(self.owner.tenant_id, write=True) as session:
            await session.execute(
                delete(SyncItem).where(SyncItem.kind.in_(kinds)).execution_options(synchronize_session=False)
            )

    async def rows(self, model: type) -> list[Any]:
        async with self.wiring.db.tenant(self.owner.tenant_id) as session:
            return list((await session.execute(select(model))).scalars())

    async def count(self, model: type) -> int:
        async with self.wiring.db.tenant(self.owner.tenant_id) as session:
            return await session.scalar(select(func.count()).select_from(model)) or 0

    async def one(self, model: type, stripe_id: str) -> Any:
        [found] = [row for row in await self.rows(model) if row.stripe_id == stripe_id]
        return found

    async def item(self, kind: ItemKind, source_id: str | None = None) -> SyncItem:
        [found] = [i for i in await self.rows(SyncItem) if i.kind is kind and source_id in (None, i.source_id)]
        return found

    async def picture(self) -> dict[str, list[Json]]:
        """Everything that is known of this account, comparable with what another tenant knows of it."""
        payments = {row.id: row.source_id for row in await self.rows(Payment)}
        drawn: dict[str, list[Json]] = {}
        for model, key in (
            (Payment, "source_id"),
            (PaymentLine, "stripe_field"),
            (BalanceTransaction, "stripe_id"),
            (Refund, "stripe_id"),
            (Dispute, "stripe_id"),
            (Payout, "stripe_id"),
        ):
            shown = []
            for row in await self.rows(model):
                values = {c.key: getattr(row, c.key) for c in model.__table__.columns if c.key not in OURS}
                if hasattr(row, "payment_id"):
                    values["payment"] = payments.get(row.payment_id)
                shown.append(values)
            drawn[model.__name__] = sorted(shown, key=lambda v: (str(v.get("payment")), str(v[key]), str(v)))
        return drawn

    async def reads(self) -> list[str]:
        """Paths of all reads so far."""
        return [entry.path for entry in await self.client.log(provider="stripe") if entry.method == "GET"]

    async def rest(self, **delta: float) -> None:
        """Let time pass on all clocks, a few minutes at a time, with the worker at work."""
        end = self.runtime.now() + timedelta(**delta)
        while self.runtime.now() < end:
            self.runtime.forward(minutes=5)
            await self.client.flush()
            await self.work()


async def connect(
    wiring: Wiring, outside: Outside, http: httpx.AsyncClient, account: str, *, token: str | None = None
) -> Account:
    """Make a tenant that is connected to a business of the sandbox; nothing of its books is there yet."""
    client = SandboxClient(BASE, http)
    person = await make_person(wiring)
    owner = Owner(person.tenant_id, person.user_id, person.session_hash)
    secret = token or (await client.connect(account, "connect"))["access_token"]
    tokens = TokenSet(secret, None, None, None, None, {})

    def put(row: Connection) -> None:
        put_tokens(outside.wiring, row, tokens)

    stripe_id = await attach(
        outside.wiring,
        owner,
        kind="stripe",
        mode=ConnectionMode.STRIPE_CONNECT,
        identity=Identity(account, "Lumen Studio", "US", "usd", True, {}),
        put_secrets=put,
    )
    return Account(outside, http, client, account, owner, stripe_id, Worker(outside.wiring))
