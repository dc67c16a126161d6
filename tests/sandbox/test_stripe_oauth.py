"""Consent and tokens, in the two flows that tenants can choose."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import stripe as stripe_lib

from tests.sandbox.stripe_harness import Running, needs_schema, schema_problems

CALLBACK = "http://app.test/connect/stripe/callback"
PLATFORM = "sk_test_platform_sandbox"
AUTHORIZE = {
    "connect": "/oauth/authorize?response_type=code&scope=read_write&client_id=ca_sandbox",
    "app": "/oauth/v2/authorize?client_id=ca_sandbox",
}


async def consent(running: Running, flow: str, account: str, decision: str = "allow") -> dict[str, str]:
    """What the callback would receive after a person pressed a button."""
    page = await running.http.get(f"{running.url}{AUTHORIZE[flow]}&state=s1&redirect_uri={CALLBACK}")
    assert page.status_code == 200
    assert "Allow" in page.text
    form = {
        "flow": flow,
        "client_id": "ca_sandbox",
        "redirect_uri": CALLBACK,
        "state": "s1",
        "scope": "read_write" if flow == "connect" else "stripe_apps",
        "account": account,
        "decision": decision,
        "new_name": "Brand New Studio",
    }
    answer = await running.http.post(f"{running.url}/oauth/decide", data=form)
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def token(running: Running, path: str, key: str = PLATFORM, **params: str) -> httpx.Response:
    return await running.http.post(running.url + path, data=params, headers={"authorization": f"Bearer {key}"})


async def test_connect_gives_a_lasting_token_for_the_chosen_business(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    callback = await consent(running, "connect", business.id)
    assert callback["state"] == "s1"
    client = running.stripe(PLATFORM)
    answer = await client.raw_request_async(
        "post", "/oauth/token", base="connect", grant_type="authorization_code", code=callback["code"]
    )
    assert answer.data["stripe_user_id"] == business.id
    assert answer.data["livemode"] is False
    await running.control.advance(days=30)
    account = await running.stripe(answer.data["access_token"]).v1.accounts.retrieve_current_async()
    assert account.id == business.id


async def test_a_code_works_once(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    callback = await consent(running, "app", business.id)
    client = running.stripe(PLATFORM)
    params = {"grant_type": "authorization_code", "code": callback["code"]}
    await client.raw_request_async("post", "/v1/oauth/token", **params)
    with pytest.raises(stripe_lib.oauth_error.InvalidGrantError):
        await client.raw_request_async("post", "/v1/oauth/token", **params)


async def test_a_code_dies_after_five_minutes(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    callback = await consent(running, "app", business.id)
    await running.control.advance(seconds=301)
    answer = await token(running, "/v1/oauth/token", grant_type="authorization_code", code=callback["code"])
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"


async def test_an_app_token_lives_an_hour_and_its_refresh_token_rolls(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    callback = await consent(running, "app", business.id)
    first = (await token(running, "/v1/oauth/token", grant_type="authorization_code", code=callback["code"])).json()
    assert first["scope"] == "stripe_apps"
    await running.get(first["access_token"], "/v1/account")
    await running.control.advance(seconds=3601)
    with pytest.raises(stripe_lib.AuthenticationError, match="Expired"):
        await running.stripe(first["access_token"]).v1.accounts.retrieve_current_async()
    refreshed = await token(
        running, "/v1/oauth/token", grant_type="refresh_token", refresh_token=first["refresh_token"]
    )
    second = refreshed.json()
    assert second["refresh_token"] != first["refresh_token"]
    await running.get(second["access_token"], "/v1/account")
    again = await token(running, "/v1/oauth/token", grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


async def test_an_app_token_is_read_only(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    tokens = await running.control.connect(business.id, "app")
    client = running.stripe(tokens["access_token"])
    await client.v1.balance_transactions.list_async({"expand": ["data.source"]})
    with pytest.raises(stripe_lib.PermissionError):
        await client.v1.customers.create_async({"name": "Ann"})


async def test_cancel_comes_back_as_access_denied(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    callback = await consent(running, "connect", business.id, decision="cancel")
    assert callback["error"] == "access_denied"
    assert "code" not in callback
    assert callback["state"] == "s1"


async def test_the_consent_page_can_make_a_new_business(running: Running) -> None:
    callback = await consent(running, "app", "new")
    answer = await token(running, "/v1/oauth/token", grant_type="authorization_code", code=callback["code"])
    made = next(b for b in await running.control.accounts() if b.id == answer.json()["stripe_user_id"])
    assert made.name == "Brand New Studio"
    assert made.connected == ["app"]


@pytest.mark.parametrize(
    "query",
    [
        "client_id=ca_other&redirect_uri=http://app.test/cb",
        "client_id=ca_sandbox&redirect_uri=javascript:alert(1)",
        "client_id=ca_sandbox",
    ],
)
async def test_a_bad_link_shows_a_page_and_redirects_nobody(running: Running, query: str) -> None:
    answer = await running.http.get(f"{running.url}/oauth/v2/authorize?{query}")
    assert answer.status_code == 400
    assert "This link does not work" in answer.text


async def test_deauthorize_ends_the_token_and_tells_the_platform(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    tokens = await running.control.connect(business.id, "connect")
    answer = await token(running, "/oauth/deauthorize", client_id="ca_sandbox", stripe_user_id=business.id)
    assert answer.json() == {"stripe_user_id": business.id}
    await running.control.flush()
    told = running.intake.of_type("account.application.deauthorized")
    assert [event["account"] for event in told] == [business.id]
    with pytest.raises(stripe_lib.AuthenticationError):
        await running.stripe(tokens["access_token"]).v1.balance.retrieve_async()
    again = await token(running, "/oauth/deauthorize", client_id="ca_sandbox", stripe_user_id=business.id)
    assert again.status_code == 401


@needs_schema
async def test_an_app_is_uninstalled_through_its_install(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    tokens = await running.control.connect(business.id, "app")
    listed = await running.get(PLATFORM, f"/v1/apps/installs?account={business.id}")
    assert schema_problems(listed) == []
    install = listed["data"][0]["id"]
    answer = await token(running, f"/v1/apps/installs/{install}/uninstall")
    assert answer.status_code == 200
    assert (await running.get(PLATFORM, "/v1/apps/installs"))["data"] == []
    with pytest.raises(stripe_lib.AuthenticationError):
        await running.stripe(tokens["access_token"]).v1.balance.retrieve_async()


async def test_connect_is_refused_for_a_business_that_another_platform_controls(running: Running) -> None:
    business = await running.control.create_account("Booked Studio", platform_controlled=True)
    form = {
        "flow": "connect",
        "client_id": "ca_sandbox",
        "redirect_uri": CALLBACK,
        "state": "s1",
        "scope": "read_write",
        "account": business.id,
        "decision": "allow",
    }
    answer = await running.http.post(f"{running.url}/oauth/decide", data=form)
    assert answer.status_code == 403
    assert "controlled by another platform" in answer.text
    assert "code" in await consent(running, "app", business.id)


async def test_only_the_platform_key_gets_tokens(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    callback = await consent(running, "connect", business.id)
    answer = await token(
        running, "/oauth/token", key=business.secret_key, grant_type="authorization_code", code=callback["code"]
    )
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    unknown = await token(running, "/oauth/token", grant_type="password")
    assert unknown.json()["error"] == "unsupported_grant_type"
