"""Many tenants with real books, and clients who pay them: every payment of another amount, so that each can be told."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import select

from core.accounting.port import AccountType
from core.accounting.xero.oauth import SCOPE
from core.books.roles import AccountRole, BookkeepingSettings, FeeStyle
from core.connections.access import access_token
from core.connections.attach import Person, attach
from core.connections.books import refresh_books
from core.connections.providers import open_books
from core.connections.refresh import put_tokens
from core.connections.setup import start_posting
from core.db.models import BooksTaxCode, Connection, ConnectionMode
from core.errors import RateLimitedError
from core.intake.facts import ServiceRef
from core.intake.store import store_service
from core.mapping.role_specs import SPECS
from core.mapping.roles import create_roles, save_bookkeeping, save_role
from core.mapping.save import save_mapping
from core.oauth import Identity, TokenSet
from core.wiring import Wiring
from tests.factories import make_person
from web.sandbox.client import SandboxClient
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.stripe.inputs import LineInput
from web.sandbox.xero.client import XeroControl

_TAX_FREE = {"mock": "Non-taxable", "quickbooks": "Non-taxable", "xero": "Tax Exempt"}
_BY_CHECKOUT_OF_TEN = 2
_REFUNDS_OF_TEN = 1
_OPEN_AT_ONCE = 3
_MOST_PAUSES = 90
_AT_ONCE = 8
_RUSH = 30

T = TypeVar("T")


@dataclass
class Shop:
    """One tenant. ``sold`` and ``given_back``: what its clients paid and got back, each amount once."""

    number: int
    kind: str
    owner: Person
    business: str
    books_id: UUID
    company: str
    product: str
    fees_at_once: bool
    clients: list[str]
    sold: dict[int, str] = field(default_factory=dict)
    given_back: list[int] = field(default_factory=list)


class Town:
    """All shops of one installation, beside the sandbox at ``base``."""

    def __init__(self, wiring: Wiring, http: httpx.AsyncClient, base: str, *, seed: int) -> None:
        self.wiring = wiring
        self.stripe = SandboxClient(base, http)
        self.quickbooks = QuickBooksControl(base, http)
        self.xero = XeroControl(base, http)
        self.shops: list[Shop] = []
        self._dice = random.Random(seed)
        self._turns: list[Shop] = []

    async def open(self, kinds: Mapping[str, int]) -> None:
        """Open so many shops with each kind of books, those of Xero first: its limits make them wait the longest."""
        numbers, limiter = count(), asyncio.Semaphore(_OPEN_AT_ONCE)

        async def open_one(kind: str) -> None:
            async with limiter:
                await self._open_shop(kind, next(numbers))

        async with asyncio.TaskGroup() as openings:
            for kind, many in kinds.items():
                for _ in range(many):
                    openings.create_task(open_one(kind))
        self.shops.sort(key=lambda shop: shop.number)

    async def _open_shop(self, kind: str, number: int) -> None:
        """Open a tenant from the first consent to the first day of posting, through the product's own functions."""
        name = f"Studio {number}"
        person = await make_person(self.wiring, tenant={"name": name, "time_zone": "America/New_York"})
        owner = Person(person.tenant_id, person.user_id, person.session_hash)
        business = (await self.stripe.create_account(name, country="US", currency="usd")).id
        await self._connect_stripe(owner, business, name)
        books_id, company = await self._connect_books(owner, kind, name)
        product = (await self.stripe.create_product(business, "Portrait session", currency="usd"))["product"]
        made = [
            await self.stripe.create_customer(business, name=f"Client {n}", email=f"client{n}@example.com")
            for n in range(3)
        ]
        clients = [str(one["id"]) for one in made]
        shop = Shop(number, kind, owner, business, books_id, company, product, number % 4 == 0, clients)
        await self._keep_books(shop)
        self.shops.append(shop)
        # QuickBooks and Xero get as many payments as their limits allow in the time of a run; the others the rest.
        self._turns += [shop] * (3 if kind == "mock" else 1)

    async def pay_some(self, due: int, *, most: int) -> None:
        """Let those who are due pay, each somewhere; or many in one shop at once, whose entries travel together.

        About half of all payments come in a rush.
        """
        if self._dice.random() < 1 / _RUSH * min(due, _AT_ONCE):
            shop, many = self._dice.choice(self.shops), min(_RUSH, most)
        else:
            shop, many = None, min(due, _AT_ONCE)
        limiter = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as clients:
            for _ in range(many):
                clients.create_task(self._pay_in_turn(limiter, shop))

    async def _pay_in_turn(self, limiter: asyncio.Semaphore, shop: Shop | None) -> None:
        async with limiter:
            await self.pay(shop)

    async def pay(self, shop: Shop | None = None) -> None:
        """Let somebody pay, somewhere unless it is said where; some get a part of it back at once."""
        shop = shop or self._dice.choice(self._turns)
        amount = 10_000 + 37 * (len(shop.sold) + 1)
        shop.sold[amount] = ""
        customer = self._dice.choice(shop.clients)
        if self._dice.random() * 10 < _BY_CHECKOUT_OF_TEN:
            line = LineInput(product=shop.product, unit_amount=amount)
            made = await self.stripe.pay(shop.business, via="checkout", customer=customer, lines=[line])
        else:
            made = await self.stripe.pay(
                shop.business, amount, customer=customer, description="Portrait session", capture_method="automatic"
            )
        shop.sold[amount] = str(made.payment_intent)
        if self._dice.random() * 10 < _REFUNDS_OF_TEN:
            back = 500 + len(shop.given_back)
            await self.stripe.refund(shop.business, shop.sold[amount], back)
            shop.given_back.append(back)

    @property
    def paid(self) -> int:
        """How many payments there were."""
        return sum(len(shop.sold) for shop in self.shops)

    @property
    def kinds(self) -> Counter[str]:
        """How many shops keep which books."""
        return Counter(shop.kind for shop in self.shops)

    async def _connect_stripe(self, owner: Person, business: str, name: str) -> None:
        granted = await self.stripe.connect(business, flow="connect")
        tokens = TokenSet(granted["access_token"], granted["refresh_token"], None, None, None, {})
        await self._attach(owner, "stripe", ConnectionMode.STRIPE_CONNECT, business, name, tokens)

    async def _connect_books(self, owner: Person, kind: str, name: str) -> tuple[UUID, str]:
        given: Any
        if kind == "mock":
            company = f"practice-{owner.tenant_id}"
            return await self._attach(owner, kind, ConnectionMode.BUILT_IN, company, name, None), company
        if kind == "quickbooks":
            company = (await self.quickbooks.create_company(name, country="US")).realm_id
            given = await self.quickbooks.connect(company)
        else:
            company = (await self.xero.create_organisation(name, country="US")).tenant_id
            given = await self.xero.connect(company, scope=SCOPE)
        tokens = TokenSet(given.access_token, given.refresh_token, given.expires_in, None, None, {})
        return await self._attach(owner, kind, ConnectionMode.OAUTH, company, name, tokens), company

    async def _attach(
        self, owner: Person, kind: str, mode: ConnectionMode, company: str, name: str, tokens: TokenSet | None
    ) -> UUID:
        def put(row: Connection) -> None:
            if tokens is not None:
                put_tokens(self.wiring, row, tokens)

        identity = Identity(company, name, "US", "usd", True, {})
        return await attach(self.wiring, owner, kind=kind, mode=mode, identity=identity, put_secrets=put)

    async def _keep_books(self, shop: Shop) -> None:
        """Make the accounts, choose who plays which role, map the one product, and start."""
        owner, whose = shop.owner, {"tenant_id": shop.owner.tenant_id, "connection_id": shop.books_id}
        income, bank = await _patiently(lambda: self._accounts(shop))
        for _ in range(2):
            await _patiently(lambda: refresh_books(self.wiring, **whose))
        roles = [role for role, spec in SPECS.items() if spec.creatable]
        await _patiently(lambda: create_roles(self.wiring, roles=roles, by_user_id=owner.user_id, **whose))
        now, fees = self.wiring.runtime.now(), FeeStyle.PER_CHARGE if shop.fees_at_once else FeeStyle.DAILY
        by: dict[str, Any] = {**whose, "by_user_id": owner.user_id, "now": now}
        async with self.wiring.db.tenant(owner.tenant_id, write=True) as session:
            await save_role(session, role=AccountRole.BANK, account_id=bank, **by)
        async with self.wiring.db.tenant(owner.tenant_id, write=True) as session:
            await save_bookkeeping(session, settings=BookkeepingSettings(fee_style=fees), **by)
        async with self.wiring.db.tenant(owner.tenant_id, write=True) as session:
            service = await store_service(
                session, owner.tenant_id, ServiceRef(shop.product, "Portrait session"), now=now
            )
            codes = (await session.execute(select(BooksTaxCode).where(BooksTaxCode.is_active))).scalars()
            code = next(one.external_id for one in codes if _TAX_FREE[shop.kind] in one.name)
            for one in (service, None):
                await save_mapping(session, service_id=one, income_account_id=income, tax_code_id=code, **by)
        async with self.wiring.db.tenant(owner.tenant_id, write=True) as session:
            day = (now - timedelta(days=1)).date()
            assert await start_posting(session, owner.tenant_id, day, now=now)

    async def _accounts(self, shop: Shop) -> tuple[str, str]:
        async with self.wiring.db.tenant(shop.owner.tenant_id) as session:
            connection = await session.get_one(Connection, shop.books_id)
        whose = {"tenant_id": shop.owner.tenant_id, "connection_id": shop.books_id}
        token = "" if shop.kind == "mock" else await access_token(self.wiring, **whose)
        books = open_books(self.wiring, connection, token)
        income = await books.create_account("Session income", AccountType.INCOME, key="income")
        bank = await books.create_account("Checking", AccountType.BANK, key="bank")
        return income.external_id, bank.external_id


async def _patiently(step: Callable[[], Awaitable[T]]) -> T:
    """Do what a person does by hand, again after a pause when the books say that it came too fast."""
    for _ in range(_MOST_PAUSES):
        try:
            return await step()
        except RateLimitedError:
            await asyncio.sleep(1)
    return await step()
