"""Connecting by consent, against the stand-ins of Stripe and Intuit (O1 to O6, O10, T9, F23)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select, text

from core.connections.attach import Person
from core.connections.books import refresh_books
from core.connections.consent import begin_consent, finish_consent
from core.connections.refusals import ConnectError
from core.connections.secrets import unseal
from core.db.models import (
    BooksAccount,
    BooksTaxCode,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    ItemKind,
    ItemState,
    Lane,
    OAuthState,
    Role,
    SyncItem,
)
from core.errors import NotFoundError
from core.identity.members import NotAllowedError
from core.reasons import Reason
from core.wiring import Wiring
from tests.factories import make_person
from tests.outside import Outside
from tests.runtime import VirtualRuntime


@pytest.fixture
def outside(any_wiring: Wiring) -> Outside:
    return Outside(any_wiring)


async def owner(outside: Outside, **values: Any) -> Person:
    made = await make_person(outside.wiring, **values)
    return Person(made.tenant_id, made.user_id, made.session_hash)


async def connect(outside: Outside, person: Person, kind: str, choice: str) -> UUID:
    url = await begin_consent(outside.wiring, person, kind)
    return await finish_consent(outside.wiring, person, kind, await outside.consent(url, choice))


async def rows(outside: Outside, person: Person, model: Any = Connection) -> list[Any]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        return list((await session.execute(select(model))).scalars())


async def one(outside: Outside, person: Person) -> Connection:
    (found,) = await rows(outside, person)
    assert isinstance(found, Connection)
    return found


async def test_quickbooks_is_connected_with_name_country_and_sealed_tokens(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    connection_id = await connect(outside, person, "quickbooks", realm)
    row = await one(outside, person)
    assert (row.id, row.external_id, row.external_name) == (connection_id, realm, "Anna Berg Photography LLC")
    assert (row.country, row.currency, row.mode, row.status) == (
        "US",
        "usd",
        ConnectionMode.OAUTH,
        ConnectionStatus.ACTIVE,
    )
    assert row.is_test_mode
    assert row.created_by == person.user_id
    now = outside.wiring.runtime.now()
    assert row.access_expires_at == now + timedelta(hours=1)
    assert row.consent_ends_at is not None
    assert row.consent_ends_at > now + timedelta(days=1800)
    assert unseal(outside.wiring.keys, row, "refresh_token").startswith("AB11")
    assert b"AB11" not in (row.refresh_token or b"")
    (lane,) = await rows(outside, person, Lane)
    (item,) = await rows(outside, person, SyncItem)
    assert (lane.connection_id, item.kind, item.source_id) == (connection_id, ItemKind.KEEP_ALIVE, "access")
    assert item.due_at is not None


@pytest.mark.parametrize(
    ("mode", "stored"), [("app", ConnectionMode.STRIPE_APP), ("connect", ConnectionMode.STRIPE_CONNECT)]
)
async def test_stripe_is_connected_in_both_modes(any_wiring: Wiring, mode: str, stored: ConnectionMode) -> None:
    outside = Outside(any_wiring, stripe_connect_mode=mode)
    person, account = await owner(outside), await outside.business()
    await connect(outside, person, "stripe", account)
    row = await one(outside, person)
    assert (row.external_id, row.external_name, row.currency, row.mode) == (
        account,
        "Anna Berg Photography",
        "usd",
        stored,
    )
    is_app = mode == "app"
    assert (row.refresh_token is not None, row.access_expires_at is not None) == (is_app, is_app)
    standing = {ItemKind.CATCH_UP, ItemKind.SWEEP, ItemKind.KEEP_ALIVE}
    assert {item.kind for item in await rows(outside, person, SyncItem)} == standing


async def test_accounts_and_tax_codes_are_read_and_what_is_gone_becomes_inactive(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    connection_id = await connect(outside, person, "quickbooks", realm)
    async with outside.wiring.db.tenant(person.tenant_id, write=True) as session:
        session.add(
            BooksAccount(
                connection_id=connection_id,
                external_id="999999",
                name="Gone",
                type="income",
                is_active=True,
                read_at=outside.wiring.runtime.now(),
            )
        )
    for _ in range(2):
        await refresh_books(outside.wiring, tenant_id=person.tenant_id, connection_id=connection_id)
    accounts = await rows(outside, person, BooksAccount)
    assert {a.external_id for a in accounts if not a.is_active} == {"999999"}
    assert {"income", "bank", "expense"} <= {a.type for a in accounts}
    assert {code.name for code in await rows(outside, person, BooksTaxCode)} == {"Taxable", "Non-taxable"}


async def test_the_authorize_address_comes_from_the_settings_alone(outside: Outside) -> None:
    person = await owner(outside)
    for kind in ("stripe", "quickbooks"):
        query = parse_qs(urlsplit(await begin_consent(outside.wiring, person, kind)).query)
        assert query["redirect_uri"] == [f"https://tieout.test/connect/{kind}/callback"]
        assert len(query["state"][0]) == 64
    assert query["scope"] == ["com.intuit.quickbooks.accounting"]
    assert "code_challenge" not in query


async def test_a_state_is_stored_as_a_hash_only(outside: Outside) -> None:
    person = await owner(outside)
    query = parse_qs(urlsplit(await begin_consent(outside.wiring, person, "quickbooks")).query)
    async with outside.wiring.db.open_session() as session:
        dump = repr((await session.execute(text("SELECT * FROM oauth_state"))).all())
    assert query["state"][0] not in dump
    assert person.session_hash in dump


async def _wrong_state(_: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    return {**callback, "state": "0" * 64}, person


async def _no_state(_: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    return {name: value for name, value in callback.items() if name != "state"}, person


async def _odd_state(_: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    return {**callback, "state": "é" * 64}, person


async def _expired(outside: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    assert isinstance(outside.wiring.runtime, VirtualRuntime)
    outside.wiring.runtime.forward(minutes=10)
    return callback, person


async def _other_session(_: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    return callback, replace(person, session_hash="f" * 64)


async def _other_person(outside: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    colleague = await owner(outside, tenant_id=person.tenant_id)
    return callback, replace(person, user_id=colleague.user_id)


async def _other_workspace(outside: Outside, callback: dict[str, str], person: Person) -> tuple[dict[str, str], Person]:
    return callback, await owner(outside)


@pytest.mark.parametrize(
    "spoil", [_wrong_state, _no_state, _odd_state, _expired, _other_session, _other_person, _other_workspace]
)
async def test_a_callback_that_does_not_belong_here_changes_nothing(
    outside: Outside, spoil: Callable[..., Any]
) -> None:
    person, realm = await owner(outside), await outside.company()
    callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), realm)
    spoiled, who = await spoil(outside, callback, person)
    with pytest.raises(ConnectError) as refused:
        await finish_consent(outside.wiring, who, "quickbooks", spoiled)
    assert refused.value.title == "That sign-in can no longer be used"
    assert await rows(outside, person) == await rows(outside, who) == []
    assert await outside.calls("tokens/bearer") == []


async def test_an_answer_at_the_path_of_another_provider_fails(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), realm)
    with pytest.raises(ConnectError):
        await finish_consent(outside.wiring, person, "stripe", callback)
    assert await rows(outside, person) == []


async def test_a_used_state_fails(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), realm)
    await finish_consent(outside.wiring, person, "quickbooks", callback)
    with pytest.raises(ConnectError):
        await finish_consent(outside.wiring, person, "quickbooks", callback)
    assert len(await outside.calls("tokens/bearer")) == 1


async def test_of_two_callbacks_at_once_exactly_one_succeeds(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), realm)
    ends = await asyncio.gather(
        *(finish_consent(outside.wiring, person, "quickbooks", callback) for _ in range(4)), return_exceptions=True
    )
    assert sorted(isinstance(end, UUID) for end in ends) == [False, False, False, True]
    assert len(await outside.calls("tokens/bearer")) == 1


async def test_old_states_are_swept_by_new_ones(outside: Outside) -> None:
    person = await owner(outside)
    await begin_consent(outside.wiring, person, "quickbooks")
    assert isinstance(outside.wiring.runtime, VirtualRuntime)
    outside.wiring.runtime.forward(minutes=11)
    await begin_consent(outside.wiring, person, "stripe")
    async with outside.wiring.db.open_session() as session:
        assert [row.provider for row in (await session.execute(select(OAuthState))).scalars()] == ["stripe"]


async def test_a_refusal_by_the_person_says_so_in_our_words(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), realm, allow=False)
    assert callback["error"] == "access_denied"
    hostile = {**callback, "error_description": "<script>alert(1)</script>", "code": "XAB1"}
    with pytest.raises(ConnectError) as refused:
        await finish_consent(outside.wiring, person, "quickbooks", hostile)
    assert refused.value.title == "QuickBooks was not connected"
    assert "script" not in refused.value.message
    assert await outside.calls("tokens/bearer") == []
    with pytest.raises(ConnectError):
        await finish_consent(outside.wiring, person, "quickbooks", callback)


async def test_a_tampered_company_stores_nothing(outside: Outside) -> None:
    person = await owner(outside)
    mine, foreign = await outside.company("Mine"), await outside.company("Foreign")
    for realm in (foreign, "9999999999", "../1", "", "1" * 40):
        callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), mine)
        with pytest.raises(ConnectError):
            await finish_consent(outside.wiring, person, "quickbooks", {**callback, "realmId": realm})
    assert await rows(outside, person) == []


async def test_a_provider_that_fails_meanwhile_stores_nothing_and_says_so(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    for path, status in (("tokens/bearer", 503), ("companyinfo", 500)):
        await outside.control("POST", "/_control/faults", kind="status", path=path, status=status)
        callback = await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), realm)
        with pytest.raises(ConnectError) as refused:
            await finish_consent(outside.wiring, person, "quickbooks", callback)
        assert refused.value.title == "QuickBooks is not answering"
    assert await rows(outside, person) == []


async def test_stripe_in_the_other_mode_is_refused(any_wiring: Wiring) -> None:
    outside = Outside(any_wiring, stripe_mode="live")
    person, account = await owner(outside), await outside.business()
    with pytest.raises(ConnectError, match="test mode"):
        await connect(outside, person, "stripe", account)
    assert await rows(outside, person) == []


async def test_members_and_outsiders_may_not_connect(outside: Outside) -> None:
    boss, realm = await owner(outside), await outside.company()
    member = await owner(outside, tenant_id=boss.tenant_id, role=Role.MEMBER)
    for person in (member, replace(boss, user_id=uuid4())):
        with pytest.raises(NotAllowedError):
            await begin_consent(outside.wiring, person, "quickbooks")
    assert realm
    assert await rows(outside, boss) == []


async def test_what_is_not_there_or_not_set_up_cannot_be_connected(outside: Outside) -> None:
    person = await owner(outside)
    for kind in ("sage", "mock", "constructor", ""):
        with pytest.raises(NotFoundError):
            await begin_consent(outside.wiring, person, kind)
        with pytest.raises(NotFoundError):
            await finish_consent(outside.wiring, person, kind, {})
    bare = replace(outside.wiring, settings=msgspec.structs.replace(outside.wiring.settings, quickbooks_client_id=""))
    with pytest.raises(ConnectError, match="has not set QuickBooks up"):
        await begin_consent(bare, person, "quickbooks")


async def test_one_company_is_active_in_one_workspace_only(outside: Outside) -> None:
    first, second, realm = await owner(outside), await owner(outside), await outside.company()
    await connect(outside, first, "quickbooks", realm)
    before = await one(outside, first)
    with pytest.raises(ConnectError) as refused:
        await connect(outside, second, "quickbooks", realm)
    assert "another workspace" in refused.value.message
    assert "Studio" not in refused.value.message
    assert await rows(outside, second) == []
    after = await one(outside, first)
    assert (after.access_token, after.status) == (before.access_token, ConnectionStatus.ACTIVE)


async def test_two_workspaces_that_connect_one_company_at_once_get_it_once(outside: Outside) -> None:
    realm, people = await outside.company(), [await owner(outside) for _ in range(3)]
    callbacks = [await outside.consent(await begin_consent(outside.wiring, p, "quickbooks"), realm) for p in people]
    ends = await asyncio.gather(
        *(finish_consent(outside.wiring, p, "quickbooks", c) for p, c in zip(people, callbacks, strict=True)),
        return_exceptions=True,
    )
    assert sum(isinstance(end, UUID) for end in ends) == 1
    assert sum(isinstance(end, ConnectError) for end in ends) == 2


async def test_another_company_on_reconnect_is_refused_by_name(outside: Outside) -> None:
    person, ours = await owner(outside), await outside.company("Anna Berg Photography")
    theirs = await outside.company("Berg Rentals")
    await connect(outside, person, "quickbooks", ours)
    before = await one(outside, person)
    with pytest.raises(ConnectError) as refused:
        await connect(outside, person, "quickbooks", theirs)
    assert refused.value.title == "That is a different company"
    assert refused.value.message == (
        "You signed in to “Berg Rentals”; your books here are “Anna Berg Photography”. Nothing was changed."
    )
    assert (await one(outside, person)).access_token == before.access_token


async def test_two_companies_that_arrive_at_once_become_one_connection(outside: Outside) -> None:
    person, realms = await owner(outside), [await outside.company(f"Company {n}") for n in range(3)]
    callbacks = [await outside.consent(await begin_consent(outside.wiring, person, "quickbooks"), r) for r in realms]
    ends = await asyncio.gather(
        *(finish_consent(outside.wiring, person, "quickbooks", c) for c in callbacks), return_exceptions=True
    )
    assert sum(isinstance(end, UUID) for end in ends) == 1
    assert len(await rows(outside, person)) == 1


async def test_the_same_company_again_is_the_same_connection_and_its_work_goes_on(outside: Outside) -> None:
    person, realm = await owner(outside), await outside.company()
    connection_id = await connect(outside, person, "quickbooks", realm)
    async with outside.wiring.db.tenant(person.tenant_id, write=True) as session:
        row = await session.get_one(Connection, connection_id)
        row.status, row.broken_at = ConnectionStatus.NEEDS_RECONNECT, outside.wiring.runtime.now()
        item = (await session.execute(select(SyncItem))).scalar_one()
        item.state, item.due_at, item.reason = ItemState.BLOCKED, None, Reason.RECONNECT_BOOKS
    assert await connect(outside, person, "quickbooks", realm) == connection_id
    row = await one(outside, person)
    assert (row.status, row.broken_at) == (ConnectionStatus.ACTIVE, None)
    (item,) = await rows(outside, person, SyncItem)
    assert (item.state, item.reason, item.due_at is None) == (ItemState.PENDING, None, False)
