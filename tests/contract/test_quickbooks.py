"""What only QuickBooks does, against the sandbox's switches."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from core.accounting import registry
from core.accounting.acts import ensure
from core.accounting.port import PreparedWrite
from core.books.documents import Item
from core.errors import (
    AccessExpiredError,
    InputError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.reasons import Reason
from tests.contract.quickbooks_bench import BASE, SETTINGS, QuickBooksBench
from tests.contract.test_contract import client, frozen, receipt, refusal, sale
from tests.core.accounting.documents import CUSTOMER, REFERENCE


async def sent_badly(books: QuickBooksBench, write: PreparedWrite, **rule: Any) -> ProviderError:
    await books.fail(path=write.path, **rule)
    with pytest.raises(ProviderError) as caught:
        await books.provider.execute(write)
    return caught.value


# -- numbers and totals


async def test_a_renumbered_invoice_keeps_its_id_and_is_found_again(quickbooks: QuickBooksBench) -> None:
    await quickbooks.behave(renumber=True)
    write = await frozen(quickbooks, sale(quickbooks))
    posted = await quickbooks.provider.execute(write)
    assert posted.number not in (None, REFERENCE)
    found = await quickbooks.provider.look_up(write)
    assert found is not None
    assert (found.external_id, found.number) == (posted.external_id, posted.number)


async def test_a_number_taken_is_refused_where_the_company_checks_numbers(quickbooks: QuickBooksBench) -> None:
    await quickbooks.behave(custom_txn_numbers=True, warn_duplicate_numbers=True)
    await quickbooks.take_number(REFERENCE)
    refused = await refusal(quickbooks, await frozen(quickbooks, sale(quickbooks)))
    assert (refused.reason, refused.detail) == (Reason.NUMBER_TAKEN, {"reference": REFERENCE})
    assert refused.request_id


async def test_a_tax_engine_that_knows_better_shows_in_the_total(quickbooks: QuickBooksBench) -> None:
    await quickbooks.behave(honour_total_tax=False)
    write = await frozen(quickbooks, sale(quickbooks, (10000, 826)))
    posted = await quickbooks.provider.execute(write)
    assert (write.total_minor, posted.total_minor) == (10826, 10825)
    found = await quickbooks.provider.look_up(write)
    assert found is not None
    assert found.total_minor == 10825


async def test_a_total_changed_by_hand_shows_in_the_look_up(quickbooks: QuickBooksBench) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    posted = await quickbooks.provider.execute(write)
    await quickbooks.ask("POST", f"{quickbooks.root}/documents/invoice/{posted.external_id}/void")
    with pytest.raises(ProviderRejectedError) as refused:
        await quickbooks.provider.look_up(write)
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


async def test_a_deleted_invoice_is_not_there(quickbooks: QuickBooksBench) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    posted = await quickbooks.provider.execute(write)
    await quickbooks.ask("POST", f"{quickbooks.root}/documents/invoice/{posted.external_id}/delete")
    assert await quickbooks.provider.look_up(write) is None


# -- unclear outcomes


@pytest.mark.parametrize("rule", ["drop_after_commit", "truncate"])
async def test_a_broken_answer_is_unknown_and_the_repeat_writes_nothing(quickbooks: QuickBooksBench, rule: str) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    assert isinstance(await sent_badly(quickbooks, write, kind=rule), OutcomeUnknownError)
    found = await quickbooks.provider.look_up(write)
    assert found is not None
    assert (await quickbooks.provider.execute(write)).external_id == found.external_id
    assert await quickbooks.count("invoice") == 1


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "drop_before_commit"},
        {"kind": "html_500"},
        {"kind": "junk"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 504, "after_commit": True},
        {"kind": "status", "status": 400, "code": "6000", "after_commit": True},
    ],
)
async def test_whatever_may_have_been_written_is_unknown(quickbooks: QuickBooksBench, rule: dict[str, Any]) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    assert isinstance(await sent_badly(quickbooks, write, **rule), OutcomeUnknownError)
    found = await quickbooks.provider.look_up(write)
    assert (found is not None) is bool(rule.get("after_commit"))


@pytest.mark.parametrize("replay", ["600", "6000"])
async def test_an_unclear_replay_is_settled_by_the_look_up(quickbooks: QuickBooksBench, replay: str) -> None:
    await quickbooks.behave(replay=replay)
    write = await frozen(quickbooks, sale(quickbooks))
    posted = await quickbooks.provider.execute(write)
    with pytest.raises(OutcomeUnknownError):
        await quickbooks.provider.execute(write)
    found = await quickbooks.provider.look_up(write)
    assert found is not None
    assert found.external_id == posted.external_id


# -- pace, access, company


@pytest.mark.parametrize("as_json", [True, False])
async def test_throttled_in_both_forms(quickbooks: QuickBooksBench, as_json: bool) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    error = await sent_badly(quickbooks, write, kind="rate_limit", code="json" if as_json else None, retry_after="17")
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == 17
    assert (await quickbooks.provider.execute(write)).total_minor == 25000


async def test_an_expired_token_is_told_apart_and_nothing_was_written(quickbooks: QuickBooksBench) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    await quickbooks.ask("POST", f"{quickbooks.root}/tokens/expire", {})
    with pytest.raises(AccessExpiredError):
        await quickbooks.provider.execute(write)
    assert await quickbooks.count("invoice") == 0


async def test_an_ended_subscription(quickbooks: QuickBooksBench) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    await quickbooks.behave(subscription_ended=True)
    assert (await refusal(quickbooks, write)).reason is Reason.SUBSCRIPTION_ENDED


async def test_a_company_that_was_reset(quickbooks: QuickBooksBench) -> None:
    await quickbooks.ask("POST", f"{quickbooks.root}/reset")
    with pytest.raises(ReconnectRequiredError):
        await quickbooks.provider.list_accounts()


async def test_the_switches_of_the_company_are_read(quickbooks: QuickBooksBench) -> None:
    await quickbooks.behave(custom_txn_numbers=True, multicurrency=True, book_close_date="2026-10-31")
    company = await quickbooks.provider.read_company()
    assert (company.external_id, company.name, company.country) == (quickbooks.realm, "Lima Studio", "US")
    assert company.options == {
        "custom_txn_numbers": "true",
        "using_sales_tax": "true",
        "partner_tax": "true",
        "multicurrency": "true",
        "book_close_date": "2026-10-31",
    }


async def test_a_company_with_several_currencies_gets_its_home_currency_named(quickbooks: QuickBooksBench) -> None:
    await quickbooks.behave(multicurrency=True)
    quickbooks.provider = await quickbooks.reopen()
    customer_id = await quickbooks.provider.sync_customer(client(quickbooks))
    posted = await quickbooks.provider.create_invoice(sale(quickbooks), customer_id=customer_id)
    money = await quickbooks.provider.record_payment(
        receipt(quickbooks), customer_id=customer_id, invoice_id=posted.external_id
    )
    assert (posted.total_minor, money.total_minor, money.currency) == (25000, 25000, "USD")


# -- names


async def test_a_vendor_of_the_same_name_leads_to_the_next_name(quickbooks: QuickBooksBench) -> None:
    await quickbooks.ask("POST", f"{quickbooks.root}/documents/vendor", {"DisplayName": "Ana Lima"})
    await quickbooks.provider.sync_customer(client(quickbooks))
    assert "Ana Lima (ana@example.com)" in await quickbooks.names()


async def test_a_changed_mapping_gets_an_item_of_its_own(quickbooks: QuickBooksBench) -> None:
    customer_id = await quickbooks.provider.sync_customer(client(quickbooks))
    await quickbooks.provider.create_invoice(sale(quickbooks), customer_id=customer_id)
    accounts = {account.name: account.external_id for account in await quickbooks.provider.list_accounts()}
    first, quickbooks.income_account = quickbooks.income_account, accounts["Coaching Income"]
    second = sale(quickbooks, reference="TO-000000000001")
    await quickbooks.provider.create_invoice(second, customer_id=customer_id)
    items = await quickbooks.ask("GET", f"{quickbooks.root}/documents/item")
    ours = {i["Name"]: i["IncomeAccountRef"]["value"] for i in items if i["Name"].startswith("Portrait")}
    assert ours == {
        "Portrait session": first,
        f"Portrait session (account {quickbooks.income_account})": quickbooks.income_account,
    }
    assert (await quickbooks.balances())["income"] == -25000


async def test_an_archived_income_account_stops_the_item(quickbooks: QuickBooksBench) -> None:
    await quickbooks.archive_account(quickbooks.income_account)
    (item,) = quickbooks.provider.supporting(sale(quickbooks))
    refused = await refusal(quickbooks, quickbooks.provider.prepare(item, key="key-1", ids={}))
    assert refused.reason is Reason.ACCOUNT_INACTIVE
    assert "Session Income" in str(refused.detail["account"])


async def test_an_archived_item_is_named(quickbooks: QuickBooksBench) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    (item,) = quickbooks.provider.supporting(sale(quickbooks))
    found = await quickbooks.provider.look_up(quickbooks.provider.prepare(item, key="key-1", ids={}))
    assert found is not None
    await quickbooks.ask("POST", f"{quickbooks.root}/documents/item/{found.external_id}/deactivate")
    refused = await refusal(quickbooks, write)
    assert (refused.reason, refused.field) == (Reason.REFUSED, "ItemRef")
    assert "“Portrait session" in refused.text
    # The archived one keeps its history; the next sale gets an item of its own.
    ids = {CUSTOMER.step: str(write.party_id), item.step: await _next_item(quickbooks, item)}
    again = quickbooks.provider.prepare(sale(quickbooks), key="key-invoice-2", ids=ids)
    assert (await quickbooks.provider.execute(again)).total_minor == 25000


async def _next_item(books: QuickBooksBench, item: Item) -> str:
    posted = await ensure(books.provider, item, within=UUID(int=1), source_id=item.service_id, ids={})
    return posted.external_id


async def test_what_a_paid_sale_costs(quickbooks: QuickBooksBench) -> None:
    write = await frozen(quickbooks, sale(quickbooks))
    await quickbooks.ask("DELETE", f"{quickbooks.root}/counters")
    invoice = await quickbooks.provider.execute(write)
    ids = {CUSTOMER.step: str(invoice.party_id), "invoice": invoice.external_id}
    await quickbooks.provider.execute(quickbooks.provider.prepare(receipt(quickbooks), key="key-payment", ids=ids))
    counted = await quickbooks.ask("GET", f"{quickbooks.root}/counters")
    assert (counted["core"], counted["core_plus"]) == (2, 0)


# -- consent


async def test_consent_from_end_to_end(quickbooks: QuickBooksBench) -> None:
    flow = registry.get("quickbooks").oauth(quickbooks.outgoing, SETTINGS)
    callback = await _consented(
        quickbooks, flow.authorize_url(state="s" * 32, redirect_uri=RETURN, code_challenge=None)
    )
    assert callback["state"] == "s" * 32
    tokens = await flow.exchange(code=callback["code"], redirect_uri=RETURN, code_verifier=None)
    assert tokens.expires_in_s == 3600
    assert tokens.refresh_expires_in_s == 8_726_400
    assert tokens.consent_ends_in_s
    (identity,) = await flow.identify(tokens, callback)
    assert (identity.external_id, identity.name, identity.currency) == (quickbooks.realm, "Lima Studio", "USD")
    assert (identity.country, identity.is_test_mode) == ("US", True)
    renewed = await flow.refresh(str(tokens.refresh_token))
    assert renewed.access_token != tokens.access_token
    await flow.revoke(
        access_token=renewed.access_token, refresh_token=renewed.refresh_token, external_id=quickbooks.realm
    )
    with pytest.raises(ReconnectRequiredError):
        await flow.refresh(str(renewed.refresh_token))
    # Ending what has ended is no error.
    await flow.revoke(
        access_token=renewed.access_token, refresh_token=renewed.refresh_token, external_id=quickbooks.realm
    )


@pytest.mark.parametrize("realm", ["", "12/../../x", "12%2f34", "9341453000000009", "x", None])
async def test_a_company_that_the_token_does_not_open_is_not_believed(
    quickbooks: QuickBooksBench, realm: str | None
) -> None:
    flow = registry.get("quickbooks").oauth(quickbooks.outgoing, SETTINGS)
    callback = await _consented(
        quickbooks, flow.authorize_url(state="s" * 32, redirect_uri=RETURN, code_challenge=None)
    )
    tokens = await flow.exchange(code=callback.pop("code"), redirect_uri=RETURN, code_verifier=None)
    tampered = {**callback, "realmId": realm} if realm is not None else {"state": callback["state"]}
    with pytest.raises(InputError):
        await flow.identify(tokens, tampered)


RETURN = "https://tieout.test/connections/quickbooks/callback"


async def _consented(books: QuickBooksBench, url: str) -> dict[str, str]:
    """Press Connect on the consent page, as the person does."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["scope"] == "com.intuit.quickbooks.accounting"
    assert "code_challenge" not in asked
    answer = await books.control.post(
        f"{BASE}/connect/oauth2", data={**asked, "decision": "connect", "realm": books.realm}
    )
    assert answer.status_code in (302, 303), answer.text
    return dict(httpx.URL(answer.headers["location"]).params)
