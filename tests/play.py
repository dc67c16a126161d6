"""The whole product beside the whole outside world, in one process on one clock: what Stripe does reaches real books.

Stripe's events come as signed webhooks over HTTP, the books are the sandbox's QuickBooks or Xero or the practice books,
and nothing between them is replaced. Only the clock is in the test's hands.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import select

from core.accounting.mock.adapter import MockAccountingAdapter
from core.accounting.port import AccountingProvider, AccountType
from core.accounting.xero.oauth import SCOPE
from core.books.roles import AccountRole, BookkeepingSettings
from core.config import Settings
from core.connections.attach import Person as Owner
from core.connections.attach import attach
from core.connections.books import refresh_books
from core.connections.providers import open_books
from core.connections.refresh import put_tokens
from core.connections.setup import start_posting
from core.db.models import BooksTaxCode, Connection, ConnectionMode, ItemState, Service, SyncItem
from core.intake.facts import ServiceRef
from core.intake.store import store_service
from core.mapping.role_specs import SPECS
from core.mapping.roles import create_roles, save_bookkeeping, save_role
from core.mapping.save import save_mapping
from core.oauth import Identity, TokenSet
from core.sync.lanes import HEARTBEAT_S
from core.sync.worker import Worker
from core.wiring import Wiring, open_wiring
from tests.apps import app_over
from tests.factories import make_person
from tests.outside import BASE, SANDBOX, sandbox_settings
from tests.runtime import VirtualRuntime
from web.sandbox.app import Sandbox, create_sandbox
from web.sandbox.client import SandboxClient
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""Monday morning in New York, late evening in Sydney."""

PROVIDERS = ("quickbooks", "xero", "mock")
_CURRENCY = {"US": "usd", "AU": "aud", "GB": "gbp", "NZ": "nzd"}
_ZONE = {"US": "America/New_York", "AU": "Australia/Sydney", "GB": "Europe/London", "NZ": "Pacific/Auckland"}


class Stage(VirtualRuntime):
    """The clock of a play. Heartbeats rest: each would move the clock and write to the database while a lane works."""

    async def sleep(self, seconds: float) -> None:
        if seconds == HEARTBEAT_S:
            await asyncio.get_running_loop().create_future()
        await super().sleep(seconds)


class Death(BaseException):
    """The process ended here, with everything that it held in memory."""


class Outside(httpx.AsyncBaseTransport):
    """The way to everything outside. The process can be made to die on it: after so many calls, before or after one.

    ``dies_in``: calls until then; None: it lives on. ``after``: the other side has done the work by then. Who dies over
    a refresh of access has lost it and must sign in again, which is another story: these calls are not counted.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.dies_in: int | None = None
        self.after = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("/token", "/bearer")):
            return await self._inner.handle_async_request(request)
        is_last = self.dies_in == 0
        if self.dies_in is not None:
            self.dies_in = None if is_last else self.dies_in - 1
        if is_last and not self.after:
            raise Death
        answer = await self._inner.handle_async_request(request)
        if is_last:
            raise Death
        return answer


@dataclass
class Play:
    """One tenant between Stripe and one set of books."""

    kind: str
    country: str
    wiring: Wiring
    worker: Worker
    sandbox: Sandbox
    stripe: SandboxClient
    http: httpx.AsyncClient
    owner: Owner
    business: str
    stripe_id: UUID
    books_id: UUID
    company: str
    provider: AccountingProvider
    outside: Outside
    accounts: dict[str, str] = field(default_factory=dict)

    @property
    def runtime(self) -> VirtualRuntime:
        assert isinstance(self.wiring.runtime, VirtualRuntime)
        return self.wiring.runtime

    @property
    def currency(self) -> str:
        """The home currency."""
        return _CURRENCY[self.country]

    async def quiet(self) -> None:
        """Let Stripe deliver what is due, and the worker do what is due, until neither has anything left."""
        for _ in range(500):
            done = await self.sandbox.flush()
            done += await self.worker.step()
            if not done:
                return
        raise AssertionError(f"never quiet: {await self.open_items()}")

    async def pass_time(self, *, hours: float, stride_hours: float = 12) -> None:
        """Move the clock in strides, and let everything happen that falls due in each."""
        end = self.runtime.now() + timedelta(hours=hours)
        self.runtime.forward(seconds=10)
        await self.quiet()
        while self.runtime.now() < end:
            left = (end - self.runtime.now()).total_seconds()
            self.runtime.forward(seconds=min(stride_hours * 3600, left))
            await self.quiet()

    async def next_day(self) -> None:
        """Go on to the same hour of the next day: fees of the day are booked meanwhile."""
        await self.pass_time(hours=24)

    async def open_items(self) -> list[tuple[str, str, str, str, object]]:
        """Return what is not settled, with its reason."""
        async with self.wiring.db.tenant(self.owner.tenant_id) as session:
            rows = (
                await session.execute(
                    select(SyncItem).where(
                        SyncItem.connection_id == self.books_id,
                        SyncItem.state.not_in((ItemState.DONE, ItemState.IGNORED)),
                    )
                )
            ).scalars()
            return [
                (r.kind.value, r.source_id, r.state.value, str(r.reason), (r.reason_detail, r.provider_text))
                for r in rows
                if r.kind.value not in ("keep_alive", "changes", "verify")
            ]

    async def trial_balance(self, as_of: date | None = None) -> dict[str, int]:
        """Return the books' own balances by account name, debit positive, accounts at zero left out.

        ``as_of``: at the end of that day; now by default.
        """
        day = as_of.isoformat() if as_of else None
        if isinstance(self.provider, MockAccountingAdapter):
            found: Mapping[str, int] = self.provider.books.trial_balance(as_of)
        elif self.kind == "quickbooks":
            found = await QuickBooksControl(BASE, self.http).trial_balance(self.company, day)
        else:
            found = await XeroControl(BASE, self.http).trial_balance(self.company, day)
        return {name: amount for name, amount in found.items() if amount}

    async def balances(self, as_of: date | None = None) -> dict[str, int]:
        """Return the balances by the names of the worked examples: tax and receivable are called alike everywhere."""
        theirs = {name.casefold(): ours for ours, name in self._names().items()}
        found: dict[str, int] = {}
        for name, amount in (await self.trial_balance(as_of)).items():
            ours = theirs.get(name.casefold()) or _alike(name)
            found[ours] = found.get(ours, 0) + amount
        return {name: amount for name, amount in found.items() if amount}

    async def clearing(self) -> int:
        """Return what the clearing account holds in the books."""
        return (await self.balances()).get("Stripe clearing", 0)

    async def stripe_balance(self) -> int:
        """Return what Stripe holds in the home currency, in minor units."""
        return (await self.stripe.ledger(self.business)).posted_minor.get(self.currency, 0)

    def _names(self) -> dict[str, str]:
        return {name: name for name in self.accounts}

    async def account(self, name: str, kind: AccountType) -> str:
        """Make sure that the books have an account of this name."""
        # One click after the other: no person is faster than QuickBooks allows.
        self.runtime.forward(seconds=1)
        made = await self.provider.create_account(name, kind, key=f"play-{name}".replace(" ", "-")[:36])
        self.accounts[name] = made.external_id
        return made.external_id

    async def role(self, role: AccountRole, account_id: str) -> None:
        """Choose who plays a role."""
        async with self.wiring.db.tenant(self.owner.tenant_id, write=True) as session:
            await save_role(
                session,
                tenant_id=self.owner.tenant_id,
                connection_id=self.books_id,
                role=role,
                account_id=account_id,
                by_user_id=self.owner.user_id,
                now=self.runtime.now(),
            )

    async def refresh(self) -> None:
        """Read the company, its accounts and its tax codes anew, as happens every few hours."""
        self.runtime.forward(seconds=5)
        await refresh_books(self.wiring, tenant_id=self.owner.tenant_id, connection_id=self.books_id)

    async def settle_on(self, settings: BookkeepingSettings) -> None:
        """Choose how things are booked."""
        async with self.wiring.db.tenant(self.owner.tenant_id, write=True) as session:
            await save_bookkeeping(
                session,
                tenant_id=self.owner.tenant_id,
                connection_id=self.books_id,
                settings=settings,
                by_user_id=self.owner.user_id,
                now=self.runtime.now(),
            )

    async def product(self, name: str, account: str, *, tax: str | None) -> str:
        """Make a product at Stripe that books to ``account`` with the tax code called ``tax``; return its id."""
        made = await self.stripe.create_product(self.business, name, currency=self.currency)
        await self.map(made["product"], name, account, tax=tax)
        return str(made["product"])

    async def map(self, key: str, name: str, account: str, *, tax: str | None) -> None:
        """Decide where a service's income goes."""
        async with self.wiring.db.tenant(self.owner.tenant_id, write=True) as session:
            service_id = await store_service(
                session, self.owner.tenant_id, ServiceRef(key, name), now=self.runtime.now()
            )
            await session.get_one(Service, service_id)
            await save_mapping(
                session,
                tenant_id=self.owner.tenant_id,
                connection_id=self.books_id,
                service_id=service_id,
                income_account_id=self.accounts[account],
                tax_code_id=await self._code(session, tax),
                by_user_id=self.owner.user_id,
                now=self.runtime.now(),
            )

    async def tax_code(self, name: str) -> str | None:
        """Return the id of the tax code whose name holds ``name``."""
        async with self.wiring.db.tenant(self.owner.tenant_id) as session:
            return await self._code(session, name)

    async def _code(self, session: Any, name: str | None) -> str | None:
        if name is None:
            return None
        codes = (await session.execute(select(BooksTaxCode).where(BooksTaxCode.is_active))).scalars().all()
        exact = [code.external_id for code in codes if code.name == name]
        found = exact or [code.external_id for code in codes if name.casefold() in code.name.casefold()]
        assert found, (name, [code.name for code in codes])
        return str(found[0])

    async def start(self, first_day: datetime | None = None) -> None:
        """Start posting from a day on, today by default."""
        async with self.wiring.db.tenant(self.owner.tenant_id, write=True) as session:
            day = (first_day or self.runtime.now()).astimezone().date()
            assert await start_posting(session, self.owner.tenant_id, day, now=self.runtime.now())


def _alike(name: str) -> str:
    """Return one name for the accounts that every provider calls otherwise."""
    words = set(name.casefold().replace("/", " ").split())
    if words & {"tax", "gst", "vat"}:
        return "Tax"
    return "Accounts receivable" if "receivable" in words else name


@asynccontextmanager
async def playing(
    settings: Settings, kind: str, folder: Path, *, country: str = "US", start: datetime = START
) -> AsyncIterator[Play]:
    """Open the stage: ``settings`` name a migrated database."""
    runtime = Stage(start)
    settings = msgspec.structs.replace(
        sandbox_settings(settings),
        mock_books_path=str(folder / "practice.db"),
        stripe_webhook_secrets=SANDBOX.stripe_webhook_secret,
    )
    intake = _Late()
    world = msgspec.structs.replace(SANDBOX, stripe_webhook_url=f"{settings.app_base_url}/webhooks/stripe")
    async with httpx.AsyncClient(transport=intake, base_url=settings.app_base_url) as webhooks:
        sandbox = create_sandbox(world, runtime, webhooks)
        direct = httpx.ASGITransport(app=sandbox.app)
        outside = Outside(direct)
        async with open_wiring(settings, runtime=runtime, transport=outside) as wiring:
            app = app_over(wiring)
            intake.inner = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's stricter ASGI types
            async with app.lifespan(), httpx.AsyncClient(transport=direct, base_url=BASE) as http:
                yield await _set_up(wiring, sandbox, http, kind, country, outside)


class _Late(httpx.AsyncBaseTransport):
    """The way of the webhooks: the sandbox must exist before the application that it delivers to."""

    inner: httpx.AsyncBaseTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert self.inner is not None
        return await self.inner.handle_async_request(request)


async def _set_up(
    wiring: Wiring, sandbox: Sandbox, http: httpx.AsyncClient, kind: str, country: str, outside: Outside
) -> Play:
    person = await make_person(wiring, tenant={"time_zone": _ZONE[country]})
    owner = Owner(person.tenant_id, person.user_id, person.session_hash)
    stripe = SandboxClient(BASE, http)
    business = await stripe.create_account(
        "Anna Berg Photography", country=country, currency=_CURRENCY[country], payout_delay_days=2
    )
    stripe_id = await _connect_stripe(wiring, owner, stripe, business.id, country)
    books_id, company = await _connect_books(wiring, owner, http, kind, country)
    async with wiring.db.tenant(owner.tenant_id) as session:
        connection = await session.get_one(Connection, books_id)
    tokens = await _token(wiring, owner, books_id)
    play = Play(
        kind, country, wiring, Worker(wiring), sandbox, stripe, http, owner, business.id, stripe_id, books_id, company,
        open_books(wiring, connection, tokens), outside,
    )  # fmt: skip
    await _keep_books(play)
    return play


async def _connect_stripe(wiring: Wiring, owner: Owner, stripe: SandboxClient, business: str, country: str) -> UUID:
    granted = await stripe.connect(business, flow="connect")
    tokens = TokenSet(granted["access_token"], granted["refresh_token"], None, None, None, {})
    identity = Identity(business, "Anna Berg Photography", country, _CURRENCY[country], True, {})
    return await attach(
        wiring, owner, kind="stripe", mode=ConnectionMode.STRIPE_CONNECT, identity=identity,
        put_secrets=lambda row: put_tokens(wiring, row, tokens),
    )  # fmt: skip


async def _connect_books(
    wiring: Wiring, owner: Owner, http: httpx.AsyncClient, kind: str, country: str
) -> tuple[UUID, str]:
    currency = _CURRENCY[country]
    name = "Anna Berg Photography"
    if kind == "mock":
        company = f"practice-{owner.tenant_id}"
        identity = Identity(company, name, country, currency, True, {})
        books_id = await attach(
            wiring, owner, kind="mock", mode=ConnectionMode.BUILT_IN, identity=identity, put_secrets=lambda _: None
        )
        return books_id, company
    if kind == "quickbooks":
        company = (await QuickBooksControl(BASE, http).create_company(name, country=country)).realm_id
        given: Any = await QuickBooksControl(BASE, http).connect(company)
    else:
        company = (await XeroControl(BASE, http).create_organisation(name, country=country)).tenant_id
        given = await XeroControl(BASE, http).connect(company, scope=SCOPE)
    tokens = TokenSet(given.access_token, given.refresh_token, given.expires_in, None, None, {})
    identity = Identity(company, name, country, currency, True, {})
    books_id = await attach(
        wiring, owner, kind=kind, mode=ConnectionMode.OAUTH, identity=identity,
        put_secrets=lambda row: put_tokens(wiring, row, tokens),
    )  # fmt: skip
    return books_id, company


async def _token(wiring: Wiring, owner: Owner, books_id: UUID) -> str:
    from core.connections.access import access_token

    async with wiring.db.tenant(owner.tenant_id) as session:
        connection = await session.get_one(Connection, books_id)
    if connection.mode is ConnectionMode.BUILT_IN:
        return ""
    return await access_token(wiring, tenant_id=owner.tenant_id, connection_id=books_id)


async def _keep_books(play: Play) -> None:
    """Make the accounts of the worked examples, and choose who plays which role."""
    for name, kind in (
        ("Session income", AccountType.INCOME),
        ("Product income", AccountType.INCOME),
        ("Coaching income", AccountType.INCOME),
        ("Client deposits", AccountType.CURRENT_LIABILITY),
        ("Checking", AccountType.BANK),
    ):
        await play.account(name, kind)
    # Twice: what the first reading tells of the company decides what the second one sees of its tax codes.
    for _ in range(2):
        play.runtime.forward(seconds=5)
        await refresh_books(play.wiring, tenant_id=play.owner.tenant_id, connection_id=play.books_id)
    await create_roles(
        play.wiring,
        tenant_id=play.owner.tenant_id,
        connection_id=play.books_id,
        roles=[role for role, spec in SPECS.items() if spec.creatable],
        by_user_id=play.owner.user_id,
    )
    for spec in SPECS.values():
        if spec.creatable:
            play.accounts.setdefault(spec.name, spec.name)
    await play.role(AccountRole.BANK, play.accounts["Checking"])
