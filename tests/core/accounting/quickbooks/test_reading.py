"""Reading a company: long lists, odd rows, and a consent flow that asks for what Intuit wants."""

import base64
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from core.accounting import registry
from core.accounting.port import AccountType
from core.accounting.settings import ProviderSettings
from core.errors import ProviderUnavailableError, ReconnectRequiredError, StopError
from tests.core.accounting.documents import company
from tests.core.accounting.quickbooks.stub import SETTINGS, answering, found, opened, outgoing


def account(number: int, **changes: Any) -> dict[str, Any]:
    return {"Id": str(number), "Name": f"Account {number:05}", "AccountType": "Income", **changes}


async def test_a_long_chart_is_read_page_by_page_and_a_moving_window_doubles_nothing() -> None:
    first = [account(number) for number in range(1000)]
    second = [account(number) for number in range(999, 1005)]
    provider, requests = answering(found("Account", *first), found("Account", *second))
    accounts = await provider.list_accounts()
    assert len(accounts) == 1005
    assert "startposition+1001" in str(requests[1].url) or "startposition%201001" in str(requests[1].url)


async def test_account_types_in_the_ports_words() -> None:
    rows = [
        account(1, Name="Checking", FullyQualifiedName="Assets:Checking", AccountType="Bank", AcctNum="1000"),
        account(2, AccountType="Cost of Goods Sold"),
        account(3, AccountType="Long Term Liability", Active=False, CurrencyRef={"value": "USD"}),
        account(4, AccountType="Non-Posting"),
    ]
    provider, _ = answering(found("Account", *rows))
    accounts = {a.external_id: a for a in await provider.list_accounts()}
    assert {i: a.type for i, a in accounts.items()} == {
        "1": AccountType.BANK,
        "2": AccountType.EXPENSE,
        "3": AccountType.OTHER_LIABILITY,
    }
    assert (accounts["1"].name, accounts["1"].number) == ("Assets:Checking", "1000")
    assert (accounts["3"].active, accounts["3"].currency) == (False, "USD")


async def test_rates_are_exact_and_compound_codes_are_left_to_the_books() -> None:
    def code(number: int, *rates: tuple[str, int]) -> dict[str, Any]:
        details = [{"TaxRateRef": {"value": rate}, "TaxOnTaxOrder": order} for rate, order in rates]
        return {"Id": str(number), "Name": f"Code {number}", "SalesTaxRateList": {"TaxRateDetail": details}}

    codes = [
        code(1, ("10", 0)),
        code(2, ("10", 0), ("11", 0)),
        code(3, ("10", 0), ("11", 1)),
        code(4, ("99", 0)),
        {"Id": "5", "Name": "Purchases only", "SalesTaxRateList": {"TaxRateDetail": []}},
    ]
    rates = [{"Id": "10", "RateValue": Decimal("8.25")}, {"Id": "11", "RateValue": 5}]
    provider, _ = answering(
        found("TaxCode", *codes),
        httpx.Response(200, content=_json({"QueryResponse": {"TaxRate": rates}})),
        company=company(country="CA", home_currency="CAD"),
    )
    read = {code.external_id: (code.rate_ppm, code.rate_external_id) for code in await provider.list_tax_codes()}
    assert read == {"1": (82_500, "10"), "2": (132_500, None), "3": (None, None), "4": (None, "99")}


def _json(value: Any) -> bytes:
    return msgspec.json.Encoder(decimal_format="number").encode(value)


async def test_without_sales_tax_there_is_no_code_to_choose() -> None:
    assert await opened(company=company(using_sales_tax="false")).list_tax_codes() == []


async def test_a_company_without_a_home_currency_is_not_guessed() -> None:
    provider, _ = answering(
        httpx.Response(200, json={"CompanyInfo": {"CompanyName": "Lima Studio", "Country": "UK"}}),
        httpx.Response(200, json={"Preferences": {}}),
    )
    with pytest.raises(ProviderUnavailableError):
        await provider.read_company()


async def test_only_kinds_of_accounts_that_we_need_are_created() -> None:
    with pytest.raises(StopError):
        await opened().create_account("Receivable 2", AccountType.RECEIVABLE, key="key-1")


async def test_the_token_call_is_what_intuit_asks_for() -> None:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(400, json={"error": "invalid_grant", "error_description": "<script>"})

    flow = registry.get("quickbooks").oauth(outgoing(handle), SETTINGS)
    with pytest.raises(ReconnectRequiredError) as caught:
        await flow.refresh("old-refresh-token")
    (request,) = requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
    assert request.headers["x-include-refresh-token-hard-expires-in"] == "true"
    assert sorted(request.content.decode().split("&")) == [
        "grant_type=refresh_token",
        "refresh_token=old-refresh-token",
    ]
    assert "<script>" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 401, 302])
async def test_a_revocation_that_was_not_accepted_can_be_tried_again(status: int) -> None:
    flow = registry.get("quickbooks").oauth(outgoing(lambda request: httpx.Response(status)), SETTINGS)
    with pytest.raises(Exception, match="revocation") as caught:
        await flow.revoke(access_token="a", refresh_token="r", external_id="1")
    assert getattr(caught.value, "permanent", True) is False


def test_settings_never_show_the_secret() -> None:
    assert "secret" not in repr(ProviderSettings(api_base="https://x.test", client_secret="secret"))
