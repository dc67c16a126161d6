"""Consent, tokens, rotation with grace, connections: the link as a browser and a server live it."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec
import pytest

from tests.sandbox.xero.harness import EVERYTHING, Xero

CALLBACK = "https://app.test/oauth/xero/callback"
ASKED = {
    "client_id": "xero_sandbox_client",
    "scope": EVERYTHING,
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "state": "s-1",
}
MINUTE, DAY = 60, 86_400
NEW = {"tenant": "new", "name": "Ana's Studio", "country": "NZ"}


def basic(secret: str = "xero_sandbox_secret") -> dict[str, str]:
    pair = base64.b64encode(f"xero_sandbox_client:{secret}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


async def consent(xero: Xero, asked: Any = None, **form: Any) -> dict[str, str]:
    answer = await xero.http.post("/identity/connect/authorize", data={**ASKED, **(asked or {}), **form})
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(target.query).items()}


async def token_call(xero: Xero, **form: str) -> httpx.Response:
    return await xero.http.post("/connect/token", data=form, headers=basic())


async def redeem(xero: Xero, code: str, **more: str) -> Any:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **more}
    answer = await token_call(xero, **form)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def connected(xero: Xero, **form: Any) -> Any:
    back = await consent(xero, decision="allow", **(form or NEW))
    assert back["state"] == "s-1"
    return await redeem(xero, back["code"])


async def refresh(xero: Xero, token: str) -> httpx.Response:
    return await token_call(xero, grant_type="refresh_token", refresh_token=token)


async def connections(xero: Xero, tokens: Any, **query: str) -> list[Any]:
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = await xero.http.get("/connections", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    rows: list[Any] = answer.json()
    return rows


async def organisation(xero: Xero, tokens: Any, tenant: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {tokens['access_token']}", "xero-tenant-id": tenant}
    return await xero.http.get("/api.xro/2.0/Organisation", headers={**headers, "accept": "application/json"})


def claims(token: str) -> Any:
    part = token.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_a_person_makes_an_organisation_and_allows_access(xero: Xero) -> None:
    page = await xero.http.get("/identity/connect/authorize", params=ASKED)
    assert "Create a new organisation" in page.text
    assert "<script" not in page.text
    tokens = await connected(xero)
    assert (tokens["expires_in"], tokens["token_type"]) == (1800, "Bearer")
    [connection] = await connections(xero, tokens)
    assert (connection["tenantName"], connection["tenantType"]) == ("Ana's Studio", "ORGANISATION")
    assert connection["authEventId"] == claims(tokens["access_token"])["authentication_event_id"]
    assert claims(tokens["id_token"])["email"] == "owner@studio.example"
    answer = await organisation(xero, tokens, connection["tenantId"])
    assert answer.json()["Organisations"][0]["BaseCurrency"] == "NZD"


async def test_cancel_sends_access_denied(xero: Xero) -> None:
    assert await consent(xero, decision="cancel") == {"error": "access_denied", "state": "s-1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "other"},
        {"response_type": "token"},
        {"scope": "accounting.invoice"},
        {"scope": "openid accounting.transactions"},
        {"redirect_uri": "http://app.test/cb"},
        {"redirect_uri": "javascript:alert(1)"},
        {"code_challenge": "abc"},
        {"code_challenge": "abc", "code_challenge_method": "plain"},
    ],
)
async def test_a_wrong_question_gets_a_page_and_no_redirect(xero: Xero, wrong: dict[str, str]) -> None:
    for answer in (
        await xero.http.get("/identity/connect/authorize", params={**ASKED, **wrong}),
        await xero.http.post("/identity/connect/authorize", data={**ASKED, **wrong, **NEW, "decision": "allow"}),
    ):
        assert answer.status_code == 400
        assert "Sorry, something went wrong" in answer.text


async def test_old_apps_may_ask_for_broad_scopes(xero: Xero) -> None:
    await xero.control.configure(broad_scopes=True)
    scope = "openid offline_access accounting.transactions accounting.settings.read"
    back = await consent(xero, {"scope": scope}, decision="allow", **NEW)
    assert (await redeem(xero, back["code"]))["scope"] == scope


async def test_values_on_the_consent_page_are_escaped(xero: Xero) -> None:
    await xero.control.create_organisation('<b>"Bold"</b>')
    asked = urlencode({**ASKED, "state": '"><script>1</script>'})
    page = await xero.http.get("/identity/connect/authorize?" + asked)
    assert "<script" not in page.text
    assert "<b>" not in page.text


async def test_a_code_works_once_and_only_with_its_address_and_secret(xero: Xero) -> None:
    back = await consent(xero, decision="allow", **NEW)
    form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": CALLBACK}
    wrong = await token_call(xero, **{**form, "redirect_uri": "https://app.test/other"})
    assert (wrong.status_code, wrong.json()) == (400, {"error": "invalid_grant"})
    bad = await xero.http.post("/connect/token", data=form, headers=basic("wrong"))
    assert (bad.status_code, bad.json()) == (401, {"error": "invalid_client"})
    posted = {**form, "client_id": "xero_sandbox_client", "client_secret": "xero_sandbox_secret"}
    assert (await xero.http.post("/connect/token", data=posted)).status_code == 200
    assert (await token_call(xero, **form)).json() == {"error": "invalid_grant"}
    late = await consent(xero, decision="allow", **NEW)
    xero.clock.advance(5 * MINUTE + 1)
    assert (await token_call(xero, **{**form, "code": late["code"]})).json() == {"error": "invalid_grant"}
    assert (await token_call(xero, grant_type="password")).json() == {"error": "unsupported_grant_type"}


async def test_pkce_is_optional_but_kept(xero: Xero) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = {"code_challenge": challenge, "code_challenge_method": "S256"}
    back = await consent(xero, asked, decision="allow", **NEW)
    form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": CALLBACK}
    for wrong in ({}, {"code_verifier": "w" * 50}):
        assert (await token_call(xero, **form, **wrong)).json() == {"error": "invalid_grant"}
    assert (await token_call(xero, **form, code_verifier=verifier)).status_code == 200


async def test_an_access_token_lives_half_an_hour(xero: Xero) -> None:
    tokens = await connected(xero)
    [connection] = await connections(xero, tokens)
    xero.clock.advance(30 * MINUTE - 2)
    assert (await organisation(xero, tokens, connection["tenantId"])).status_code == 200
    xero.clock.advance(2)
    answer = await organisation(xero, tokens, connection["tenantId"])
    assert answer.status_code == 401
    assert answer.json()["Detail"].startswith("TokenExpired: token expired at 03/02/2026 09:")
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await xero.http.get("/connections", headers=headers)).status_code == 401
    assert (await xero.http.get("/connections")).json()["Detail"] == "AuthenticationUnsuccessful"


async def test_refresh_tokens_rotate_and_the_old_one_has_half_an_hour_of_grace(xero: Xero) -> None:
    first = await connected(xero)
    second = (await refresh(xero, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    xero.clock.advance(30 * MINUTE - 2)
    third = await refresh(xero, first["refresh_token"])
    assert third.status_code == 200
    xero.clock.advance(4)
    assert (await refresh(xero, first["refresh_token"])).json() == {"error": "invalid_grant"}
    # Whoever kept the token that lost the race has his own half hour, and no more.
    xero.clock.advance(30 * MINUTE)
    assert (await refresh(xero, second["refresh_token"])).json() == {"error": "invalid_grant"}
    assert (await refresh(xero, third.json()["refresh_token"])).status_code == 200


async def test_a_refresh_token_dies_after_sixty_days_and_does_not_exist_without_offline_access(xero: Xero) -> None:
    first = await connected(xero)
    xero.clock.advance(60 * DAY - 10)
    second = (await refresh(xero, first["refresh_token"])).json()
    xero.clock.advance(60 * DAY + 1)
    assert (await refresh(xero, second["refresh_token"])).json() == {"error": "invalid_grant"}
    back = await consent(xero, {"scope": "openid accounting.invoices"}, decision="allow", **NEW)
    assert "refresh_token" not in await redeem(xero, back["code"])


async def test_a_token_reaches_all_organisations_of_its_person_and_of_nobody_else(xero: Xero) -> None:
    first = await connected(xero)
    second = await connected(xero, tenant="new", name="Second", country="US")
    names = [row["tenantName"] for row in await connections(xero, second)]
    assert names == ["Ana's Studio", "Second"]
    event = claims(second["access_token"])["authentication_event_id"]
    assert [row["tenantName"] for row in await connections(xero, second, authEventId=event)] == ["Second"]
    other = await connected(xero, tenant="new", name="Third", country="AU", user="other@studio.example")
    [row] = await connections(xero, other)
    assert (await organisation(xero, first, row["tenantId"])).status_code == 403
    assert (await organisation(xero, first, "")).json()["Detail"] == "AuthenticationUnsuccessful"


async def test_consenting_again_keeps_the_first_event(xero: Xero) -> None:
    first = await connected(xero)
    [before] = await connections(xero, first)
    again = await connected(xero, tenant=before["tenantId"])
    event = claims(again["access_token"])["authentication_event_id"]
    assert await connections(xero, again, authEventId=event) == []
    [after] = await connections(xero, again)
    assert (after["id"], after["authEventId"]) == (before["id"], before["authEventId"])
    assert (await refresh(xero, first["refresh_token"])).status_code == 200


async def test_a_second_consent_may_end_the_first(xero: Xero) -> None:
    await xero.control.configure(new_consent_ends_older=True)
    first = await connected(xero)
    await connected(xero, tenant="new", name="Second", country="US")
    assert (await refresh(xero, first["refresh_token"])).json() == {"error": "invalid_grant"}


async def test_several_organisations_at_once_need_the_tier_and_can_be_forbidden(xero: Xero) -> None:
    made = [await xero.control.create_organisation(f"Studio {n}") for n in range(2)]
    both = [organisation.tenant_id for organisation in made]
    refused = await xero.http.post("/identity/connect/authorize", data={**ASKED, "decision": "allow", "tenant": both})
    assert refused.status_code == 422
    await xero.control.configure(bulk_connections=True)
    assert len(await connections(xero, await connected(xero, tenant=both))) == 2
    page = await xero.http.get("/identity/connect/authorize", params={**ASKED, "acr_values": "bulk_connect:false"})
    assert 'type="checkbox"' not in page.text


async def test_disconnecting_takes_the_connection_id_and_nothing_else(xero: Xero) -> None:
    tokens = await connected(xero)
    [connection] = await connections(xero, tokens)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    wrong = await xero.http.delete(f"/connections/{connection['tenantId']}", headers=headers)
    assert wrong.status_code == 403
    gone = await xero.http.delete(f"/connections/{connection['id']}", headers=headers)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await xero.http.delete(f"/connections/{connection['id']}", headers=headers)).status_code == 404
    assert (await organisation(xero, tokens, connection["tenantId"])).status_code == 403
    assert (await refresh(xero, tokens["refresh_token"])).status_code == 200


async def test_revoking_ends_every_connection_of_the_person(xero: Xero) -> None:
    first = await connected(xero)
    second = await connected(xero, tenant="new", name="Second", country="US")
    form = {"token": first["refresh_token"]}
    answer = await xero.http.post("/connect/revocation", data=form, headers=basic())
    assert (answer.status_code, answer.content) == (200, b"")
    assert await connections(xero, second) == []
    assert (await refresh(xero, second["refresh_token"])).json() == {"error": "invalid_grant"}
    assert (await xero.http.post("/connect/revocation", data=form, headers=basic())).status_code == 200
    assert (await xero.http.post("/connect/revocation", data=form, headers=basic("no"))).status_code == 401


async def test_the_owner_disconnects_inside_xero(xero: Xero) -> None:
    tokens = await connected(xero)
    [connection] = await connections(xero, tokens)
    await xero.control.disconnect(connection["tenantId"])
    assert (await organisation(xero, tokens, connection["tenantId"])).status_code == 403
    assert (await refresh(xero, tokens["refresh_token"])).status_code == 200
    await xero.control.expire_tokens(refresh=True)
    assert (await organisation(xero, tokens, connection["tenantId"])).status_code == 401
    assert (await refresh(xero, tokens["refresh_token"])).json() == {"error": "invalid_grant"}


async def test_a_missing_scope_is_a_401_of_its_own(xero: Xero) -> None:
    books = await xero.books(scope="offline_access accounting.invoices.read accounting.settings.read")
    assert (await books.call("GET", "Invoices")).status_code == 200
    for method, path in (
        ("PUT", "Invoices"),
        ("GET", "Payments"),
        ("PUT", "Accounts"),
        ("GET", "Reports/TrialBalance"),
    ):
        answer = await books.call(method, path, {} if method == "PUT" else None)
        assert (answer.status_code, answer.json()["Detail"]) == (401, "AuthorizationUnsuccessful")


async def test_discovery_names_the_addresses_of_this_sandbox(xero: Xero) -> None:
    found = (await xero.http.get("/.well-known/openid-configuration")).json()
    assert found["token_endpoint"] == "http://sandbox.test/connect/token"
