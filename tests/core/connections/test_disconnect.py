"""Ending a connection: forgotten here first, then there (O9, F23)."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select

from core.books.documents import DocumentKind
from core.connections.access import access_token
from core.connections.attach import Person
from core.connections.books import connect_built_in, refresh_books
from core.connections.consent import begin_consent, finish_consent
from core.connections.disconnect import disconnect
from core.connections.health import read_connections
from core.connections.refusals import ConnectError
from core.db.models import (
    BooksAccount,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    Customer,
    ItemKind,
    ItemState,
    Operation,
    OperationState,
    Payment,
    PaymentState,
    Role,
    SyncItem,
    Tenant,
)
from core.errors import NotFoundError, ReconnectRequiredError
from core.identity.members import NotAllowedError
from core.reasons import Reason
from core.wiring import Wiring
from tests.factories import make_connection, make_person
from tests.outside import Outside


@pytest.fixture
def outside(any_wiring: Wiring) -> Outside:
    return Outside(any_wiring)


async def owner(outside: Outside, **values: Any) -> Person:
    made = await make_person(outside.wiring, **values)
    return Person(made.tenant_id, made.user_id, made.session_hash)


async def connect(outside: Outside, person: Person, kind: str, choice: str) -> UUID:
    url = await begin_consent(outside.wiring, person, kind)
    return await finish_consent(outside.wiring, person, kind, await outside.consent(url, choice))


async def the_row(outside: Outside, person: Person, connection_id: UUID) -> Connection:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        return await session.get_one(Connection, connection_id)


async def test_quickbooks_is_told_and_the_tokens_are_gone(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    connection_id = await connect(outside, person, "quickbooks", realm)
    ids = {"tenant_id": person.tenant_id, "connection_id": connection_id}
    token = await access_token(outside.wiring, **ids)
    assert await disconnect(outside.wiring, person, "quickbooks")
    row = await the_row(outside, person, connection_id)
    assert (row.status, row.access_token, row.refresh_token) == (ConnectionStatus.CLOSED, None, None)
    assert outside.sandbox.quickbooks.world.office.check(token, outside.wiring.runtime.now()) is None
    with pytest.raises(ReconnectRequiredError):
        await access_token(outside.wiring, **ids)
    with pytest.raises(NotFoundError):
        await disconnect(outside.wiring, person, "quickbooks")


@pytest.mark.parametrize("mode", ["app", "connect"])
async def test_stripe_is_told_in_both_modes(any_wiring: Wiring, mode: str) -> None:
    outside = Outside(any_wiring, stripe_connect_mode=mode)
    person, account = await owner(outside), await outside.business()
    await connect(outside, person, "stripe", account)
    assert await disconnect(outside.wiring, person, "stripe")
    assert [grant.active for grant in outside.sandbox.stripe.world.grants] == [False]


async def test_tokens_are_gone_even_if_the_provider_does_not_answer(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    connection_id = await connect(outside, person, "quickbooks", realm)
    await outside.control("POST", "/_control/faults", kind="status", path="revoke", status=503, count=None)
    assert not await disconnect(outside.wiring, person, "quickbooks")
    row = await the_row(outside, person, connection_id)
    assert (row.status, row.access_token) == (ConnectionStatus.CLOSED, None)
    assert len(await outside.calls("revoke")) == 3


async def test_the_provider_is_told_again_after_a_passing_failure(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    await connect(outside, person, "quickbooks", realm)
    await outside.control("POST", "/_control/faults", kind="status", path="revoke", status=503, count=1)
    assert await disconnect(outside.wiring, person, "quickbooks")


async def test_a_broken_connection_whose_secrets_cannot_be_opened_ends_all_the_same(outside: Outside) -> None:
    person = await owner(outside)
    row = await make_connection(outside.wiring, person.tenant_id, access_token=b"junk", refresh_token=b"junk")
    await disconnect(outside.wiring, person, "quickbooks")
    assert (await the_row(outside, person, row.id)).status is ConnectionStatus.CLOSED


async def test_only_owners_disconnect_and_only_their_own(outside: Outside) -> None:
    boss, stranger, realm = await owner(outside), await owner(outside), await outside.company()
    member = await owner(outside, tenant_id=boss.tenant_id, role=Role.MEMBER)
    connection_id = await connect(outside, boss, "quickbooks", realm)
    with pytest.raises(NotAllowedError):
        await disconnect(outside.wiring, member, "quickbooks")
    with pytest.raises(NotFoundError):
        await disconnect(outside.wiring, stranger, "quickbooks")
    assert (await the_row(outside, boss, connection_id)).status is ConnectionStatus.ACTIVE


async def test_after_a_disconnect_another_workspace_may_connect_the_company(outside: Outside) -> None:
    first, second, realm = await owner(outside), await owner(outside), await outside.company()
    await connect(outside, first, "quickbooks", realm)
    await disconnect(outside.wiring, first, "quickbooks")
    await connect(outside, second, "quickbooks", realm)
    with pytest.raises(ConnectError, match="another workspace"):
        await connect(outside, first, "quickbooks", realm)


async def payment(
    outside: Outside, person: Person, stripe: UUID, books: UUID, *, begun: OperationState | None = None
) -> UUID:
    """A payment with a sale item; ``begun`` is the state of its invoice's write, if that was ever sent."""
    now = outside.wiring.runtime.now()
    source = f"pi_{uuid4().hex}"
    async with outside.wiring.db.tenant(person.tenant_id, write=True) as session:
        client = Customer(id=uuid4(), key=source, name="Client", created_at=now)
        session.add(client)
        await session.flush()
        row = Payment(
            id=uuid4(),
            connection_id=stripe,
            customer_id=client.id,
            source_id=source,
            amount_minor=100,
            currency="usd",
            is_test_mode=True,
            paid_at=now,
            book_date=date(2026, 3, 2),
            facts_hash="",
            fetched_at=now,
            first_seen_at=now,
            search="",
            state=PaymentState.WAITING,
            reason_detail={},
        )
        session.add(row)
        await session.flush()
        item = SyncItem(
            id=uuid4(),
            connection_id=books,
            kind=ItemKind.SALE,
            source_id=source,
            payment_id=row.id,
            state=ItemState.PENDING,
            due_at=now,
            reason_detail={},
            created_at=now,
            changed_at=now,
        )
        session.add(item)
        await session.flush()
        if begun is not None:
            session.add(
                Operation(
                    id=uuid4(),
                    connection_id=books,
                    item_id=item.id,
                    step="invoice",
                    kind=DocumentKind.INVOICE,
                    plan_version=0,
                    revision=0,
                    key=source,
                    reference="T-1",
                    path="/invoice",
                    body=b"{}",
                    body_hash="",
                    currency="usd",
                    state=begun,
                    sends=1,
                    fence=1,
                    created_at=now,
                )
            )
        return row.id


async def states(outside: Outside, person: Person) -> dict[UUID, tuple[PaymentState, Reason | None]]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        return {p.id: (p.state, p.reason) for p in (await session.execute(select(Payment))).scalars()}


async def items(outside: Outside, person: Person, connection_id: UUID) -> list[SyncItem]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        found = await session.execute(select(SyncItem).where(SyncItem.connection_id == connection_id))
        return list(found.scalars())


async def test_what_was_not_begun_waits_for_the_next_books_and_what_was_begun_stays(outside: Outside) -> None:
    person = await owner(outside)
    stripe = (await make_connection(outside.wiring, person.tenant_id, "stripe")).id
    first = await connect(outside, person, "quickbooks", await outside.company("First"))
    async with outside.wiring.db.tenant(person.tenant_id, write=True) as session:
        (await session.get_one(Tenant, person.tenant_id)).posting_starts_at = outside.wiring.runtime.now()
    fresh = await payment(outside, person, stripe, first)
    refused = await payment(outside, person, stripe, first, begun=OperationState.REJECTED)
    doubtful = await payment(outside, person, stripe, first, begun=OperationState.UNCERTAIN)

    await disconnect(outside.wiring, person, "quickbooks")
    assert {item.due_at for item in await items(outside, person, first)} == {None}
    assert await states(outside, person) == {
        fresh: (PaymentState.WAITING, Reason.BOOKS_NOT_CONNECTED),
        refused: (PaymentState.WAITING, Reason.BOOKS_NOT_CONNECTED),
        doubtful: (PaymentState.WAITING, Reason.RECONNECT_BOOKS),
    }

    second = await connect(outside, person, "quickbooks", await outside.company("Second"))
    sales = [item for item in await items(outside, person, second) if item.kind is ItemKind.SALE]
    assert {item.payment_id for item in sales} == {fresh, refused}
    assert (await states(outside, person))[doubtful] == (PaymentState.WAITING, Reason.RECONNECT_BOOKS)
    assert {item.due_at for item in await items(outside, person, first)} == {None}


async def test_the_same_company_again_goes_on_where_it_stopped(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    stripe = (await make_connection(outside.wiring, person.tenant_id, "stripe")).id
    books = await connect(outside, person, "quickbooks", realm)
    async with outside.wiring.db.tenant(person.tenant_id, write=True) as session:
        (await session.get_one(Tenant, person.tenant_id)).posting_starts_at = outside.wiring.runtime.now()
    waiting = {
        await payment(outside, person, stripe, books),
        await payment(outside, person, stripe, books, begun=OperationState.SENT),
    }
    await disconnect(outside.wiring, person, "quickbooks")
    assert await connect(outside, person, "quickbooks", realm) == books
    assert await states(outside, person) == dict.fromkeys(waiting, (PaymentState.WAITING, None))
    sales = [item for item in await items(outside, person, books) if item.kind is ItemKind.SALE]
    assert len(sales) == 2
    assert all(item.state is ItemState.PENDING and item.due_at is not None for item in sales)


async def test_practice_books_open_without_consent_and_only_where_they_are_set_up(
    outside: Outside, tmp_path: Any
) -> None:
    person = await owner(outside, tenant={"name": "Anna Berg Photography"})
    with pytest.raises(ConnectError):
        await connect_built_in(outside.wiring, person, "mock")
    with pytest.raises(NotFoundError):
        await connect_built_in(outside.wiring, person, "quickbooks")
    path = str(tmp_path / "books.db")
    outside = Outside(with_settings(outside.wiring, mock_books_path=path))
    connection_id = await connect_built_in(outside.wiring, person, "mock")
    row = await the_row(outside, person, connection_id)
    assert (row.mode, row.external_name, row.currency) == (ConnectionMode.BUILT_IN, "Anna Berg Photography", "usd")
    await refresh_books(outside.wiring, tenant_id=person.tenant_id, connection_id=connection_id)
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        assert (await session.execute(select(BooksAccount))).first() is not None
    with pytest.raises(ConnectError) as refused:
        await begin_consent(outside.wiring, person, "quickbooks")
    assert refused.value.title == "Your books are in Practice books"
    other = await owner(outside)
    assert await connect_built_in(outside.wiring, other, "mock") != connection_id
    assert await disconnect(outside.wiring, person, "mock")
    await begin_consent(outside.wiring, person, "quickbooks")


def with_settings(wiring: Wiring, **changes: Any) -> Wiring:
    return replace(wiring, settings=msgspec.structs.replace(wiring.settings, **changes))


async def test_the_page_knows_who_connected_what_and_when(outside: Outside) -> None:
    person, stranger = await owner(outside), await owner(outside)
    account, realm = await outside.business(), await outside.company()
    await connect(outside, person, "stripe", account)
    await connect(outside, person, "quickbooks", realm)
    now = outside.wiring.runtime.now()
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        report = await read_connections(session, now=now, zone=now.tzinfo)
    assert [found.name for found in report.connections] == ["Stripe", "QuickBooks"]
    assert report.stripe is not None
    assert report.books is not None
    assert report.books.company == "Anna Berg Photography LLC"
    assert report.books.connected_by.startswith("Person ")
    assert report.books.consent_ends_at is not None
    async with outside.wiring.db.tenant(stranger.tenant_id) as session:
        assert (await read_connections(session, now=now, zone=now.tzinfo)).connections == ()
