"""Documents without a number, several at once, and the books read again for the proof."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from core.accounting.port import Posted, PreparedWrite
from core.books.documents import Deposit, DocumentKind, Expense, Refund
from core.errors import ProviderRejectedError, ProviderUnavailableError, StopError
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, PAYEE, REFERENCE, booked, invoice, payment, sold, transfer
from tests.core.accounting.quickbooks.stub import answering, found, opened

IDS = {CUSTOMER.step: "60", PAYEE.step: "56", "item:prod_portrait:79": "23", "invoice": "155"}
OURS = {
    "Id": "402",
    "SyncToken": "0",
    "TxnDate": "2026-11-20",
    "Amount": 250,
    "FromAccountRef": {"value": "91"},
    "ToAccountRef": {"value": "94"},
    "PrivateNote": f"Stripe po_Example | {REFERENCE}",
}


def a_write(document: Any, key: str = "key-1") -> PreparedWrite:
    return opened().prepare(document, key=key, ids=IDS)


def statements(requests: list[httpx.Request]) -> list[str]:
    return [parse_qs(request.url.query.decode())["query"][0] for request in requests]


# -- without a number


async def test_a_transfer_is_found_by_day_and_note_among_alike_ones() -> None:
    alike = {**OURS, "Id": "7", "PrivateNote": "Stripe po_Example"}
    provider, requests = answering(found("Transfer", alike, OURS))
    posted = await provider.look_up(a_write(transfer()))
    assert posted is not None
    assert (posted.external_id, posted.total_minor, posted.party_id) == ("402", 25000, None)
    assert statements(requests) == [
        "select * from Transfer where TxnDate = '2026-11-20' orderby TxnDate startposition 1 maxresults 1000"
    ]


@pytest.mark.parametrize("rows", [[], [{**OURS, "PrivateNote": ""}], [{**OURS, "PrivateNote": "TP-ANOTHER"}]])
async def test_one_that_only_looks_alike_is_never_adopted(rows: list[dict[str, Any]]) -> None:
    provider, _ = answering(found("Transfer", *rows))
    assert await provider.look_up(a_write(transfer())) is None


async def test_ours_stands_there_with_another_amount_is_told_not_judged() -> None:
    provider, _ = answering(found("Transfer", {**OURS, "Amount": 251}))
    posted = await provider.look_up(a_write(transfer()))
    assert posted is not None
    assert posted.total_minor == 25100


async def test_ours_twice_is_for_a_person() -> None:
    provider, _ = answering(found("Transfer", OURS, {**OURS, "Id": "403"}))
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.look_up(a_write(transfer()))
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


async def test_of_two_that_name_our_reference_the_accounts_decide() -> None:
    back = {**OURS, "Id": "403", "FromAccountRef": {"value": "94"}, "ToAccountRef": {"value": "91"}}
    provider, _ = answering(found("Transfer", back, OURS))
    posted = await provider.look_up(a_write(transfer()))
    assert posted is not None
    assert posted.external_id == "402"


async def test_an_expense_belongs_to_its_vendor() -> None:
    row = {"Id": "9", "DocNumber": REFERENCE, "TotalAmt": 7.55, "PrivateNote": REFERENCE}
    provider, _ = answering(found("Purchase", {**row, "EntityRef": {"value": "56", "type": "Vendor"}}))
    posted = await provider.look_up(a_write(booked(Expense)))
    assert posted is not None
    assert (posted.total_minor, posted.party_id, posted.number) == (755, "56", REFERENCE)
    provider, _ = answering(found("Purchase", {**row, "EntityRef": {"value": "57", "type": "Vendor"}}))
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.look_up(a_write(booked(Expense)))
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


@pytest.mark.parametrize(
    ("rows", "is_found", "reason"),
    [
        pytest.param([{"DisplayName": "Stripe"}], True, None, id="there"),
        pytest.param([], False, None, id="not there"),
        pytest.param([{"DisplayName": "Stripe (deleted)", "Active": False}], False, None, id="gave its name up"),
        pytest.param([{"DisplayName": "Stripe", "Active": False}], False, Reason.NAME_TAKEN, id="archived"),
        pytest.param(
            [{"DisplayName": "Stripe", "CurrencyRef": {"value": "EUR"}}], False, Reason.NAME_TAKEN, id="in euros"
        ),
    ],
)
async def test_the_vendor_of_the_name(rows: list[dict[str, Any]], is_found: bool, reason: Reason | None) -> None:
    provider, _ = answering(found("Vendor", *({"Id": "56", **row} for row in rows)))
    write = opened().prepare(PAYEE, key="key-1", ids={})
    if reason is not None:
        with pytest.raises(ProviderRejectedError) as refused:
            await provider.look_up(write)
        assert refused.value.reason is reason
        return
    assert (await provider.look_up(write) is not None) is is_found


# -- several at once


async def test_numbers_are_asked_for_together_and_the_missing_ones_once_more_by_their_notes() -> None:
    writes = [a_write(invoice(reference=f"TO-{n}"), f"key-{n}") for n in range(4)]
    row = {"Id": "1", "TotalAmt": 250, "CustomerRef": {"value": "60"}, "TxnDate": "2026-11-20"}
    numbered = [
        {**row, "Id": "10", "DocNumber": "TO-0", "PrivateNote": "TO-0"},
        {**row, "Id": "11", "DocNumber": "TO-1", "PrivateNote": "cash", "TotalAmt": 9},
    ]
    renumbered = {**row, "Id": "12", "DocNumber": "1042", "PrivateNote": "x | TO-2"}
    provider, requests = answering(found("Invoice", *numbered), found("Invoice", renumbered))
    ends = await provider.look_up_many(writes)
    assert [end.external_id if isinstance(end, Posted) else getattr(end, "reason", None) for end in ends] == [
        "10",
        Reason.NUMBER_TAKEN,
        "12",
        None,
    ]
    assert "where DocNumber in ('TO-0', 'TO-1', 'TO-2', 'TO-3') " in statements(requests)[0]
    assert "where TxnDate = '2026-11-20' orderby" in statements(requests)[1]


async def test_each_kind_costs_one_question_and_the_order_stays() -> None:
    days = [date(2026, 11, 20), date(2026, 11, 3)]
    transfers = [a_write(transfer(reference=f"TP-{n}", date=day), f"key-{n}") for n, day in enumerate(days)]
    paid = a_write(payment(reference="TO-9"), "key-9")
    links = [{"Amount": 250, "LinkedTxn": [{"TxnId": "155", "TxnType": "Invoice"}]}]
    row = {"Id": "5", "PaymentRefNum": "TO-9", "TotalAmt": 250, "CustomerRef": {"value": "60"}, "Line": links}
    provider, requests = answering(
        found("Transfer", {**OURS, "PrivateNote": "TP-1", "TxnDate": "2026-11-03"}), found("Payment", row)
    )
    ends = await provider.look_up_many([transfers[0], paid, transfers[1]])
    assert [end.external_id if isinstance(end, Posted) else end for end in ends] == [None, "5", "402"]
    assert "where TxnDate >= '2026-11-03' and TxnDate <= '2026-11-20' " in statements(requests)[0]
    assert len(requests) == 2
    assert await provider.look_up_many([]) == []


async def test_a_failed_question_is_about_all_of_them() -> None:
    provider, _ = answering(httpx.Response(500))
    with pytest.raises(ProviderUnavailableError):
        await provider.look_up_many([a_write(sold(Refund)), a_write(booked(Deposit), "key-2")])


# -- read back


async def test_what_stands_what_was_voided_and_what_is_gone() -> None:
    rows = [
        {
            "Id": "1",
            "DocNumber": "TO-1",
            "TotalAmt": 250.00,
            "TxnDate": "2026-11-20",
            "CurrencyRef": {"value": "USD"},
            "MetaData": {"LastUpdatedTime": "2026-11-21T01:02:03-08:00"},
        },
        {"Id": "2", "TotalAmt": 0, "PrivateNote": "Voided - x", "MetaData": {"LastUpdatedTime": "soon"}},
        {"Id": "3", "TotalAmt": 1.005, "TxnDate": "someday"},
    ]
    provider, requests = answering(found("Invoice", *rows))
    standing = await provider.read_back(DocumentKind.INVOICE, ["1", "2", "3", "4", "1"])
    first = standing["1"]
    assert (first.stands, first.total_minor, first.number, first.date) == (True, 25000, "TO-1", date(2026, 11, 20))
    assert first.changed_at == datetime(2026, 11, 21, 1, 2, 3, tzinfo=timezone(timedelta(hours=-8)))
    assert first.changed_at.astimezone(UTC).day == 21
    assert (standing["2"].stands, standing["2"].total_minor, standing["2"].changed_at) == (False, 0, None)
    assert (standing["3"].stands, standing["3"].total_minor, standing["3"].date) == (True, None, None)
    assert (standing["4"].stands, standing["4"].total_minor) == (False, None)
    assert "where Id in ('1', '2', '3', '4') " in statements(requests)[0]


async def test_many_are_read_back_with_few_questions() -> None:
    ids = [str(number) for number in range(320)]
    provider, requests = answering(*(found("Transfer") for _ in range(3)))
    assert len(await provider.read_back(DocumentKind.TRANSFER, ids)) == 320
    assert [statement.count("'") for statement in statements(requests)] == [300, 300, 40]
    assert await provider.read_back(DocumentKind.TRANSFER, []) == {}
    assert provider.calls == 3


@pytest.mark.parametrize(("kind", "ids"), [("customer", ["1"]), ("credit_note", ["1"]), ("invoice", ["1' or 'a'='a"])])
async def test_what_is_no_document_of_quickbooks_is_not_asked_for(kind: str, ids: list[str]) -> None:
    provider, requests = answering()
    with pytest.raises(StopError):
        await provider.read_back(DocumentKind(kind), ids)
    assert requests == []


@pytest.mark.parametrize(
    ("row", "balance"),
    [
        ({"CurrentBalance": Decimal("554.65"), "Classification": "Asset"}, 55465),
        ({"CurrentBalance": -426.5, "Classification": "Asset"}, -42650),
        ({"CurrentBalance": 12, "Classification": "Liability"}, -1200),
        ({"CurrentBalance": 12, "Classification": "Equity"}, -1200),
        ({"CurrentBalance": 0, "Classification": "Asset", "Active": False}, 0),
        ({"CurrentBalance": 500, "Classification": "Asset", "CurrencyRef": {"value": "JPY"}}, 500),
    ],
)
async def test_the_balance_of_an_account(row: dict[str, Any], balance: int) -> None:
    row = {key: float(value) if isinstance(value, Decimal) else value for key, value in row.items()}
    provider, _ = answering(found("Account", {"Id": "91", **row}))
    assert await provider.read_balance("91") == balance


@pytest.mark.parametrize("row", [{}, {"CurrentBalance": 1.005}])
async def test_a_balance_that_cannot_be_read_is_asked_for_again(row: dict[str, Any]) -> None:
    provider, _ = answering(found("Account", {"Id": "91", **row}))
    with pytest.raises(ProviderUnavailableError):
        await provider.read_balance("91")


async def test_an_account_that_is_gone_has_no_balance() -> None:
    provider, _ = answering(found("Account"))
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.read_balance("91")
    assert refused.value.reason is Reason.ACCOUNT_INACTIVE
    with pytest.raises(StopError):
        await provider.read_balance("91' or '1")


async def test_sales_are_read_page_by_page_and_an_unreadable_one_is_left_out() -> None:
    sale = {"TxnDate": "2026-11-20", "TotalAmt": 1, "CustomerRef": {"value": "60", "name": "Ana Lima"}}
    first = [{"Id": str(number), **sale} for number in range(1000)]
    second = [{"Id": "999", **sale}, {"Id": "1000", **sale}, {"Id": "1001", **sale, "TotalAmt": 1.005}]
    receipt = {"Id": "2000", **sale, "PaymentRefNum": "ch_1", "PrivateNote": "note", "CustomerMemo": {"value": "memo"}}
    provider, requests = answering(found("Invoice", *first), found("Invoice", *second), found("SalesReceipt", receipt))
    sales = await provider.list_sales(date(2026, 11, 1), date(2026, 11, 20))
    assert len(sales) == 1002
    assert sales[-1].note == "ch_1 | memo | note"
    assert "where TxnDate >= '2026-11-01' and TxnDate <= '2026-11-20' " in statements(requests)[0]
