"""Finding again what may have been written, and telling ours from others'."""

from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks.queries import literal, select
from core.errors import ConfigurationError, ProviderRejectedError
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, REFERENCE, company, invoice, payment
from tests.core.accounting.quickbooks.stub import answering, found, opened

IDS = {CUSTOMER.step: "60", "item:prod_portrait:79": "23", "invoice": "155"}
OURS = {
    "Id": "145",
    "SyncToken": "0",
    "DocNumber": REFERENCE,
    "TxnDate": "2026-11-20",
    "TotalAmt": 250.00,
    "CustomerRef": {"value": "60"},
    "PrivateNote": f"Stripe pi_Example | {REFERENCE}",
}
PAID = {
    "Id": "146",
    "PaymentRefNum": REFERENCE,
    "TotalAmt": 250.00,
    "UnappliedAmt": 0,
    "CustomerRef": {"value": "60"},
    "Line": [{"Amount": 250.00, "LinkedTxn": [{"TxnId": "155", "TxnType": "Invoice"}]}],
}


def a_write(document: Any) -> PreparedWrite:
    return opened().prepare(document, key="key-1", ids=IDS)


def statements(requests: list[httpx.Request]) -> list[str]:
    return [parse_qs(request.url.query.decode())["query"][0] for request in requests]


async def test_our_invoice_is_adopted_by_its_number() -> None:
    provider, requests = answering(found("Invoice", OURS))
    posted = await provider.look_up(a_write(invoice()))
    assert posted is not None
    assert (posted.external_id, posted.number, posted.total_minor, posted.party_id) == ("145", REFERENCE, 25000, "60")
    assert statements(requests) == [
        f"select * from Invoice where DocNumber = '{REFERENCE}' orderby TxnDate startposition 1 maxresults 1000"
    ]


async def test_an_invoice_that_quickbooks_numbered_itself_is_found_by_day_customer_and_note() -> None:
    strangers = {**OURS, "Id": "1", "PrivateNote": "cash"}
    provider, requests = answering(found("Invoice"), found("Invoice", strangers, {**OURS, "DocNumber": "1042"}))
    posted = await provider.look_up(a_write(invoice()))
    assert posted is not None
    assert (posted.external_id, posted.number) == ("145", "1042")
    assert "where TxnDate = '2026-11-20' and CustomerRef = '60' " in statements(requests)[1]


async def test_an_invoice_that_is_nowhere_is_not_there() -> None:
    provider, _ = answering(found("Invoice"), found("Invoice"))
    assert await provider.look_up(a_write(invoice())) is None


async def test_a_total_that_differs_is_told_not_judged() -> None:
    provider, _ = answering(found("Invoice", {**OURS, "TotalAmt": 250.01}))
    posted = await provider.look_up(a_write(invoice()))
    assert posted is not None
    assert posted.total_minor == 25001


async def test_a_cleared_note_still_counts_when_customer_and_total_agree() -> None:
    provider, _ = answering(found("Invoice", {**OURS, "PrivateNote": ""}))
    assert await provider.look_up(a_write(invoice())) is not None


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([{**OURS, "PrivateNote": "", "TotalAmt": 9}], Reason.NUMBER_TAKEN, id="foreign, other total"),
        pytest.param([{**OURS, "PrivateNote": "", "CustomerRef": {"value": "61"}}], Reason.NUMBER_TAKEN, id="foreign"),
        pytest.param([{**OURS, "CustomerRef": {"value": "61"}}], Reason.CHANGED_IN_BOOKS, id="given to another"),
        pytest.param([OURS, {**OURS, "Id": "9"}], Reason.CHANGED_IN_BOOKS, id="twice"),
        pytest.param(
            [{**OURS, "TotalAmt": 0, "PrivateNote": f"Voided\n{REFERENCE}"}], Reason.CHANGED_IN_BOOKS, id="voided"
        ),
    ],
)
async def test_something_else_stands_there(rows: list[dict[str, Any]], reason: Reason) -> None:
    provider, _ = answering(found("Invoice", *rows), found("Invoice"))
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.look_up(a_write(invoice()))
    assert refused.value.reason is reason
    assert refused.value.detail == {"reference": REFERENCE}


async def test_an_amount_that_the_currency_does_not_have_was_changed_by_a_person() -> None:
    provider, _ = answering(found("Invoice", {**OURS, "TotalAmt": 250.005}))
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.look_up(a_write(invoice()))
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


@pytest.mark.parametrize(
    ("changes", "applied"),
    [
        pytest.param({}, 25000, id="applied"),
        pytest.param({"Line": []}, 0, id="unapplied"),
        pytest.param({"Line": [{"Amount": 250, "LinkedTxn": [{"TxnId": "9"}]}]}, 0, id="applied elsewhere"),
        pytest.param({"Line": [{"Amount": 100, "LinkedTxn": [{"TxnId": "155"}]}]}, 10000, id="partly"),
    ],
)
async def test_of_a_payment_the_applied_part_counts(changes: dict[str, Any], applied: int) -> None:
    row = {**PAID, **changes}
    written, _ = answering(httpx.Response(200, json={"Payment": row}))
    looked_up, _ = answering(found("Payment", row))
    write = a_write(payment())
    assert (await written.execute(write)).total_minor == applied
    posted = await looked_up.look_up(write)
    assert posted is not None
    assert posted.total_minor == applied


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param({"PrimaryEmailAddr": {"Address": "ana@example.com"}}, None, id="same address"),
        pytest.param({"PrimaryEmailAddr": {"Address": "x@example.com, ANA@example.com"}}, None, id="one of several"),
        pytest.param({}, None, id="no address there"),
        pytest.param({"PrimaryEmailAddr": {"Address": "other@example.com"}}, Reason.NAME_TAKEN, id="other address"),
        pytest.param({"CurrencyRef": {"value": "EUR"}}, Reason.NAME_TAKEN, id="other currency"),
        pytest.param({"Active": False}, Reason.CUSTOMER_INACTIVE, id="archived"),
        pytest.param({"Active": False, "DisplayName": "Ana Lima (deleted)"}, Reason.CUSTOMER_INACTIVE, id="renamed"),
    ],
)
async def test_a_customer_of_the_same_name(row: dict[str, Any], reason: Reason | None) -> None:
    provider, requests = answering(found("Customer", {"Id": "60", "DisplayName": "Ana Lima", **row}))
    write = a_write(CUSTOMER)
    if reason is None:
        posted = await provider.look_up(write)
        assert posted is not None
        assert posted.external_id == "60"
    else:
        with pytest.raises(ProviderRejectedError) as refused:
            await provider.look_up(write)
        assert refused.value.reason is reason
    assert "DisplayName in ('Ana Lima', 'Ana Lima (deleted)') and Active in (true, false)" in statements(requests)[0]


@pytest.mark.parametrize(
    ("row", "is_ours"),
    [
        ({"Type": "Service", "IncomeAccountRef": {"value": "79", "name": "Session income"}}, True),
        ({"Type": "Service", "IncomeAccountRef": {"value": "80"}}, False),
        ({"Type": "Inventory", "IncomeAccountRef": {"value": "79"}}, False),
        ({"Type": "Service", "IncomeAccountRef": {"value": "79"}, "Active": False}, False),
        ({"Type": "Category"}, False),
    ],
)
async def test_an_item_is_ours_when_it_books_to_the_same_account(row: dict[str, Any], is_ours: bool) -> None:
    (item,) = opened().supporting(invoice())
    provider, _ = answering(found("Item", {"Id": "23", "Name": "Portrait session", **row}))
    if is_ours:
        posted = await provider.look_up(a_write(item))
        assert posted is not None
        return
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.look_up(a_write(item))
    assert refused.value.reason is Reason.NAME_TAKEN


# -- what leaves


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("O'Neil", r"'O\'Neil'"),
        (r"\' OR Id > '0", r"'\\\' OR Id > \'0'"),
        ("back\\slash", r"'back\\slash'"),
        ("line\nbreak\x00", "'line break '"),
    ],
)
def test_no_value_ends_its_quotes(text: str, quoted: str) -> None:
    assert literal(text) == quoted


def test_a_statement_reads_as_one() -> None:
    assert select("Account", "Active in (true, false)", order_by="Name", start=1001) == (
        "select * from Account where Active in (true, false) orderby Name startposition 1001 maxresults 1000"
    )


async def test_a_write_carries_key_version_and_token() -> None:
    provider, requests = answering(httpx.Response(200, json={"Invoice": OURS}, headers={"intuit_tid": "1-tid"}))
    write = a_write(invoice())
    posted = await provider.execute(write)
    (request,) = requests
    assert str(request.url) == (
        "https://quickbooks.test/v3/company/9341453000000001/invoice?requestid=key-1&minorversion=75"
    )
    assert request.headers["authorization"] == "Bearer access"
    assert request.headers["accept"] == request.headers["content-type"] == "application/json"
    assert request.content == write.body
    assert (posted.request_id, posted.version) == ("1-tid", "0")


@pytest.mark.parametrize("realm", ["", "12/../34", "12%2f", "9" * 30, "12?x=1", "\u0663"])
def test_a_company_id_that_is_no_number_never_reaches_a_path(realm: str) -> None:
    with pytest.raises(ConfigurationError):
        opened(company=company(external_id=realm))


async def test_a_malformed_key_is_not_sent() -> None:
    provider, requests = answering()
    write = opened().prepare(invoice(), key="key&x=1", ids=IDS)
    with pytest.raises(ConfigurationError):
        await provider.execute(write)
    assert requests == []


def test_the_page_of_a_document() -> None:
    provider = opened()
    kind = invoice().kind
    assert provider.document_url(kind, "145") == "https://app.quickbooks.test/app/invoice?txnId=145"
    assert provider.document_url(payment().kind, "146") == "https://app.quickbooks.test/app/recvpayment?txnId=146"
    assert provider.document_url(kind, "145&x=javascript:") is None
    assert provider.document_url(CUSTOMER.kind, "60") is None
