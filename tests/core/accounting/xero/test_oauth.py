"""Consent at Xero against answers that no honest stand-in gives."""

import base64
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest

from core.accounting.xero.connect import oauth_flow
from core.errors import (
    InputError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.oauth import CHOSEN, OAuthFlow, TokenSet
from tests.core.accounting.xero.stub import NO_ID, SETTINGS, TENANT, found, outgoing, problem

EVENT = "5e0c1b2a-000a-4000-8000-00000000000a"
CONNECTION = "5e0c1b2a-000b-4000-8000-00000000000b"
OTHER = "5e0c1b2a-000c-4000-8000-00000000000c"
ORGANISATION = {"Name": "Ana Ruiz Photo", "BaseCurrency": "GBP", "CountryCode": "GB", "Version": "UK"}


def answering(*answers: httpx.Response) -> tuple[OAuthFlow, list[httpx.Request]]:
    waiting, requests = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return waiting.pop(0)

    return oauth_flow(outgoing(handle), SETTINGS), requests


def jwt(claims: Any) -> str:
    part = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
    return f"e30.{part}.c2ln"


def tokens(access: str = "") -> TokenSet:
    return TokenSet(access or jwt({"authentication_event_id": EVENT}), "refresh", 1800, None, None, {})


def row(tenant: str = TENANT, kind: str = "ORGANISATION", **changes: Any) -> dict[str, Any]:
    return {"id": CONNECTION, "tenantId": tenant, "tenantType": kind, "tenantName": "Ana Ruiz Photo", **changes}


def listed(*rows: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=list(rows))


def granted(**changes: Any) -> httpx.Response:
    body = {"access_token": "new", "refresh_token": "next", "expires_in": 1800, "token_type": "Bearer", **changes}
    return httpx.Response(200, json={name: value for name, value in body.items() if value is not None})


# -- tokens


async def test_the_code_is_exchanged_with_the_secret_and_the_verifier() -> None:
    flow, requests = answering(granted())
    answer = await flow.exchange(code="c", redirect_uri="https://tieout.test/connect/xero/callback", code_verifier="v")
    assert (answer.access_token, answer.refresh_token, answer.expires_in_s) == ("new", "next", 1800)
    sent = {name: values[0] for name, values in parse_qs(requests[0].content.decode()).items()}
    assert sent == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": "https://tieout.test/connect/xero/callback",
        "code_verifier": "v",
    }
    assert requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (granted(refresh_token=None), OutcomeUnknownError),
        (granted(expires_in="1800"), OutcomeUnknownError),
        (httpx.Response(200, text="<html>"), OutcomeUnknownError),
        (httpx.Response(400, json={"error": "invalid_grant"}), ReconnectRequiredError),
        (httpx.Response(401, json={"error": "invalid_client"}), ProviderUnavailableError),
        (httpx.Response(429), RateLimitedError),
        (httpx.Response(503), ProviderUnavailableError),
    ],
)
async def test_a_junk_refresh_is_no_token(answer: httpx.Response, error: type[Exception]) -> None:
    flow, _ = answering(answer)
    with pytest.raises(error):
        await flow.refresh("refresh")


# -- who was connected


async def test_the_consent_of_this_token_is_asked_for() -> None:
    flow, requests = answering(listed(row()), found("Organisations", ORGANISATION))
    (identity,) = await flow.identify(tokens(), {})
    assert (identity.external_id, identity.country, identity.currency) == (TENANT, "GB", "GBP")
    assert identity.options["connection_id"] == CONNECTION
    assert requests[0].url.params["authEventId"] == EVENT
    assert "xero-tenant-id" not in requests[0].headers
    assert requests[1].headers["xero-tenant-id"] == TENANT


async def test_an_empty_list_means_an_organisation_that_was_connected_before() -> None:
    flow, requests = answering(listed(), listed(row()), found("Organisations", ORGANISATION))
    (identity,) = await flow.identify(tokens(), {})
    assert identity.external_id == TENANT
    assert "authEventId" not in requests[1].url.params


@pytest.mark.parametrize("access", ["opaque", "a.b.c", jwt([]), jwt({}), jwt({"authentication_event_id": "../x"})])
async def test_a_token_that_does_not_say_gets_the_whole_list(access: str) -> None:
    flow, requests = answering(listed(row()), found("Organisations", ORGANISATION))
    await flow.identify(tokens(access), {})
    assert str(requests[0].url) == "https://xero.test/connections"


async def test_of_several_only_the_names_are_known() -> None:
    flow, requests = answering(listed(row(), row(OTHER, tenantName=None)))
    found_here = await flow.identify(tokens(), {})
    assert [(one.external_id, one.name) for one in found_here] == [
        (TENANT, "Ana Ruiz Photo"),
        (OTHER, "Organisation without a name"),
    ]
    assert len(requests) == 1


async def test_the_chosen_one_is_confirmed() -> None:
    flow, _ = answering(listed(row(OTHER), row()), found("Organisations", ORGANISATION))
    (identity,) = await flow.identify(tokens(), {CHOSEN: TENANT})
    assert identity.external_id == TENANT
    flow, _ = answering(listed(row(OTHER), row()))
    with pytest.raises(InputError):
        await flow.identify(tokens(), {CHOSEN: EVENT})


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(kind="PRACTICE")],
        [row(tenant="../x")],
        [row(tenant=NO_ID)],
        [row(id="x")],
    ],
)
async def test_what_is_no_organisation_is_not_connected(rows: list[dict[str, Any]]) -> None:
    flow, _ = answering(listed(), listed(*rows))
    with pytest.raises(InputError):
        await flow.identify(tokens(), {})


@pytest.mark.parametrize("answer", [problem(403, "AuthenticationUnsuccessful"), problem(401, "TokenExpired")])
async def test_a_token_that_opens_nothing(answer: httpx.Response) -> None:
    flow, _ = answering(listed(row()), answer)
    with pytest.raises(InputError):
        await flow.identify(tokens(), {})


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), listed({"id": 7}), httpx.Response(503)])
async def test_an_unreadable_list_is_no_verdict(answer: httpx.Response) -> None:
    flow, _ = answering(answer)
    with pytest.raises(ProviderUnavailableError):
        await flow.identify(tokens(), {})


async def test_a_demo_company_says_so_even_at_xero_itself() -> None:
    flow, _ = answering(listed(row()), found("Organisations", {**ORGANISATION, "IsDemoCompany": True}))
    (identity,) = await flow.identify(tokens(), {})
    assert identity.is_test_mode


# -- the end


async def end(flow: OAuthFlow, **options: str) -> None:
    await flow.revoke(access_token="access", refresh_token="refresh", external_id=TENANT, options=options)


async def test_one_connection_is_deleted_by_its_own_id() -> None:
    flow, requests = answering(httpx.Response(204))
    await end(flow, connection_id=CONNECTION)
    assert [(r.method, r.url.path) for r in requests] == [("DELETE", f"/connections/{CONNECTION}")]


async def test_a_connection_whose_id_was_not_kept_is_looked_for() -> None:
    flow, requests = answering(listed(row(OTHER), row()), httpx.Response(204))
    await end(flow)
    assert requests[1].url.path == f"/connections/{CONNECTION}"
    flow, requests = answering(listed())
    await end(flow)
    assert len(requests) == 1


async def test_a_refused_token_is_renewed_once() -> None:
    flow, requests = answering(problem(401, "TokenExpired"), granted(), httpx.Response(404))
    await end(flow, connection_id=CONNECTION)
    assert requests[2].headers["authorization"] == "Bearer new"
    assert all("revocation" not in r.url.path for r in requests)


async def test_an_end_that_is_not_confirmed_is_told() -> None:
    flow, _ = answering(httpx.Response(503))
    with pytest.raises(ProviderUnavailableError):
        await end(flow, connection_id=CONNECTION)
    flow, _ = answering()
    with pytest.raises(InputError):
        await end(flow, connection_id="../organisations")
