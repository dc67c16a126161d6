"""What is Xero's own: keys that forget, errors that are remembered, locks, pace, organisations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.accounting.port import PreparedWrite
from core.accounting.xero.oauth import SCOPE
from core.errors import (
    AccessExpiredError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.reasons import Reason
from tests.contract.test_contract import client, frozen, receipt, refusal, sale
from tests.contract.xero_bench import INCOME, XeroBench
from tests.core.accounting.documents import CUSTOMER, REFERENCE
from web.sandbox.faults import FaultKind

FORGETS_AFTER_S = 6 * 60


async def sent_badly(books: XeroBench, write: PreparedWrite, kind: FaultKind, **rule: Any) -> ProviderError:
    books.fail(kind, write.path, **rule)
    with pytest.raises(ProviderError) as caught:
        await books.provider.execute(write)
    return caught.value


async def a_receipt(books: XeroBench, key: str = "key-payment") -> PreparedWrite:
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books), customer_id=customer_id)
    ids = {CUSTOMER.step: customer_id, "invoice": posted.external_id}
    return books.provider.prepare(receipt(books), key=key, ids=ids)


def wire_keys(books: XeroBench) -> list[str]:
    """Idempotency keys of all invoices sent so far."""
    entries = books.log.entries(provider="xero")
    return [e.idempotency_key for e in entries if e.method == "PUT" and "/Invoices" in e.path and e.idempotency_key]


# -- keys


async def test_an_error_is_remembered_under_its_key_and_the_next_sending_gets_through(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.control.break_next(xero.tenant)
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError) as doubt:
            await xero.provider.execute(write)
        assert doubt.value.answered
    assert await xero.provider.look_up(write) is None
    assert (await xero.provider.execute(write, send=2)).total_minor == 25000
    assert await xero.count("invoice") == 1


async def test_an_error_after_the_write_is_found_by_looking(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.control.break_next(xero.tenant, after_elements=1)
    with pytest.raises(OutcomeUnknownError):
        await xero.provider.execute(write)
    found = await xero.provider.look_up(write)
    assert found is not None
    assert found.total_minor == 25000


async def test_when_the_key_is_forgotten_the_number_still_stands_guard(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    posted = await xero.provider.execute(write)
    await xero.control.forget_idempotency()
    refused = await refusal(xero, write)
    assert (refused.reason, refused.detail) == (Reason.NUMBER_TAKEN, {"reference": REFERENCE})
    found = await xero.provider.look_up(write)
    assert found is not None
    assert found.external_id == posted.external_id
    assert await xero.count("invoice") == 1


async def test_when_the_key_is_forgotten_a_payment_is_recognised_not_doubled(xero: XeroBench) -> None:
    write = await a_receipt(xero)
    first = await xero.provider.execute(write)
    await xero.control.forget_idempotency()
    assert (await xero.provider.execute(write)).external_id == first.external_id
    assert (await xero.provider.execute(write, send=2)).external_id == first.external_id
    assert await xero.count("payment") == 1
    assert (await xero.balances())["clearing"] == 25000


async def test_when_the_key_is_forgotten_a_client_is_recognised_not_doubled(xero: XeroBench) -> None:
    write = xero.provider.prepare(client(xero), key="key-customer", ids={})
    first = await xero.provider.execute(write)
    await xero.control.forget_idempotency()
    assert (await xero.provider.execute(write)).external_id == first.external_id
    assert (await xero.names()).count("Ana Lima") == 1


async def test_a_key_used_for_something_else_is_a_doubt(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    other = await frozen(xero, sale(xero, reference="TO-000000000001"))
    await xero.provider.execute(write)
    with pytest.raises(OutcomeUnknownError):
        await xero.provider.execute(replace(other, key=write.key))
    assert await xero.provider.look_up(other) is None
    # The stand-in counts this against us, rightly.
    assert [v["kind"] for v in await xero.control.violations(xero.tenant)] == ["idempotency-key"]
    await xero.http.delete(f"/_control/xero/organisations/{xero.tenant}/violations")


async def test_two_organisations_never_share_a_key(xero: XeroBench) -> None:
    await xero.provider.execute(await frozen(xero, sale(xero)))
    (first,) = wire_keys(xero)
    assert first.startswith(xero.tenant)
    assert len(first) <= 128


# -- unclear outcomes


@pytest.mark.parametrize(
    ("kind", "rule", "is_there"),
    [
        (FaultKind.DROP_AFTER_COMMIT, {}, True),
        (FaultKind.TRUNCATE, {}, True),
        (FaultKind.DROP_BEFORE_COMMIT, {}, False),
        (FaultKind.HTML_500, {}, False),
        (FaultKind.JUNK, {}, False),
        (FaultKind.JUNK, {"after_commit": True}, True),
        (FaultKind.STATUS, {"status": 500}, False),
        (FaultKind.STATUS, {"status": 503, "after_commit": True}, True),
    ],
)
async def test_whatever_may_have_been_written_is_unknown(
    xero: XeroBench, kind: FaultKind, rule: dict[str, Any], is_there: bool
) -> None:
    write = await frozen(xero, sale(xero))
    assert isinstance(await sent_badly(xero, write, kind, **rule), OutcomeUnknownError)
    assert (await xero.provider.look_up(write) is not None) is is_there


# -- what people do in the books


async def test_a_voided_sale_is_never_made_again(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    posted = await xero.provider.execute(write)
    await xero.control.act(xero.tenant, "Invoice", posted.external_id, "void")
    with pytest.raises(ProviderRejectedError) as refused:
        await xero.provider.look_up(write)
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


async def test_a_deleted_payment_is_not_there_and_can_be_made_again(xero: XeroBench) -> None:
    write = await a_receipt(xero)
    posted = await xero.provider.execute(write)
    await xero.control.act(xero.tenant, "Payment", posted.external_id, "delete")
    assert await xero.provider.look_up(write) is None
    again = await xero.provider.execute(write, send=2)
    assert again.external_id != posted.external_id
    assert (await xero.balances())["clearing"] == 25000


async def test_a_sale_that_somebody_paid_by_hand_is_not_paid_again(xero: XeroBench) -> None:
    write = await a_receipt(xero)
    (invoice,) = await xero.control.records(xero.tenant, "Invoice")
    body = {
        "Invoice": {"InvoiceID": invoice["InvoiceID"]},
        "Account": {"AccountID": xero.clearing_account},
        "Date": "2026-11-20",
        "Amount": 250,
    }
    await xero.control.create_record(xero.tenant, "Payment", body)
    assert (await refusal(xero, write)).reason is Reason.CHANGED_IN_BOOKS
    assert await xero.count("payment") == 1


async def test_a_renamed_client_keeps_its_sales(xero: XeroBench) -> None:
    first = await xero.provider.sync_customer(client(xero))
    await xero.control.edit_record(xero.tenant, "Contact", first, {"Name": "Ana Lima-Ortiz"})
    assert await xero.provider.sync_customer(client(xero)) == first
    assert "Ana Lima" not in await xero.names()


async def test_a_sale_never_changes_the_client(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    person = {"FirstName": "Bo", "LastName": "Lima", "EmailAddress": "bo@example.com", "IncludeInEmails": False}
    await xero.control.edit_record(xero.tenant, "Contact", str(write.party_id), {"ContactPersons": [person]})
    await xero.provider.execute(write)
    (contact,) = [c for c in await xero.control.records(xero.tenant, "Contact") if c["Name"] == "Ana Lima"]
    assert contact["ContactPersons"] == [person]


# -- refusals


async def test_an_archived_income_account_is_named(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.archive_account(xero.income_account)
    refused = await refusal(xero, write)
    assert (refused.reason, refused.detail) == (Reason.ACCOUNT_INACTIVE, {"account": INCOME})
    assert refused.request_id


async def test_a_code_that_moved_to_another_account_books_to_the_one_that_was_chosen(xero: XeroBench) -> None:
    accounts = {account.name: account.external_id for account in await xero.provider.list_accounts()}
    await xero.control.edit_record(xero.tenant, "Account", accounts[INCOME], {"Code": "299"})
    await xero.control.edit_record(xero.tenant, "Account", accounts["Coaching Packages"], {"Code": "200"})
    await xero.provider.execute(await frozen(xero, sale(xero)))
    assert (await xero.balances())["income"] == -25000


async def test_a_tax_rate_that_is_gone(british_xero: XeroBench) -> None:
    books = british_xero
    write = await frozen(books, sale(books, (10000, 2000)))
    (rate,) = [r for r in await books.control.records(books.tenant, "TaxRate") if r["TaxType"] == "OUTPUT2"]
    await books.control.edit_record(books.tenant, "TaxRate", rate["TaxType"], {"Status": "DELETED"})
    refused = await refusal(books, write)
    assert refused.reason is Reason.TAX_CODE_MISFIT
    assert refused.detail["charged"] == "120.00 GBP"


async def test_the_later_of_two_locks_holds(xero: XeroBench) -> None:
    await xero.behave(period_lock_date="2026-06-30", end_of_year_lock_date="2026-11-20")
    xero.provider = await xero.reopen()
    with pytest.raises(ProviderRejectedError) as refused:
        await frozen(xero, sale(xero))
    assert refused.value.detail == {"date": "2026-11-20", "closed_to": "2026-11-20"}


async def test_a_small_plan_takes_no_more(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.behave(approvals_left=0)
    refused = await refusal(xero, write)
    assert refused.reason is Reason.SUBSCRIPTION_ENDED
    assert "limit of invoices" in refused.text


async def test_a_large_organisation_is_asked_efficiently(xero: XeroBench) -> None:
    await xero.behave(large=True)
    posted = await xero.provider.sync_customer(client(xero))
    write = await frozen(xero, sale(xero))
    invoice = await xero.provider.execute(write)
    assert await xero.provider.look_up(write) is not None
    ids = {CUSTOMER.step: posted, "invoice": invoice.external_id}
    money = xero.provider.prepare(receipt(xero), key="key-payment", ids=ids)
    await xero.provider.execute(money)
    assert await xero.provider.look_up(money) is not None


# -- taxes


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (((3333, 666), (1000, 0)), {"clearing": 0, "income": -4333, "tax": -666, "receivable": 4999}),
        (((3333, 667),), {"clearing": 0, "income": -3333, "tax": -667, "receivable": 4000}),
        (((10000, 2000), (-1001, -200)), {"clearing": 0, "income": -8999, "tax": -1800, "receivable": 10799}),
        (((1, 0), (1, 0), (1, 0)), {"clearing": 0, "income": -3, "tax": 0, "receivable": 3}),
    ],
)
async def test_stripes_cent_of_tax_is_kept(
    british_xero: XeroBench, parts: tuple[tuple[int, int], ...], expected: Mapping[str, int]
) -> None:
    books = british_xero
    posted = await books.provider.execute(await frozen(books, sale(books, *parts)))
    assert posted.total_minor == expected["receivable"]
    assert await books.balances() == expected


async def test_without_tax_the_account_decides_nothing(british_xero: XeroBench) -> None:
    """The income account's own type is 20 %; a sale that has nothing to do with tax must not be cut by it."""
    books = british_xero
    document = sale(books)
    plain = replace(
        document, lines=tuple(replace(line, tax_code_id=None, tax_rate_ppm=None) for line in document.lines)
    )
    await books.provider.execute(await frozen(books, plain))
    assert await books.balances() == {"clearing": 0, "income": -25000, "tax": 0, "receivable": 25000}


# -- pace and access


@pytest.mark.parametrize(
    ("limit", "word"),
    [({"minute_limit": 0}, "minute"), ({"day_limit": 0}, "day"), ({"concurrent_limit": 0}, "concurrent")],
)
async def test_every_kind_of_limit(xero: XeroBench, limit: dict[str, int], word: str) -> None:
    write = await frozen(xero, sale(xero))
    await xero.behave(throttle=True, **limit)
    with pytest.raises(RateLimitedError) as limited:
        await xero.provider.execute(write)
    assert word in limited.value.text
    assert limited.value.retry_after_s
    await xero.behave(throttle=False)
    # Neither run nor remembered: the same sending gets through.
    assert (await xero.provider.execute(write)).total_minor == 25000


async def test_an_expired_token_is_told_apart_and_nothing_was_written(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.control.expire_tokens()
    with pytest.raises(AccessExpiredError):
        await xero.provider.execute(write)
    assert await xero.count("invoice") == 0


async def test_disconnected_within_xero(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.control.disconnect(xero.tenant)
    with pytest.raises(ReconnectRequiredError):
        await xero.provider.execute(write)
    with pytest.raises(ReconnectRequiredError):
        await xero.provider.list_accounts()


async def test_a_missing_scope_needs_a_new_consent(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    xero.tokens = await xero.control.connect(
        xero.tenant, scope="offline_access accounting.contacts accounting.settings"
    )
    xero.provider = await xero.reopen()
    with pytest.raises(ReconnectRequiredError):
        await xero.provider.execute(write)


async def test_without_the_right_to_reports_only_the_balance_is_missing(xero: XeroBench) -> None:
    without = SCOPE.replace(" accounting.reports.trialbalance.read", "")
    assert without != SCOPE
    xero.tokens = await xero.control.connect(xero.tenant, scope=without)
    xero.provider = await xero.reopen()
    with pytest.raises(ProviderRejectedError) as refused:
        await xero.provider.read_balance(xero.clearing_account)
    assert refused.value.reason is Reason.NO_RIGHTS
    assert (await xero.provider.execute(await frozen(xero, sale(xero)))).total_minor == 25000


# -- what it costs


async def test_what_a_paid_sale_costs(xero: XeroBench) -> None:
    write = await frozen(xero, sale(xero))
    await xero.control.clear_counters(xero.tenant)
    invoice = await xero.provider.execute(write)
    ids = {CUSTOMER.step: str(invoice.party_id), "invoice": invoice.external_id}
    await xero.provider.execute(xero.provider.prepare(receipt(xero), key="key-payment", ids=ids))
    counted = await xero.control.counters(xero.tenant)
    assert (counted["calls"], counted["elements"]) == (2, 2)


async def test_a_minute_of_the_adapters_own_pace_meets_no_limit(xero: XeroBench) -> None:
    await xero.behave(throttle=True)
    pace = 1 / xero.provider.limits.calls_per_second
    for _ in range(130):
        await xero.provider.read_company()
        xero.clock.advance(seconds=pace)
    assert (await xero.control.counters(xero.tenant)).get("throttled", 0) == 0


@pytest.mark.parametrize("started", [0, 17, 59])
async def test_bursts_as_large_as_the_adapter_allows_meet_no_limit(xero: XeroBench, started: int) -> None:
    """A run of calls at once whenever the pace has saved one up, whichever moment Xero counts its minute from."""
    await xero.behave(throttle=True)
    await xero.provider.read_company()
    xero.clock.advance(seconds=started)
    limits = xero.provider.limits
    for _ in range(4):
        for _ in range(limits.burst):
            await xero.provider.read_company()
        for _ in range(50):
            xero.clock.advance(seconds=1 / limits.calls_per_second)
            await xero.provider.read_company()
        xero.clock.advance(seconds=limits.burst / limits.calls_per_second)
    assert (await xero.control.counters(xero.tenant)).get("throttled", 0) == 0
