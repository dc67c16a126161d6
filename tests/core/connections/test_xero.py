"""Xero's consent: a token is a person's and opens several organisations, so one is chosen (O2, O5, O9, O11)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from core.connections.access import access_token
from core.connections.attach import Person
from core.connections.books import refresh_books
from core.connections.choice import Choice, finish_choice, read_choices
from core.connections.consent import begin_consent, finish_consent
from core.connections.disconnect import disconnect
from core.connections.refusals import ConnectError
from core.db.models import BooksAccount, Connection, ConnectionStatus, Membership, OAuthState, Role
from core.identity.members import NotAllowedError
from core.wiring import Wiring
from tests.factories import make_person
from tests.outside import Outside
from tests.runtime import VirtualRuntime

OWNER, ADVISER = "owner@studio.example", "adviser@books.example"


@pytest.fixture
def outside(any_wiring: Wiring) -> Outside:
    return Outside(any_wiring)


async def person_in(outside: Outside, **values: Any) -> Person:
    made = await make_person(outside.wiring, **values)
    return Person(made.tenant_id, made.user_id, made.session_hash)


async def consent(outside: Outside, person: Person, *organisations: str, user: str = OWNER) -> UUID | None:
    url = await begin_consent(outside.wiring, person, "xero")
    callback = await outside.consent(url, *organisations, user=user)
    return await finish_consent(outside.wiring, person, "xero", callback)


async def rows(outside: Outside, person: Person, model: Any = Connection) -> list[Any]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        return list((await session.execute(select(model))).scalars())


async def several(outside: Outside) -> tuple[str, str]:
    """Two organisations, and an app that may ask for both at once."""
    await outside.control("PUT", "/_control/xero/platform", bulk_connections=True)
    return await outside.organisation("Berg Photography"), await outside.organisation("Amber Workshops")


# -- one organisation


async def test_an_organisation_is_connected_with_its_currency_and_both_its_ids(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    connection_id = await consent(outside, person, organisation)
    (row,) = await rows(outside, person)
    assert (row.id, row.external_id, row.external_name) == (connection_id, organisation, "Anna Berg Photography Ltd")
    assert (row.country, row.currency, row.is_test_mode) == ("GB", "gbp", True)
    (theirs,) = await outside.control("GET", "/_control/xero/connections")
    assert row.options["connection_id"] == theirs["id"]
    assert row.refresh_token is not None
    assert await rows(outside, person, OAuthState) == []


async def test_the_consent_asks_for_what_is_needed_and_proves_who_began_it(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    url = await begin_consent(outside.wiring, person, "xero")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["scope"] == (
        "offline_access accounting.invoices accounting.payments accounting.banktransactions accounting.contacts "
        "accounting.settings accounting.reports.trialbalance.read"
    )
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert asked["redirect_uri"] == "https://tieout.test/connect/xero/callback"
    # A verifier of another consent does not open this one.
    callback = await outside.consent(url, organisation, user=OWNER)
    await begin_consent(outside.wiring, person, "xero")
    async with outside.wiring.db.open_session(write=True) as session:
        states = list((await session.execute(select(OAuthState))).scalars())
        states[0].verifier, states[1].verifier = states[1].verifier, states[0].verifier
    with pytest.raises(ConnectError):
        await finish_consent(outside.wiring, person, "xero", callback)
    assert await rows(outside, person) == []


async def test_a_refused_consent_changes_nothing(outside: Outside) -> None:
    person = await person_in(outside)
    url = await begin_consent(outside.wiring, person, "xero")
    with pytest.raises(ConnectError, match="declined"):
        await finish_consent(outside.wiring, person, "xero", await outside.consent(url, allow=False))


async def test_accounts_and_tax_rates_are_read_and_the_connection_id_stays(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    connection_id = await consent(outside, person, organisation)
    assert connection_id is not None
    await refresh_books(outside.wiring, tenant_id=person.tenant_id, connection_id=connection_id)
    names = {account.name: account.number for account in await rows(outside, person, BooksAccount)}
    assert names["Session Fees"] == "200"
    (row,) = await rows(outside, person)
    assert {"connection_id", "book_close_date", "version"} <= row.options.keys()


# -- two workspaces, one person (O11)


async def test_two_workspaces_of_one_adviser_never_cross(outside: Outside) -> None:
    first, second = await person_in(outside), await person_in(outside)
    ours = await outside.organisation("Berg Photography", "GB")
    theirs = await outside.organisation("Lima Studio", "AU")
    for person, organisation in ((first, ours), (second, theirs)):
        connection_id = await consent(outside, person, organisation, user=ADVISER)
        assert connection_id is not None
        await refresh_books(outside.wiring, tenant_id=person.tenant_id, connection_id=connection_id)
    for person, organisation, tax in ((first, ours, "VAT"), (second, theirs, "GST")):
        (row,) = await rows(outside, person)
        assert row.external_id == organisation
        assert tax in {account.name for account in await rows(outside, person, BooksAccount)}


async def test_signing_in_again_finds_the_organisation_that_is_connected_here(outside: Outside) -> None:
    """The mark of the first consent stays with an organisation, so the list of a second one is empty."""
    first, second = await person_in(outside), await person_in(outside)
    ours, theirs = await outside.organisation("Berg"), await outside.organisation("Lima")
    before = await consent(outside, first, ours, user=ADVISER)
    await consent(outside, second, theirs, user=ADVISER)
    assert await consent(outside, first, ours, user=ADVISER) == before
    (row,) = await rows(outside, first)
    assert (row.external_id, row.status) == (ours, ConnectionStatus.ACTIVE)


async def test_an_organisation_of_another_workspace_is_refused(outside: Outside) -> None:
    first, second = await person_in(outside), await person_in(outside)
    ours, theirs = await outside.organisation("Berg"), await outside.organisation("Lima")
    await consent(outside, first, ours, user=ADVISER)
    await consent(outside, await person_in(outside), theirs, user=ADVISER)
    # Their list is that of the person: both organisations, neither of them free.
    assert await consent(outside, second, ours, user=ADVISER) is None
    with pytest.raises(ConnectError, match="another workspace"):
        await finish_choice(outside.wiring, second, "xero", ours)
    assert await rows(outside, second) == []


# -- several organisations


async def test_a_person_chooses_and_only_then_something_is_connected(outside: Outside) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    assert await consent(outside, person, berg, amber) is None
    assert await rows(outside, person) == []
    assert await read_choices(outside.wiring, person, "xero") == (
        Choice(amber, "Amber Workshops"),
        Choice(berg, "Berg Photography"),
    )
    await finish_choice(outside.wiring, person, "xero", berg)
    (row,) = await rows(outside, person)
    assert (row.external_id, row.currency) == (berg, "gbp")
    assert await read_choices(outside.wiring, person, "xero") == ()
    with pytest.raises(ConnectError, match="was used already"):
        await finish_choice(outside.wiring, person, "xero", amber)


async def test_the_time_of_choosing_is_taken_off_the_token(outside: Outside) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    await consent(outside, person, berg, amber)
    assert isinstance(outside.wiring.runtime, VirtualRuntime)
    began = outside.wiring.runtime.now()
    outside.wiring.runtime.forward(minutes=9)
    await finish_choice(outside.wiring, person, "xero", amber)
    (row,) = await rows(outside, person)
    assert (row.access_expires_at - began).total_seconds() == 1800


async def test_what_waits_is_sealed(outside: Outside) -> None:
    person, organisations = await person_in(outside), await several(outside)
    await consent(outside, person, *organisations)
    async with outside.wiring.db.open_session() as session:
        stored = repr((await session.execute(text("SELECT * FROM oauth_state"))).all())
    assert "eyJ" not in stored
    assert "Berg" not in stored


async def _later(outside: Outside, person: Person) -> Person:
    assert isinstance(outside.wiring.runtime, VirtualRuntime)
    outside.wiring.runtime.forward(minutes=10)
    return person


async def _other_session(_: Outside, person: Person) -> Person:
    return replace(person, session_hash="f" * 64)


async def _colleague(outside: Outside, person: Person) -> Person:
    return replace(await person_in(outside, tenant_id=person.tenant_id), session_hash=person.session_hash)


async def _other_workspace(outside: Outside, person: Person) -> Person:
    return replace(await person_in(outside), session_hash=person.session_hash)


@pytest.mark.parametrize("spoil", [_later, _other_session, _colleague, _other_workspace])
async def test_nobody_else_chooses_and_not_later(outside: Outside, spoil: Callable[..., Any]) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    await consent(outside, person, berg, amber)
    who = await spoil(outside, person)
    assert await read_choices(outside.wiring, who, "xero") == ()
    with pytest.raises(ConnectError, match="was used already"):
        await finish_choice(outside.wiring, who, "xero", berg)
    assert await rows(outside, person) == await rows(outside, who) == []


async def test_what_was_not_offered_cannot_be_chosen(outside: Outside) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    foreign = await outside.organisation("Somebody else")
    await consent(outside, person, berg, amber)
    with pytest.raises(ConnectError):
        await finish_choice(outside.wiring, person, "xero", foreign)
    assert await rows(outside, person) == []


async def test_a_choice_in_the_address_is_none(outside: Outside) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    url = await begin_consent(outside.wiring, person, "xero")
    callback = {**await outside.consent(url, berg, amber, user=OWNER), "chosen_company": berg}
    assert await finish_consent(outside.wiring, person, "xero", callback) is None
    assert await rows(outside, person) == []


async def test_two_clicks_at_once_connect_once(outside: Outside) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    await consent(outside, person, berg, amber)
    both = await asyncio.gather(
        finish_choice(outside.wiring, person, "xero", berg),
        finish_choice(outside.wiring, person, "xero", amber),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in both) == ["ConnectError", "UUID"]
    assert len(await rows(outside, person)) == 1


async def test_a_second_consent_takes_the_place_of_the_first_choice(outside: Outside) -> None:
    person, (berg, amber) = await person_in(outside), await several(outside)
    await consent(outside, person, berg, amber)
    third, fourth = await outside.organisation("Third"), await outside.organisation("Fourth")
    await consent(outside, person, third, fourth)
    assert {choice.external_id for choice in await read_choices(outside.wiring, person, "xero")} == {third, fourth}


async def test_only_owners_are_asked(outside: Outside) -> None:
    boss, (berg, amber) = await person_in(outside), await several(outside)
    url = await begin_consent(outside.wiring, boss, "xero")
    callback = await outside.consent(url, berg, amber, user=OWNER)
    async with outside.wiring.db.tenant(boss.tenant_id, write=True) as session:
        await session.execute(update(Membership).where(Membership.user_id == boss.user_id).values(role=Role.MEMBER))
    with pytest.raises(NotAllowedError):
        await finish_consent(outside.wiring, boss, "xero", callback)


# -- disconnecting (O9)


async def test_one_connection_ends_and_the_persons_other_workspace_goes_on(outside: Outside) -> None:
    first, second = await person_in(outside), await person_in(outside)
    ours, theirs = await outside.organisation("Berg"), await outside.organisation("Lima")
    await consent(outside, first, ours, user=ADVISER)
    kept = await consent(outside, second, theirs, user=ADVISER)
    assert kept is not None
    assert await disconnect(outside.wiring, first, "xero")
    assert [row["tenant_id"] for row in await outside.control("GET", "/_control/xero/connections")] == [theirs]
    assert await outside.calls("/connect/revocation") == []
    await outside.control("POST", "/_control/xero/tokens/expire", refresh=False)
    await refresh_books(outside.wiring, tenant_id=second.tenant_id, connection_id=kept)


async def test_an_old_access_token_is_renewed_to_say_goodbye(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    await consent(outside, person, organisation)
    await outside.control("POST", "/_control/xero/tokens/expire", refresh=False)
    assert await disconnect(outside.wiring, person, "xero")
    assert await outside.control("GET", "/_control/xero/connections") == []


async def test_what_ended_at_xero_has_ended(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    await consent(outside, person, organisation)
    await outside.control("POST", f"/_control/xero/organisations/{organisation}/disconnect")
    assert await disconnect(outside.wiring, person, "xero")


async def test_a_grant_that_is_over_is_said_to_be_unconfirmed(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    await consent(outside, person, organisation)
    await outside.control("POST", "/_control/xero/tokens/expire", refresh=True)
    assert not await disconnect(outside.wiring, person, "xero")
    (row,) = await rows(outside, person)
    assert (row.status, row.refresh_token) == (ConnectionStatus.CLOSED, None)


async def test_disconnected_and_connected_again_is_the_same_connection(outside: Outside) -> None:
    person, organisation = await person_in(outside), await outside.organisation()
    before = await consent(outside, person, organisation)
    await disconnect(outside.wiring, person, "xero")
    assert await consent(outside, person, organisation) == before
    (row,) = await rows(outside, person)
    (theirs,) = await outside.control("GET", "/_control/xero/connections")
    assert (row.status, row.options["connection_id"]) == (ConnectionStatus.ACTIVE, theirs["id"])
    assert await access_token(outside.wiring, tenant_id=person.tenant_id, connection_id=row.id)
