"""Consent, tokens, rotation, revocation: the connection as a browser and a server live it."""

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.quickbooks_xsd import SCHEMA_FOLDER
from tests.sandbox.quickbooks.harness import JSON, Books, Intuit
from web.sandbox.quickbooks.amounts import decode

CALLBACK = "https://app.test/callback"
ASKED = {
    "client_id": "intuit_sandbox_client",
    "scope": "com.intuit.quickbooks.accounting",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "state": "s-1",
}
DAY = 24 * 3600


def basic(secret: str = "intuit_sandbox_secret") -> dict[str, str]:
    pair = base64.b64encode(f"intuit_sandbox_client:{secret}".encode()).decode()
    return {"authorization": f"Basic {pair}", "accept": "application/json"}


async def consent(intuit: Intuit, **form: str) -> dict[str, str]:
    answer = await intuit.http.post("/connect/oauth2", data={**ASKED, **form})
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(target.query).items()}


async def token_call(intuit: Intuit, **form: str) -> httpx.Response:
    return await intuit.http.post("/oauth2/v1/tokens/bearer", data=form, headers=basic())


async def connected(intuit: Intuit) -> tuple[str, dict[str, Any]]:
    back = await consent(intuit, decision="connect", realm="new", name="Ana's Studio", country="US")
    answer = await token_call(intuit, grant_type="authorization_code", code=back["code"], redirect_uri=CALLBACK)
    assert answer.status_code == 200, answer.text
    return back["realmId"], answer.json()


async def company_name(intuit: Intuit, realm: str, token: str) -> httpx.Response:
    headers = {**JSON, "authorization": f"Bearer {token}"}
    return await intuit.http.get(f"/v3/company/{realm}/companyinfo/{realm}", headers=headers)


async def refresh(intuit: Intuit, token: str) -> httpx.Response:
    return await token_call(intuit, grant_type="refresh_token", refresh_token=token)


async def test_the_consent_page_lists_companies_and_makes_new_ones(intuit: Intuit) -> None:
    await intuit.company("Lumen Studio")
    page = await intuit.http.get("/connect/oauth2", params=ASKED)
    assert page.status_code == 200
    assert "Lumen Studio" in page.text
    assert "Create a new company" in page.text
    assert "<script" not in page.text

    realm, tokens = await connected(intuit)

    assert tokens["token_type"] == "bearer"
    assert (tokens["expires_in"], tokens["x_refresh_token_expires_in"]) == (3600, 8726400)
    assert "x_refresh_token_hard_expires_in" not in tokens
    info = await company_name(intuit, realm, tokens["access_token"])
    assert info.json()["CompanyInfo"]["CompanyName"] == "Ana's Studio"
    assert info.headers["intuit_tid"]


async def test_a_new_company_has_the_country_and_currency_that_were_chosen(intuit: Intuit) -> None:
    form = {"decision": "connect", "realm": "new", "name": "Kerb & Co", "country": "AU", "currency": "USD"}
    back = await consent(intuit, **form)
    listed = await intuit.control("GET", "/companies")
    assert [(c["country"], c["home_currency"]) for c in listed if c["realm_id"] == back["realmId"]] == [("AU", "USD")]


async def test_cancel_sends_access_denied(intuit: Intuit) -> None:
    assert await consent(intuit, decision="cancel") == {"error": "access_denied", "state": "s-1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "other"},
        {"state": ""},
        {"response_type": "token"},
        {"scope": "openid"},
        {"redirect_uri": "https://app.test/cb?x=1"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
async def test_a_wrong_question_gets_a_page_and_no_redirect(intuit: Intuit, wrong: dict[str, str]) -> None:
    for answer in (
        await intuit.http.get("/connect/oauth2", params={**ASKED, **wrong}),
        await intuit.http.post("/connect/oauth2", data={**ASKED, **wrong, "decision": "connect", "realm": "new"}),
    ):
        assert answer.status_code == 400
        assert "Sorry, the app" in answer.text


async def test_values_on_the_consent_page_are_escaped(intuit: Intuit) -> None:
    await intuit.company('<b>"Bold"</b>')
    page = await intuit.http.get("/connect/oauth2?" + urlencode({**ASKED, "state": '"><script>1</script>'}))
    assert "<script" not in page.text
    assert "<b>" not in page.text


async def test_a_code_works_once_and_only_with_its_address_and_secret(intuit: Intuit) -> None:
    back = await consent(intuit, decision="connect", realm="new", name="One")
    form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": CALLBACK}
    assert (await token_call(intuit, **{**form, "redirect_uri": "https://app.test/other"})).status_code == 400
    bad = await intuit.http.post("/oauth2/v1/tokens/bearer", data=form, headers=basic("wrong"))
    assert (bad.status_code, bad.json()["error"]) == (401, "invalid_client")
    assert (await token_call(intuit, **form)).status_code == 200
    again = await token_call(intuit, **form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    late = await consent(intuit, decision="connect", realm="new", name="Two")
    intuit.clock.advance(3600)
    assert (await token_call(intuit, **{**form, "code": late["code"]})).json()["error"] == "invalid_grant"


async def test_an_access_token_lives_an_hour_and_its_end_is_a_gateway_401(intuit: Intuit) -> None:
    realm, tokens = await connected(intuit)
    intuit.clock.advance(3599)
    assert (await company_name(intuit, realm, tokens["access_token"])).status_code == 200
    intuit.clock.advance(1)
    answer = await company_name(intuit, realm, tokens["access_token"])
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["www-authenticate"]
    body = answer.json()
    assert body["fault"]["error"][0]["code"] == "3200"
    assert body["fault"]["type"] == "AUTHENTICATION"
    assert isinstance(body["time"], int)
    assert (await company_name(intuit, realm, "")).status_code == 401


async def test_a_token_of_another_company_is_forbidden(intuit: Intuit) -> None:
    other = await intuit.company("Other")
    _, tokens = await connected(intuit)
    answer = await company_name(intuit, other.realm, tokens["access_token"])
    assert answer.status_code == 403
    assert answer.json()["fault"]["error"][0]["code"] == "3100"


async def test_the_refresh_token_changes_after_a_day_and_the_old_one_dies(intuit: Intuit) -> None:
    realm, first = await connected(intuit)
    same = (await refresh(intuit, first["refresh_token"])).json()
    assert same["refresh_token"] == first["refresh_token"]
    assert same["access_token"] != first["access_token"]
    intuit.clock.advance(DAY)
    rotated = (await refresh(intuit, first["refresh_token"])).json()
    assert rotated["refresh_token"] != first["refresh_token"]
    dead = await refresh(intuit, first["refresh_token"])
    assert (dead.status_code, dead.json()["error"]) == (400, "invalid_grant")
    assert (await company_name(intuit, realm, rotated["access_token"])).status_code == 200


async def test_using_a_rotated_token_may_cost_the_connection(intuit: Intuit) -> None:
    await intuit.control("PATCH", "/oauth", {"punish_reuse": True})
    realm, first = await connected(intuit)
    intuit.clock.advance(DAY)
    rotated = (await refresh(intuit, first["refresh_token"])).json()
    assert (await refresh(intuit, first["refresh_token"])).status_code == 400
    assert (await company_name(intuit, realm, rotated["access_token"])).status_code == 401
    assert (await refresh(intuit, rotated["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("punish", [False, True])
async def test_of_two_refreshes_at_once_one_wins(intuit: Intuit, punish: bool) -> None:
    await intuit.control("PATCH", "/oauth", {"punish_reuse": punish})
    realm, first = await connected(intuit)
    answers = await asyncio.gather(*(_slow_refresh(intuit, first["refresh_token"]) for _ in range(2)))
    good = [a for a in answers if a.status_code == 200]
    if punish:
        assert good == []
        assert (await company_name(intuit, realm, first["access_token"])).status_code == 401
    else:
        assert len(good) == 1
        assert (await company_name(intuit, realm, good[0].json()["access_token"])).status_code == 200


async def _slow_refresh(intuit: Intuit, token: str) -> httpx.Response:
    await asyncio.sleep(0)
    return await refresh(intuit, token)


async def test_a_connection_ends_after_a_hundred_days_of_silence_or_five_years(intuit: Intuit) -> None:
    await intuit.control("PATCH", "/oauth", {"refresh_pause_s": 0})
    _, first = await connected(intuit)
    intuit.clock.advance(102 * DAY)
    assert (await refresh(intuit, first["refresh_token"])).json()["error"] == "invalid_grant"
    _, second = await connected(intuit)
    token, headers = second["refresh_token"], {**basic(), "x-include-refresh-token-hard-expires-in": "true"}
    form = {"grant_type": "refresh_token", "refresh_token": token}
    ends_in = 5 * 365 * DAY
    for _ in range(18):
        answer = await intuit.http.post(
            "/oauth2/v1/tokens/bearer", data={**form, "refresh_token": token}, headers=headers
        )
        token = answer.json()["refresh_token"]
        assert answer.json()["x_refresh_token_hard_expires_in"] == ends_in
        intuit.clock.advance(100 * DAY)
        ends_in -= 100 * DAY
    intuit.clock.advance(26 * DAY)
    assert (await refresh(intuit, token)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_revoking_either_token_ends_both(intuit: Intuit, kind: str) -> None:
    realm, tokens = await connected(intuit)
    answer = await intuit.http.post("/v2/oauth2/tokens/revoke", json={"token": tokens[kind]}, headers=basic())
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await company_name(intuit, realm, tokens["access_token"])).status_code == 401
    assert (await refresh(intuit, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    again = await intuit.http.post("/v2/oauth2/tokens/revoke", json={"token": tokens[kind]}, headers=basic())
    assert again.status_code == 400


async def test_control_can_expire_and_revoke(intuit: Intuit, books: Books) -> None:
    await books.control("POST", "/tokens/expire")
    assert (await books.call("GET", "preferences")).status_code == 401
    tokens = await books.control("POST", "/connect")
    books.token = tokens["access_token"]
    assert (await books.call("GET", "preferences")).status_code == 200
    await books.control("POST", "/tokens/revoke")
    assert (await books.call("GET", "preferences")).status_code == 401
    assert (await refresh(intuit, tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_discovery_names_the_addresses_of_this_sandbox(intuit: Intuit) -> None:
    for name in ("openid_configuration", "openid_sandbox_configuration"):
        found = (await intuit.http.get(f"/.well-known/{name}")).json()
        assert found["token_endpoint"] == "http://sandbox.test/oauth2/v1/tokens/bearer"


async def test_without_accept_json_the_answer_is_xml(books: Books) -> None:
    headers = {"authorization": f"Bearer {books.token}"}
    answer = await books.intuit.http.get(f"/v3/company/{books.realm}/preferences", headers=headers)
    assert answer.headers["content-type"].startswith("application/xml")
    assert answer.text.startswith("<?xml")


async def test_preflight_reads(books: Books) -> None:
    info = await books.get("CompanyInfo", books.realm)
    assert info["Country"] == "US"
    prefs = decode((await books.call("GET", "preferences")).content)["Preferences"]
    assert prefs["CurrencyPrefs"] == {"MultiCurrencyEnabled": False, "HomeCurrency": {"value": "USD"}}
    assert prefs["TaxPrefs"]["PartnerTaxEnabled"] is True
    assert "BookCloseDate" not in prefs["AccountingInfoPrefs"]
    await books.behave(book_close_date="2026-01-31")
    prefs = decode((await books.call("GET", "preferences")).content)["Preferences"]
    assert prefs["AccountingInfoPrefs"]["BookCloseDate"] == "2026-01-31"
    assert SCHEMA_FOLDER.name == "2026-07"
