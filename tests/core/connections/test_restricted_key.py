"""Stripe by a pasted key: its form, its rights, an endpoint of its own."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from core.connections.access import access_token
from core.connections.attach import Person
from core.connections.disconnect import disconnect
from core.connections.refusals import ConnectError
from core.connections.restricted_key import RIGHTS, connect_restricted_key, key_form_url
from core.connections.secrets import unseal
from core.crypto import hash_token
from core.db.models import Connection, ConnectionMode, ConnectionStatus, Role
from core.errors import InputError
from core.identity.members import NotAllowedError
from core.intake.handlers import subscribed_events
from core.intake.stripe_client import STRIPE_API_VERSION
from core.wiring import Wiring
from tests.factories import make_person
from tests.outside import Outside

ALL = [right.permission for right in RIGHTS]


@pytest.fixture
def outside(wiring: Wiring) -> Outside:
    return Outside(wiring)


async def owner(outside: Outside, **values: Any) -> Person:
    made = await make_person(outside.wiring, **values)
    return Person(made.tenant_id, made.user_id, made.session_hash)


async def key_for(outside: Outside, account: str, permissions: list[str]) -> str:
    made = await outside.control(
        "POST", f"/_control/stripe/accounts/{account}/restricted_keys", permissions=permissions
    )
    return str(made["key"])


async def stored(outside: Outside, person: Person) -> list[Connection]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        return list((await session.execute(select(Connection))).scalars())


def endpoints(outside: Outside, account: str) -> list[dict[str, Any]]:
    return list(outside.sandbox.stripe.world.accounts[account].shelf("webhook_endpoint").newest_first())


async def test_a_key_with_every_right_is_connected_with_an_endpoint_of_its_own(outside: Outside) -> None:
    person, account = await owner(outside), await outside.business()
    key = await key_for(outside, account, ALL)
    connection_id = await connect_restricted_key(outside.wiring, person, f"  {key}\n")
    (row,) = await stored(outside, person)
    assert (row.mode, row.external_id, row.external_name) == (
        ConnectionMode.RESTRICTED_KEY,
        account,
        "Anna Berg Photography",
    )
    (endpoint,) = endpoints(outside, account)
    token = endpoint["url"].removeprefix("https://tieout.test/webhooks/stripe/")
    assert len(token) == 64
    assert row.endpoint_token_hash == hash_token(token)
    assert endpoint["api_version"] == STRIPE_API_VERSION
    assert set(endpoint["enabled_events"]) == {
        name for name in subscribed_events() if not name.startswith(("account.application.", "apps."))
    }
    assert row.webhook_endpoint_id == endpoint["id"]
    assert unseal(outside.wiring.keys, row, "webhook_secret") == endpoint["_secret"]
    ids = {"tenant_id": person.tenant_id, "connection_id": connection_id}
    assert await access_token(outside.wiring, **ids) == key


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("", "not a restricted key"),
        ("pk_test_0123456789abc", "not a restricted key"),
        ("rk_test_short", "not a restricted key"),
        ("rk_test_0123456789abc def", "not a restricted key"),
        ("rk_test_0123456789é", "not a restricted key"),
        ("rk_test_" + "a" * 10_000, "not a restricted key"),
        ("sk_test_0123456789abcdef", "may do everything"),
        ("rk_live_0123456789abcdef", "live mode"),
        ("rk_test_0123456789abcdef", "does not know this key"),
    ],
)
async def test_what_is_no_usable_key_is_refused_in_words(outside: Outside, pasted: str, said: str) -> None:
    person = await owner(outside)
    with pytest.raises(InputError, match=said) as refused:
        await connect_restricted_key(outside.wiring, person, pasted)
    assert refused.value.field == "restricted_key"
    assert not pasted or pasted not in refused.value.message
    assert await stored(outside, person) == []


@pytest.mark.parametrize(
    "lacking", [right for right in RIGHTS if right.permission != "balance_transaction_source_read"]
)
async def test_every_missing_right_is_named(outside: Outside, lacking: Any) -> None:
    person, account = await owner(outside), await outside.business()
    # At Stripe, reading Checkout Sessions includes reading intents and products.
    implied = {"checkout_session_read"} if lacking.permission in {"payment_intent_read", "product_read"} else set()
    key = await key_for(outside, account, [name for name in ALL if name not in {lacking.permission, *implied}])
    with pytest.raises(InputError) as refused:
        await connect_restricted_key(outside.wiring, person, key)
    assert lacking.label in refused.value.message
    assert key not in refused.value.message
    assert await stored(outside, person) == []
    assert endpoints(outside, account) == []


async def test_all_missing_rights_are_named_at_once(outside: Outside) -> None:
    person, account = await owner(outside), await outside.business()
    key = await key_for(outside, account, ["connected_account_read", "charge_read"])
    with pytest.raises(InputError) as refused:
        await connect_restricted_key(outside.wiring, person, key)
    for label in ("Balance: read", "Events: read", "Products: read"):
        assert label in refused.value.message
    assert "Charges" not in refused.value.message


async def test_a_new_key_of_the_same_account_keeps_connection_and_endpoint(outside: Outside) -> None:
    person, account = await owner(outside), await outside.business()
    first = await connect_restricted_key(outside.wiring, person, await key_for(outside, account, ALL))
    newer = await key_for(outside, account, ALL)
    assert await connect_restricted_key(outside.wiring, person, newer) == first
    assert len(endpoints(outside, account)) == 1
    assert await access_token(outside.wiring, tenant_id=person.tenant_id, connection_id=first) == newer


async def test_an_endpoint_that_was_deleted_at_stripe_is_made_anew(outside: Outside) -> None:
    person, account = await owner(outside), await outside.business()
    await connect_restricted_key(outside.wiring, person, await key_for(outside, account, ALL))
    outside.sandbox.stripe.world.accounts[account].shelf("webhook_endpoint").remove(
        endpoints(outside, account)[0]["id"]
    )
    await connect_restricted_key(outside.wiring, person, await key_for(outside, account, ALL))
    (row,) = await stored(outside, person)
    assert [endpoint["id"] for endpoint in endpoints(outside, account)] == [row.webhook_endpoint_id]


async def test_an_account_of_another_workspace_is_refused_before_anything_is_made(outside: Outside) -> None:
    first, second, account = await owner(outside), await owner(outside), await outside.business()
    await connect_restricted_key(outside.wiring, first, await key_for(outside, account, ALL))
    with pytest.raises(ConnectError, match="another workspace"):
        await connect_restricted_key(outside.wiring, second, await key_for(outside, account, ALL))
    assert len(endpoints(outside, account)) == 1


async def test_two_workspaces_at_once_leave_one_connection_and_one_endpoint(outside: Outside) -> None:
    people, account = [await owner(outside) for _ in range(2)], await outside.business()
    keys = [await key_for(outside, account, ALL) for _ in people]
    ends = await asyncio.gather(
        *(connect_restricted_key(outside.wiring, p, k) for p, k in zip(people, keys, strict=True)),
        return_exceptions=True,
    )
    assert sum(isinstance(end, UUID) for end in ends) == 1
    assert len(endpoints(outside, account)) == 1


async def test_members_may_not_paste_a_key(outside: Outside) -> None:
    boss, account = await owner(outside), await outside.business()
    member = await owner(outside, tenant_id=boss.tenant_id, role=Role.MEMBER)
    with pytest.raises(NotAllowedError):
        await connect_restricted_key(outside.wiring, member, await key_for(outside, account, ALL))
    assert await outside.calls("/v1/") == []


async def test_stripe_that_does_not_answer_changes_nothing(outside: Outside) -> None:
    person, account = await owner(outside), await outside.business()
    key = await key_for(outside, account, ALL)
    for path in ("/v1/account", "/v1/prices", "/v1/webhook_endpoints"):
        fault = await outside.control("POST", "/_control/faults", kind="status", path=path, status=500, count=3)
        with pytest.raises(ConnectError, match="few minutes"):
            await connect_restricted_key(outside.wiring, person, key)
        await outside.control("DELETE", f"/_control/faults?id={fault['id']}")
    assert await stored(outside, person) == []


async def test_disconnecting_deletes_the_endpoint_and_forgets_the_key(outside: Outside) -> None:
    person, account = await owner(outside), await outside.business()
    await connect_restricted_key(outside.wiring, person, await key_for(outside, account, ALL))
    assert await disconnect(outside.wiring, person, "stripe")
    (row,) = await stored(outside, person)
    assert row.status is ConnectionStatus.CLOSED
    assert (row.access_token, row.webhook_secret, row.endpoint_token_hash) == (None, None, None)
    assert endpoints(outside, account) == []


def test_the_form_at_stripe_opens_with_our_rights_ticked() -> None:
    url = key_form_url("https://dashboard.stripe.com")
    assert url.startswith("https://dashboard.stripe.com/apikeys/create?name=Tieout&permissions%5B%5D=rak_balance_read&")
