"""The brake on guessing (A4), on both databases."""

import asyncio

import pytest

from core.db.session import Database
from core.identity.accounts import Gate, WrongCredentialsError, sign_in
from core.identity.cleanup import forget_expired
from core.identity.throttle import ThrottledError, Try, account_key, begin_try, count_sign_up, forgive, network_of
from core.wiring import Wiring
from tests.factories import PASSWORD, make_membership, make_tenant, make_user
from tests.runtime import VirtualRuntime

SECRET = "s" * 32
ANNA = account_key(SECRET, "anna@example.com")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("unknown", "unknown"),
        ("'; drop table", "unknown"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


async def _tries(database: Database, count: int, key: str, network: str, device: str | None = None) -> int:
    """Make tries one after the other; return how many were heard."""
    heard = 0
    for _ in range(count):
        try:
            await begin_try(database, key, network=network, device=device)
        except ThrottledError:
            continue
        heard += 1
    return heard


async def test_five_wrong_tries_of_one_account_from_one_network(database: Database, runtime: VirtualRuntime) -> None:
    assert await _tries(database, 8, ANNA, "a") == 5
    with pytest.raises(ThrottledError) as caught:
        await begin_try(database, ANNA, network="a")
    assert caught.value.retry_after_s == 15 * 60
    assert await _tries(database, 1, ANNA, "b") == 1, "another network is judged by itself"
    runtime.forward(minutes=15, seconds=1)
    assert await _tries(database, 8, ANNA, "a") == 5


async def test_twenty_of_one_account_from_everywhere(database: Database, runtime: VirtualRuntime) -> None:
    heard = sum([await _tries(database, 3, ANNA, f"network {number}") for number in range(15)])
    assert heard == 20
    assert await _tries(database, 1, account_key(SECRET, "ben@example.com"), "network 1") == 1
    runtime.forward(hours=1, seconds=1)
    assert await _tries(database, 1, ANNA, "network 99") == 1


async def test_fifty_from_one_network(database: Database) -> None:
    keys = [account_key(SECRET, f"{number}@example.com") for number in range(80)]
    heard = sum([await _tries(database, 1, key, "a") for key in keys])
    assert heard == 50


async def test_a_known_device_is_judged_by_its_own_tries(database: Database) -> None:
    assert sum([await _tries(database, 5, ANNA, f"network {number}") for number in range(10)]) == 20
    assert await _tries(database, 9, ANNA, "network 1", device="d" * 64) == 5
    assert await _tries(database, 1, ANNA, "network 1", device="e" * 64) == 1


async def test_a_right_password_wipes_the_slate_of_its_place_only(database: Database) -> None:
    await _tries(database, 4, ANNA, "a")
    await _tries(database, 4, ANNA, "b")
    right: Try = await begin_try(database, ANNA, network="a")
    async with database.open_session(write=True) as session:
        await forgive(session, right)
    assert await _tries(database, 9, ANNA, "a") == 5
    assert await _tries(database, 9, ANNA, "b") == 1


async def test_simultaneous_guesses_are_counted_one_by_one(database: Database) -> None:
    """Counting before and writing after the hash would let all of these through."""
    outcomes = await asyncio.gather(
        *(begin_try(database, ANNA, network="a") for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Try) for outcome in outcomes) == 5
    assert all(isinstance(outcome, Try | ThrottledError) for outcome in outcomes)


async def test_sign_ups_are_limited_too(database: Database, runtime: VirtualRuntime) -> None:
    for _ in range(10):
        await count_sign_up(database, SECRET, network="a")
    with pytest.raises(ThrottledError):
        await count_sign_up(database, SECRET, network="a")
    await count_sign_up(database, SECRET, network="b")
    runtime.forward(hours=1, seconds=1)
    await count_sign_up(database, SECRET, network="a")


async def test_strangers_cannot_shut_the_owner_out(any_wiring: Wiring) -> None:
    db = any_wiring.db
    user = await make_user(any_wiring)
    await make_membership(any_wiring, (await make_tenant(any_wiring)).id, user.id)
    first = await sign_in(db, email=user.email, password=PASSWORD, gate=Gate(SECRET, "home"))
    for number in range(25):
        with pytest.raises((WrongCredentialsError, ThrottledError)):
            await sign_in(db, email=user.email, password="guess", gate=Gate(SECRET, f"network {number}"))
    with pytest.raises(ThrottledError):
        await sign_in(db, email=user.email, password=PASSWORD, gate=Gate(SECRET, "elsewhere"))
    known = Gate(SECRET, "elsewhere", first.device_token)
    assert (await sign_in(db, email=user.email, password=PASSWORD, gate=known)).token


async def test_a_device_of_another_account_is_no_known_device(any_wiring: Wiring) -> None:
    db = any_wiring.db
    mallory, anna = await make_user(any_wiring), await make_user(any_wiring)
    for user in (mallory, anna):
        await make_membership(any_wiring, (await make_tenant(any_wiring)).id, user.id)
    own = await sign_in(db, email=mallory.email, password=PASSWORD, gate=Gate(SECRET, "m"))
    heard = 0
    for number in range(40):
        try:
            gate = Gate(SECRET, f"network {number}", own.device_token)
            await sign_in(db, email=anna.email, password="guess", gate=gate)
        except WrongCredentialsError:
            heard += 1
        except ThrottledError:
            pass
    assert heard == 20


async def test_old_tries_are_forgotten(database: Database, runtime: VirtualRuntime) -> None:
    await _tries(database, 5, ANNA, "a")
    runtime.forward(days=2)
    await forget_expired(database)
    assert await _tries(database, 9, ANNA, "a") == 5
