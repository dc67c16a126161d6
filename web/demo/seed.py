"""Filling the demo: a business at Stripe with weeks of history, its books, and a workspace that joins the two."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.attach import Person, attach
from core.connections.books import refresh_books
from core.connections.providers import consent_flow
from core.connections.refresh import put_tokens
from core.db.models import (
    POSTED_KINDS,
    BooksAccount,
    Connection,
    ConnectionMode,
    HistoryRun,
    ItemKind,
    ItemState,
    Membership,
    SyncItem,
    User,
)
from core.identity.accounts import create_account, email_key
from core.intake.facts import ServiceRef
from core.intake.store import store_service
from core.mapping.roles import save_role
from core.mapping.save import save_mapping
from core.oauth import TokenSet
from core.sync.check_books import check_books_now
from core.sync.history import start_history
from core.sync.look_ahead import post_history
from core.sync.worker import Worker
from core.wiring import Wiring
from web.demo import cast
from web.demo.story import POSTED_DAYS, Story
from web.sandbox.client import SandboxClient
from web.sandbox.quickbooks.client import QuickBooksControl

_LOOK_S = 0.5


class Demo:
    """One seeded demo: the studio's story at Stripe, and the workspace that follows it."""

    def __init__(self, sandbox_url: str, http: httpx.AsyncClient, wiring: Wiring) -> None:
        self._stripe = SandboxClient(sandbox_url, http)
        self._quickbooks = QuickBooksControl(sandbox_url, http)
        self._wiring = wiring
        self._worker = Worker(wiring)
        self._story = Story(self._stripe)

    async def seed(self) -> Person:
        """Play the story, make books and workspace, and let the product itself read the history and begin to post."""
        await self._story.open()
        await self._story.play(self._wiring.runtime.now())
        realm = await self._make_books()
        person = await self._make_workspace()
        await self._connect_stripe(person)
        books_id = await self._connect_books(person, realm)
        await self._choose_accounts(person, books_id)
        await self._take_history(person)
        return person

    async def follow(self, person: Person) -> None:
        """Wait until the worker has posted the history, then have the books read back, as a bookkeeper would."""
        runtime = self._wiring.runtime
        while not await self._is_posted(person):
            await runtime.sleep(_LOOK_S)
        async with self._wiring.db.tenant(person.tenant_id, write=True) as session:
            await check_books_now(session, tenant_id=person.tenant_id, now=runtime.now())

    async def pay_once(self) -> None:
        """Let some client pay for something now."""
        await self._story.pay_once()

    async def _make_books(self) -> str:
        company = await self._quickbooks.create_company(cast.COMPANY)
        there = {account["Name"] for account in await self._quickbooks.documents(company.realm_id, "Account")}
        for account in (account for account in cast.ACCOUNTS if account.name not in there):
            body = {"Name": account.name, "AcctNum": account.number, "AccountType": account.type}
            if account.subtype:
                body["AccountSubType"] = account.subtype
            await self._quickbooks.create_document(company.realm_id, "Account", body)
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
        granted = await self._stripe.connect(self._story.account)
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

    async def _choose_accounts(self, person: Person, connection_id: UUID) -> None:
        """Say where the income of each service goes, and which account plays which role."""
        whose: dict[str, Any] = {
            "tenant_id": person.tenant_id, "connection_id": connection_id, "by_user_id": person.user_id,
            "now": self._wiring.runtime.now(),
        }  # fmt: skip
        async with self._wiring.db.tenant(person.tenant_id, write=True) as session:
            rows = await session.execute(select(BooksAccount).where(BooksAccount.connection_id == connection_id))
            ids = {row.name: row.external_id for row in rows.scalars()}
            for account in cast.ACCOUNTS:
                if account.role is not None:
                    await save_role(session, role=account.role, account_id=ids[account.name], **whose)
            for service in cast.SERVICES:
                await self._map(session, service, ids.get(service.account or ""), whose)

    async def _map(
        self, session: AsyncSession, service: cast.Service, account_id: str | None, whose: dict[str, Any]
    ) -> None:
        service_id = await store_service(
            session, whose["tenant_id"], ServiceRef(self._story.products[service.name], service.name),
            now=whose["now"], unit_amount_minor=service.price, currency="usd",
        )  # fmt: skip
        if account_id is not None:
            await save_mapping(session, service_id=service_id, income_account_id=account_id, tax_code_id=None, **whose)

    async def _take_history(self, person: Person) -> None:
        """Read everything since the first day, have it planned, and say that it may be posted, as an owner does."""
        runtime = self._wiring.runtime
        async with self._wiring.db.tenant(person.tenant_id, write=True) as session:
            now, whose = runtime.now(), {"tenant_id": person.tenant_id, "by_user_id": person.user_id}
            run_id = (await start_history(session, first_day=self._first_day(), now=now, **whose)).id
        is_posting = False
        while not is_posting:
            if not await self._worker.step():
                await runtime.sleep(_LOOK_S)
            async with self._wiring.db.tenant(person.tenant_id, write=True) as session:
                run = await session.get_one(HistoryRun, run_id)
                is_posting = await post_history(session, run, now=runtime.now())

    async def _is_posted(self, person: Person) -> bool:
        """Say whether nothing of the history is on its way to the books any more."""
        async with self._wiring.db.tenant(person.tenant_id) as session:
            due = select(SyncItem.id).where(
                SyncItem.kind.in_((*POSTED_KINDS, ItemKind.DRY_RUN)),
                SyncItem.state.in_((ItemState.PENDING, ItemState.WORKING)),
                SyncItem.due_at <= self._wiring.runtime.now(),
            )
            return (await session.execute(due.limit(1))).first() is None

    def _first_day(self) -> date:
        return (self._wiring.runtime.now() - timedelta(days=POSTED_DAYS)).astimezone(ZoneInfo(cast.TIME_ZONE)).date()


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
