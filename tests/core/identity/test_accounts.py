"""Signing up and in, below the pages (A3, A10, S1, S6, T10)."""

import statistics
import time

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import func, select

from core.db.models import Membership, Role, Tenant, User
from core.errors import InputError
from core.identity.accounts import (
    Gate,
    WrongCredentialsError,
    check_email,
    check_new_account,
    confirm_password,
    create_account,
    email_key,
    sign_in,
    sign_up,
)
from core.identity.members import NotAllowedError, require_owner
from core.identity.passwords import is_outdated
from core.identity.sessions import find_visit
from core.identity.throttle import ThrottledError
from core.wiring import Wiring
from tests.factories import PASSWORD, make_person, make_tenant, make_user
from tests.runtime import VirtualRuntime

GATE = Gate("s" * 32, "203.0.113.7/32")


async def _sign_up(wiring: Wiring, email: str, gate: Gate = GATE) -> None:
    await sign_up(
        wiring.db, email=email, password=PASSWORD, workspace=" Berg Studio ", time_zone="Europe/Oslo", gate=gate
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Example.com", "anna@example.com"),
        ("ＡＮＮＡ@example.com", "anna@example.com"),
        ("straße@example.com", "STRASSE@example.com"),
        ("anna@ﬁlm.example", "anna@film.example"),
        ("İris@example.com", "i̇ris@example.com"),
    ],
)
def test_addresses_that_are_one_address(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna+work@example.com", "anna@example.com"),
        ("an.na@example.com", "anna@example.com"),
        ("ıris@example.com", "iris@example.com"),
        ("anna@example.com", "anna@example.org"),
    ],
)
def test_addresses_that_are_two(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@pytest.mark.parametrize(
    "bad",
    [
        *(
            "",
            "anna",
            "@example.com",
            "anna@",
            "anna@example",
            "a b@example.com",
            "a@b@example.com",
            "anna@.",
            "a\tb@c.de",
        ),
        *("anna@example.com\nbcc: x", "x" * 250 + "@example.com", "\u202eanna@example.com", "a＠b@example.com"),
        *("ﷺ" * 40 + "@example.com", "a\u00a0b@example.com", "a\x00@example.com"),
    ],
)
def test_what_cannot_be_an_address(bad: str) -> None:
    with pytest.raises(InputError):
        check_email(bad)


def test_all_mistakes_at_once() -> None:
    errors = check_new_account(email="x", password="x", workspace=" ", time_zone="../etc")
    assert set(errors) == {"email", "password", "workspace", "zone"}
    assert not check_new_account(email="a@b.de", password=PASSWORD, workspace="Berg", time_zone="Europe/Oslo")


async def test_a_new_address_gets_a_workspace_that_it_owns(any_wiring: Wiring) -> None:
    await _sign_up(any_wiring, " Anna@Example.com ")
    done = await sign_in(any_wiring.db, email="anna@example.COM", password=PASSWORD, gate=GATE)
    visit = await find_visit(any_wiring.db, done.token)
    assert visit is not None
    assert (visit.role, visit.tenant_name, visit.time_zone) == (Role.OWNER, "Berg Studio", "Europe/Oslo")
    assert visit.user_email == "Anna@Example.com"
    assert not visit.is_set_up


async def test_a_known_address_changes_nothing_and_says_nothing(any_wiring: Wiring) -> None:
    await _sign_up(any_wiring, "anna@example.com")
    await _sign_up(any_wiring, "ANNA@example.com", Gate("s" * 32, "elsewhere"))
    async with any_wiring.db.open_session() as session:
        for model in (User, Tenant, Membership):
            assert await session.scalar(select(func.count()).select_from(model)) == 1
    assert (
        await create_account(
            any_wiring.db, email="anna@example.com", password="another password", workspace="x", time_zone="UTC"
        )
        is None
    )
    assert await sign_in(any_wiring.db, email="anna@example.com", password=PASSWORD, gate=GATE)


async def test_wrong_is_wrong_whatever_is_wrong(any_wiring: Wiring) -> None:
    user = await make_user(any_wiring)
    for email, password in (
        (user.email, "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("", ""),
        (user.email, PASSWORD),  # a person without a workspace
    ):
        with pytest.raises(WrongCredentialsError, match="wrong e-mail or password"):
            await sign_in(any_wiring.db, email=email, password=password, gate=GATE)


async def test_known_and_unknown_addresses_take_the_same_time(wiring: Wiring) -> None:
    """Both cost the same work: medians of CPU time, which other processes cannot disturb, within a fifth."""
    person = await make_person(wiring)
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(80):
        known = number % 2 == 0
        email = person.email if known else f"nobody{number}@example.com"
        begun = time.process_time()
        with pytest.raises((WrongCredentialsError, ThrottledError)) as caught:
            await sign_in(wiring.db, email=email, password="wrong", gate=Gate("s" * 32, f"n{number}"))
        if caught.type is WrongCredentialsError:
            taken[known].append(time.process_time() - begun)
    assert len(taken[True]) == 20
    assert 0.8 <= statistics.median(taken[False]) / statistics.median(taken[True]) <= 1.25


async def test_an_old_hash_is_renewed_at_sign_in(any_wiring: Wiring) -> None:
    weak = Argon2id(salt=bytes(16), length=32, iterations=1, lanes=1, memory_cost=8192)
    person = await make_person(any_wiring)
    async with any_wiring.db.open_session(write=True) as session:
        user = await session.get_one(User, person.user_id)
        user.password_hash = weak.derive_phc_encoded(PASSWORD.encode())
    await sign_in(any_wiring.db, email=person.email, password=PASSWORD, gate=GATE)
    async with any_wiring.db.open_session() as session:
        assert not is_outdated((await session.get_one(User, person.user_id)).password_hash)
    await sign_in(any_wiring.db, email=person.email, password=PASSWORD, gate=GATE)


async def test_signing_in_ends_the_session_that_the_browser_had(any_wiring: Wiring) -> None:
    person = await make_person(any_wiring)
    done = await sign_in(any_wiring.db, email=person.email, password=PASSWORD, gate=GATE, replaces=person.session_hash)
    assert await find_visit(any_wiring.db, person.token) is None
    assert await find_visit(any_wiring.db, done.token)


async def test_the_password_again(any_wiring: Wiring, runtime: VirtualRuntime) -> None:
    person = await make_person(any_wiring)
    runtime.forward(minutes=11)
    visit = await find_visit(any_wiring.db, person.token)
    assert visit is not None
    assert not visit.knows_password(runtime.now())
    with pytest.raises(WrongCredentialsError):
        await confirm_password(any_wiring.db, visit, "wrong", gate=GATE)
    await confirm_password(any_wiring.db, visit, PASSWORD, gate=GATE)
    visit = await find_visit(any_wiring.db, person.token)
    assert visit is not None
    assert visit.knows_password(runtime.now())
    for _ in range(5):
        with pytest.raises(WrongCredentialsError):
            await confirm_password(any_wiring.db, visit, "wrong", gate=GATE)
    with pytest.raises(ThrottledError):
        await confirm_password(any_wiring.db, visit, PASSWORD, gate=GATE)


async def test_only_owners_pass_as_owners(any_wiring: Wiring) -> None:
    owner = await make_person(any_wiring)
    member = await make_person(any_wiring, tenant_id=owner.tenant_id, role=Role.MEMBER)
    other = await make_tenant(any_wiring)
    async with any_wiring.db.open_session() as session:
        await require_owner(session, tenant_id=owner.tenant_id, user_id=owner.user_id)
        for tenant_id, user_id in ((owner.tenant_id, member.user_id), (other.id, owner.user_id)):
            with pytest.raises(NotAllowedError):
                await require_owner(session, tenant_id=tenant_id, user_id=user_id)
