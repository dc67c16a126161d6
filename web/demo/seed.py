"""Filling the demo: a business at Stripe with a month of history, its books, and a workspace that joins the two."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import select

from core.connections.attach import Person, attach
from core.connections.books import refresh_books
from core.connections.providers import consent_flow
from core.connections.refresh import put_tokens
from core.db.models import (
    AccountRole,
    BooksAccount,
    Connection,
    ConnectionMode,
    MappingVersion,
    Membership,
    RoleVersion,
    Tenant,
    User,
)
from core.identity.accounts import create_account, email_key
from core.intake.facts import ServiceRef
from core.intake.store import store_service
from core.oauth import TokenSet
from core.sync.planners.offers import offer_everything
from core.wiring import Wiring
from web.demo import cast
from web.sandbox.client import SandboxClient
from web.sandbox.quickbooks.client import QuickBooksControl

HISTORY_DAYS = 21
_UNMAPPED = next(service for service in cast.SERVICES if service.account is None)
_PAYMENTS_A_DAY = (0, 1, 1, 2, 2)


class Demo:
    """One seeded demo: knows its Stripe business, its products and its clients."""

    def __init__(self, sandbox_url: str, http: httpx.AsyncClient, wiring: Wiring) -> None:
        self._stripe = SandboxClient(sandbox_url, http)
        self._quickbooks = QuickBooksControl(sandbox_url, http)
        self._wiring = wiring
        self._dice = random.Random(7)  # noqa: S311 - the same lively month for everyone
        self._account = ""
        self._products: dict[str, str] = {}
        self._clients: dict[str, str] = {}

    async def seed(self) -> None:
        """Make business, books and workspace; the history is fetched by the product itself, as after a real connect."""
        await self._make_business()
        realm = await self._make_books()
        person = await self._make_workspace()
        await self._connect_stripe(person)
        books_id = await self._connect_books(person, realm)
        await self._map_and_start(person, books_id)

    async def pay_once(self) -> None:
        """Let some client pay for something now."""
        await self._pay(self._dice.choice(cast.SERVICES), self._dice.choice(cast.CLIENTS))

    async def _make_business(self) -> None:
        business = await self._stripe.create_account(cast.BUSINESS)
        self._account = business.id
        for service in cast.SERVICES:
            product = await self._stripe.create_product(self._account, service.name, unit_amount=service.price)
            self._products[service.name] = product["product"]
        now = self._wiring.runtime.now()
        await self._pay(_UNMAPPED, cast.CLIENTS[2], created=_moment(now, 1, minute=552), webhooks=False)
        for day in range(HISTORY_DAYS, 0, -1):
            for _ in range(self._dice.choice(_PAYMENTS_A_DAY)):
                at = _moment(now, day, minute=self._dice.randrange(600))
                service = self._dice.choices(cast.SERVICES, weights=(3, 3, 3, 3, 4, 5, 2, 2, 3, 1))[0]
                await self._pay(service, self._dice.choice(cast.CLIENTS), created=at, webhooks=False)

    async def _pay(self, service: cast.Service, client: str, **options: Any) -> None:
        if client not in self._clients:
            email = "".join(c for c in client.split(maxsplit=1)[0].casefold() if c.isascii()) + "@example.com"
            self._clients[client] = (await self._stripe.create_customer(self._account, name=client, email=email))["id"]
        line = {"product": self._products[service.name], "unit_amount": service.price, "quantity": 1}
        await self._stripe.pay(self._account, via="checkout", customer=self._clients[client], lines=[line], **options)

    async def _make_books(self) -> str:
        company = await self._quickbooks.create_company(cast.COMPANY)
        for number, name in cast.ACCOUNTS:
            body = {"Name": name, "AcctNum": number, "AccountType": "Income", "AccountSubType": "ServiceFeeIncome"}
            await self._quickbooks.create_document(company.realm_id, "Account", body)
        clearing = {"Name": "Stripe clearing", "AcctNum": "1150", "AccountType": "Bank", "AccountSubType": "Checking"}
        await self._quickbooks.create_document(company.realm_id, "Account", clearing)
        client = await self._quickbooks.create_document(
            company.realm_id, "Customer", {"DisplayName": cast.INACTIVE_CLIENT}
        )
        await self._quickbooks.deactivate(company.realm_id, "Customer", client["Id"])
        return company.realm_id

    async def _make_workspace(self) -> Person:
        db = self._wiring.db
        await create_account(
            db, email=cast.EMAIL, password=cast.PASSWORD, workspace=cast.BUSINESS, time_zone=cast.TIME_ZONE
        )
        async with db.open_session() as session:
            statement = (
                select(User.id, Membership.tenant_id)
                .join(Membership, Membership.user_id == User.id)
                .where(User.email_key == email_key(cast.EMAIL))
            )
            user_id, tenant_id = (await session.execute(statement)).one()
        return Person(tenant_id=tenant_id, user_id=user_id, session_hash="")

    async def _connect_stripe(self, person: Person) -> None:
        granted = await self._stripe.connect(self._account)
        await self._attach(person, "stripe", ConnectionMode.STRIPE_APP, _tokens(granted), {})

    async def _connect_books(self, person: Person, realm: str) -> UUID:
        granted = await self._quickbooks.connect(realm)
        tokens = TokenSet(
            granted.access_token,
            granted.refresh_token,
            granted.expires_in,
            granted.x_refresh_token_expires_in,
            granted.x_refresh_token_hard_expires_in,
            {},
        )
        connection_id = await self._attach(person, "quickbooks", ConnectionMode.OAUTH, tokens, {"realmId": realm})
        await refresh_books(self._wiring, tenant_id=person.tenant_id, connection_id=connection_id)
        return connection_id

    async def _attach(
        self, person: Person, kind: str, mode: ConnectionMode, tokens: TokenSet, callback: dict[str, str]
    ) -> UUID:
        flow = consent_flow(self._wiring, kind, mode)
        identity = (await flow.identify(tokens, callback))[0]

        def put(row: Connection) -> None:
            put_tokens(self._wiring, row, tokens)

        return await attach(self._wiring, person, kind=kind, mode=mode, identity=identity, put_secrets=put)

    async def _map_and_start(self, person: Person, connection_id: UUID) -> None:
        wiring = self._wiring
        async with wiring.db.tenant(person.tenant_id, write=True) as session:
            now = wiring.runtime.now()
            rows = (
                await session.execute(select(BooksAccount).where(BooksAccount.connection_id == connection_id))
            ).scalars()
            accounts = {row.name: row.external_id for row in rows}
            for service in cast.SERVICES:
                ref = ServiceRef(self._products[service.name], service.name)
                service_id = await store_service(
                    session, person.tenant_id, ref, now=now, unit_amount_minor=service.price, currency="usd"
                )
                if service.account is not None:
                    session.add(
                        MappingVersion(
                            id=uuid4(),
                            connection_id=connection_id,
                            service_id=service_id,
                            version=1,
                            income_account_id=accounts[service.account],
                            tax_code_id=None,
                            created_at=now,
                            created_by=person.user_id,
                        )
                    )
            session.add(
                RoleVersion(
                    id=uuid4(),
                    connection_id=connection_id,
                    role=AccountRole.CLEARING,
                    version=1,
                    account_id=accounts["Stripe clearing"],
                    created_at=now,
                    created_by=person.user_id,
                )
            )
            tenant = await session.get_one(Tenant, person.tenant_id)
            local = (now - timedelta(days=HISTORY_DAYS + 1)).astimezone(ZoneInfo(tenant.time_zone))
            tenant.posting_starts_at = local.replace(hour=0, minute=0, second=0, microsecond=0)
            await offer_everything(session, person.tenant_id, now=now)


def _moment(now: datetime, days_ago: int, *, minute: int) -> int:
    """Return a moment of the studio's working day, which begins at nine, as Stripe writes it."""
    midnight = now.astimezone(ZoneInfo(cast.TIME_ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=days_ago) + timedelta(hours=9, minutes=minute)).timestamp())


def _tokens(granted: dict[str, Any]) -> TokenSet:
    """Read what the sandbox grants without a consent page; the rest is as Stripe's own answer has it."""
    return TokenSet(
        access_token=granted["access_token"],
        refresh_token=granted["refresh_token"],
        expires_in_s=3600,
        refresh_expires_in_s=None,
        consent_ends_in_s=None,
        extra={"stripe_user_id": granted["stripe_user_id"], "livemode": False},
    )
