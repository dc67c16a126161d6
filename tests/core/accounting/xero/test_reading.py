"""Organisation, accounts, tax rates."""

from typing import Any

import httpx
import msgspec
import pytest

from core.accounting.port import AccountType
from core.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError, StopError
from core.reasons import Reason
from tests.core.accounting.xero.stub import CLEARING, INCOME, TENANT, answering, exception, found, opened, organisation


async def test_an_organisation() -> None:
    row = {
        "Name": "Ana Ruiz Photo",
        "BaseCurrency": "aud",
        "CountryCode": "AU",
        "Version": "AU",
        "IsDemoCompany": True,
        "ShortCode": "!x1",
        "PeriodLockDate": "/Date(1762041600000+0000)/",
        "EndOfYearLockDate": "/Date(1751241600000+0000)/",
    }
    provider, requests = answering(found("Organisations", row))
    company = await provider.read_company()
    assert (company.external_id, company.name, company.country, company.home_currency) == (
        TENANT,
        "Ana Ruiz Photo",
        "AU",
        "AUD",
    )
    assert company.options == {
        "version": "AU",
        "book_close_date": "2025-11-02",
        "short_code": "!x1",
        "is_demo": "true",
    }
    assert requests[0].headers["accept"] == "application/json"


@pytest.mark.parametrize("answer", [found("Organisations"), httpx.Response(200, content=b"<xml/>")])
async def test_an_organisation_that_cannot_be_read(answer: httpx.Response) -> None:
    provider, _ = answering(answer)
    with pytest.raises(ProviderUnavailableError):
        await provider.read_company()


def account(**fields: Any) -> dict[str, Any]:
    return {"AccountID": INCOME, "Name": "Sales", "Status": "ACTIVE", "Type": "REVENUE", "Class": "REVENUE", **fields}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"Code": "200"}, AccountType.INCOME),
        ({"Type": "BANK", "Class": "ASSET", "BankAccountType": "PAYPAL"}, AccountType.BANK),
        ({"Type": "BANK", "Class": "ASSET", "BankAccountType": "CREDITCARD"}, AccountType.CREDIT_CARD),
        ({"Type": "CURRENT", "Class": "ASSET", "SystemAccount": "DEBTORS"}, AccountType.RECEIVABLE),
        ({"Type": "CURRLIAB", "Class": "LIABILITY", "SystemAccount": "GST"}, AccountType.CURRENT_LIABILITY),
        ({"Type": "EXPENSE", "Class": "EXPENSE", "SystemAccount": "ROUNDING"}, None),
        ({"Type": "WAGESEXPENSE", "Class": "EXPENSE"}, AccountType.OTHER_EXPENSE),
        ({"Type": "NEWTYPE", "Class": ""}, None),
        ({"Status": "DELETED"}, None),
    ],
)
async def test_account_types(fields: dict[str, Any], kind: AccountType | None) -> None:
    provider, _ = answering(found("Accounts", account(**fields)))
    assert [row.type for row in await provider.list_accounts()] == ([kind] if kind else [])


async def test_a_bank_account_without_a_code() -> None:
    provider, _ = answering(found("Accounts", account(Type="BANK", Class="ASSET", CurrencyCode="GBP")))
    (row,) = await provider.list_accounts()
    assert (row.number, row.currency, row.active) == (None, "GBP", True)


async def test_tax_rates_that_a_sale_or_a_purchase_may_carry() -> None:
    rows = [
        {"Name": "20% (VAT on Income)", "TaxType": "OUTPUT2", "Status": "ACTIVE", "EffectiveRate": 20.0},
        {"Name": "City", "TaxType": "TAX001", "Status": "ACTIVE", "EffectiveRate": 8.2500},
        {"Name": "Odd", "TaxType": "TAX002", "Status": "ACTIVE", "EffectiveRate": 8.25005},
        {"Name": "Old", "TaxType": "TAX003", "Status": "ARCHIVED", "EffectiveRate": 5},
        {"Name": "Purchases", "TaxType": "INPUT2", "Status": "ACTIVE", "EffectiveRate": 20},
        {"Name": "Gone", "TaxType": "TAX004", "Status": "DELETED", "EffectiveRate": 5},
    ]
    rows = [
        {**row, "CanApplyToRevenue": row["TaxType"] != "INPUT2", "CanApplyToExpenses": row["TaxType"] != "OUTPUT2"}
        for row in rows
    ]
    rows.append({"Name": "Assets", "TaxType": "CAPEX", "Status": "ACTIVE", "EffectiveRate": 20})
    provider, _ = answering(found("TaxRates", *rows))
    found_codes = await provider.list_tax_codes()
    assert {code.external_id: (code.rate_ppm, code.active) for code in found_codes} == {
        "OUTPUT2": (200_000, True),
        "TAX001": (82_500, True),
        "TAX002": (None, True),
        "TAX003": (50_000, False),
        "INPUT2": (200_000, True),
    }
    assert [code.external_id for code in found_codes if not code.on_sales] == ["INPUT2"]
    assert [code.external_id for code in found_codes if not code.on_purchases] == ["OUTPUT2"]


async def test_a_new_bank_account_gets_a_free_code_and_a_number() -> None:
    made = account(AccountID=CLEARING, Name="Stripe clearing", Type="BANK", Class="ASSET", Code="092")
    provider, requests = answering(found("Accounts", account(Code="091")), found("Accounts", made))
    created = await provider.create_account("Stripe  clearing", AccountType.BANK, key="k")
    assert (created.external_id, created.type) == (CLEARING, AccountType.BANK)
    sent = msgspec.json.decode(requests[1].content)
    assert (sent["Code"], sent["Name"], sent["Type"]) == ("092", "Stripe clearing", "BANK")
    assert len(sent["BankAccountNumber"]) == 14
    assert requests[1].headers["idempotency-key"] == f"{TENANT}.k.092.1"
    assert str(requests[1].url) == "https://xero.test/api.xro/2.0/Accounts"


async def test_an_account_that_xero_refuses() -> None:
    provider, _ = answering(found("Accounts"), exception("Please enter a unique Name."))
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.create_account("Fees", AccountType.EXPENSE, key="k")
    assert (refused.value.reason, refused.value.text) == (Reason.REFUSED, "Please enter a unique Name.")


async def test_kinds_of_accounts_that_are_never_made() -> None:
    provider, _ = answering(found("Accounts"))
    with pytest.raises(StopError):
        await provider.create_account("Debtors", AccountType.RECEIVABLE, key="k")


@pytest.mark.parametrize("tenant", ["", "1", "../x", "00000000-0000-0000-0000-000000000000"])
def test_an_organisation_that_is_none_is_never_called(tenant: str) -> None:
    with pytest.raises(ConfigurationError):
        opened(company=organisation(external_id=tenant))
