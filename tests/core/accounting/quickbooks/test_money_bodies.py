"""What goes onto the wire for money that moves without an invoice: exact, valid by Intuit's schema, adding up."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounting.port import PreparedWrite
from core.books.documents import (
    CreditNote,
    Deposit,
    DocumentKind,
    Expense,
    LineKind,
    MoneyDocument,
    Payee,
    Refund,
    Repayment,
    SalesReceipt,
)
from core.errors import ProviderRejectedError, StopError
from core.money import to_decimal
from core.reasons import Reason
from tests.core.accounting.documents import (
    CLEARING,
    CUSTOMER,
    DAY,
    HELD,
    PAYEE,
    REFERENCE,
    WHY,
    account_line,
    booked,
    company,
    line,
    sold,
    transfer,
)
from tests.core.accounting.quickbooks.stub import opened
from tests.quickbooks_xsd import validate_request

GB = {"country": "GB", "home_currency": "GBP", "purchase_rates": "6:19 7:20", "untaxed_code": "8"}
VAT: dict[str, Any] = {"tax_code_id": "6", "tax_code_name": "20.0% S", "tax_rate_ppm": 200_000, "tax_rate_id": "9"}
IDS = {CUSTOMER.step: "60", PAYEE.step: "56", "item:prod_portrait:79": "23", "item:chargeback:80": "24"}
NOTE = f"Stripe po_Example | {REFERENCE}"

DOCUMENTS: dict[str, MoneyDocument] = {
    "SalesReceipt": sold(SalesReceipt),
    "RefundReceipt": sold(Refund),
    "Purchase": booked(Expense),
    "Deposit": booked(Deposit),
    "Transfer": transfer(),
}


def prepared(document: MoneyDocument, **of: Any) -> PreparedWrite:
    return opened(company=company(**of)).prepare(document, key="key-1", ids=IDS)


def sent(document: MoneyDocument, **of: Any) -> Any:
    return json.loads(prepared(document, **of).body, parse_float=Decimal)


@pytest.mark.parametrize(("entity", "document"), DOCUMENTS.items())
def test_every_document_is_valid_by_the_schema_and_posted_to_its_own_address(
    entity: str, document: MoneyDocument
) -> None:
    write = prepared(document)
    assert validate_request(entity, write.body) == []
    assert (write.path, write.reference, write.total_minor) == (
        f"/{entity.lower()}",
        REFERENCE,
        document.total_minor,
    )
    assert REFERENCE in json.loads(write.body)["PrivateNote"]
    assert write.body == prepared(document).body


def test_a_transfer_is_these_very_bytes() -> None:
    assert prepared(transfer(41055)).body.decode() == (
        '{"FromAccountRef":{"value":"91"},"ToAccountRef":{"value":"94"},"Amount":410.55,"TxnDate":"2026-11-20",'
        f'"PrivateNote":"{NOTE}"}}'
    )


def test_an_expense_is_these_very_bytes() -> None:
    assert prepared(booked(Expense)).body.decode() == (
        '{"PaymentType":"Cash","AccountRef":{"value":"91"},"TxnDate":"2026-11-20","DocNumber":"TO-4F7K2M9QXD3A",'
        '"EntityRef":{"value":"56","type":"Vendor"},"PrivateNote":"Stripe fees of the day | TO-4F7K2M9QXD3A",'
        '"Line":[{"Amount":7.55,"DetailType":"AccountBasedExpenseLineDetail",'
        '"AccountBasedExpenseLineDetail":{"AccountRef":{"value":"92"}},"Description":"Stripe fee of ch_Example"}]}'
    )


def test_a_deposit_names_its_vendor_in_capitals_on_each_line() -> None:
    body = sent(booked(Deposit))
    assert body["DepositToAccountRef"] == {"value": "91"}
    (part,) = body["Line"]
    assert part["DepositLineDetail"] == {"AccountRef": {"value": "92"}, "Entity": {"value": "56", "type": "VENDOR"}}
    assert "DocNumber" not in body


@pytest.mark.parametrize("kind", [SalesReceipt, Refund])
def test_money_of_a_sale_names_account_number_and_reference(kind: type[Any]) -> None:
    body = sent(sold(kind, account=HELD))
    assert body["DepositToAccountRef"] == {"value": "93"}
    assert body["DocNumber"] == body["PaymentRefNum"] == REFERENCE
    assert body.get("PrintStatus") == ("NotSet" if kind is Refund else None)


def test_a_lost_dispute_takes_tax_back_through_an_item_of_its_own() -> None:
    chargeback = line(
        20000,
        1650,
        kind=LineKind.CHARGEBACK,
        service_id="chargeback",
        service_name="Chargeback",
        income_account_id="80",
    )
    refund = sold(Refund, chargeback, account=HELD)
    assert [item.step for item in opened().supporting(refund)] == ["item:chargeback:80"]
    body = sent(refund)
    assert body["Line"][0]["SalesItemLineDetail"]["ItemRef"] == {"value": "24"}
    assert body["Line"][0]["SalesItemLineDetail"]["TaxCodeRef"] == {"value": "TAX"}
    assert body["TxnTaxDetail"] == {"TotalTax": Decimal("16.50")}


def test_who_must_be_named_by_the_answer() -> None:
    assert [prepared(document).party_id for document in DOCUMENTS.values()] == ["60", "60", "56", None, None]


# -- input tax


def test_input_tax_stands_under_the_rate_of_purchases() -> None:
    body = sent(booked(Expense, account_line(707, 142, **VAT), account_line(1500), currency="GBP"), **GB)
    codes = [part["AccountBasedExpenseLineDetail"]["TaxCodeRef"]["value"] for part in body["Line"]]
    assert (codes, body["GlobalTaxCalculation"]) == (["6", "8"], "TaxExcluded")
    (tax,) = body["TxnTaxDetail"]["TaxLine"]
    assert tax["Amount"] == body["TxnTaxDetail"]["TotalTax"] == Decimal("1.42")
    assert tax["TaxLineDetail"]["TaxRateRef"] == {"value": "19"}


@pytest.mark.parametrize("kind", [Expense, Deposit])
def test_a_fee_without_tax_is_not_taxed_by_the_code_chosen_for_fees(kind: type[Any]) -> None:
    body = sent(booked(kind, account_line(707, 0, **VAT), currency="GBP"), **GB)
    assert body["GlobalTaxCalculation"] == "NotApplicable"
    assert "TaxCodeRef" not in json.dumps(body, default=str)


def test_a_returned_fee_makes_input_tax_smaller() -> None:
    body = sent(booked(Deposit, account_line(707, 141, **VAT), currency="GBP"), **GB)
    assert body["Line"][0]["DepositLineDetail"]["TaxApplicableOn"] == "Purchase"
    assert body["TxnTaxDetail"]["TotalTax"] == Decimal("1.41")


def test_a_line_without_a_code_beside_others_stays_empty_where_the_company_has_no_code_for_it() -> None:
    of = {**GB, "untaxed_code": ""}
    body = sent(booked(Expense, account_line(707, 142, **VAT), account_line(1500), currency="GBP"), **of)
    assert "TaxCodeRef" not in body["Line"][1]["AccountBasedExpenseLineDetail"]


@pytest.mark.parametrize(
    ("document", "of"),
    [
        pytest.param(booked(Expense, account_line(700, 70, **VAT)), {}, id="no tax on purchases in the States"),
        pytest.param(booked(Deposit, account_line(700, 70), currency="GBP"), GB, id="tax without a code"),
        pytest.param(booked(Expense, account_line(700, 70, **VAT), currency="GBP"), GB, id="another rate"),
        pytest.param(
            booked(Expense, account_line(700, 140, **VAT), currency="GBP"),
            {**GB, "using_sales_tax": "false"},
            id="sales tax is off",
        ),
    ],
)
def test_a_tax_that_the_books_cannot_hold_stops_before_sending(document: MoneyDocument, of: dict[str, str]) -> None:
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(document, **of)
    assert stopped.value.reason is Reason.TAX_CODE_MISFIT


# -- refused beforehand


@pytest.mark.parametrize("document", DOCUMENTS.values())
def test_a_closed_month_is_refused_on_its_last_day_and_open_the_day_after(document: MoneyDocument) -> None:
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(document, book_close_date="2026-11-20")
    assert stopped.value.reason is Reason.PERIOD_CLOSED
    assert prepared(document, book_close_date="2026-11-19").body


@pytest.mark.parametrize("document", DOCUMENTS.values())
def test_only_the_home_currency_is_booked_and_named_where_several_are_on(document: Any) -> None:
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(replace(document, currency="EUR"), multicurrency="true")
    assert stopped.value.reason is Reason.CURRENCY_NOT_ENABLED
    assert sent(document, multicurrency="true")["CurrencyRef"] == {"value": "USD"}


@pytest.mark.parametrize("document", [d for name, d in DOCUMENTS.items() if name != "Transfer"])
def test_what_must_stand_before_is_asked_for(document: MoneyDocument) -> None:
    with pytest.raises(StopError) as stopped:
        opened().prepare(document, key="key-1", ids={})
    assert stopped.value.reason is Reason.OUR_FAULT


def test_a_malformed_account_is_our_fault() -> None:
    with pytest.raises(StopError):
        prepared(transfer(to_account=replace(CLEARING, external_id="91/../1")))


@pytest.mark.parametrize("document", DOCUMENTS.values())
def test_quickbooks_takes_every_document_as_it_is(document: MoneyDocument) -> None:
    assert opened().parts(document) == (document,)


def test_what_quickbooks_does_not_know_is_our_fault() -> None:
    note = CreditNote(REFERENCE, CUSTOMER.step, DAY, "USD", (line(),), "memo")
    repayment = Repayment(REFERENCE, CUSTOMER.step, "credit_note", DAY, "USD", 100, CLEARING, "memo", WHY)
    for document in (note, repayment):
        with pytest.raises(StopError) as stopped:
            prepared(document)
        assert stopped.value.reason is Reason.OUR_FAULT
        assert opened().document_url(document.kind, "1") is None


# -- besides


def test_the_payee_and_the_names_that_are_tried() -> None:
    provider = opened()
    assert provider.supporting(booked(Expense)) == provider.supporting(booked(Deposit)) == (Payee("Stripe", "USD"),)
    assert provider.supporting(transfer()) == ()
    writes = [provider.prepare(PAYEE, key="key-1", ids={}, revision=n) for n in range(3)]
    assert [write.reference for write in writes] == ["Stripe", "Stripe (fees)", "Stripe (Tieout)"]
    assert all(validate_request("Vendor", write.body) == [] for write in writes)
    with pytest.raises(ProviderRejectedError) as stopped:
        provider.prepare(PAYEE, key="key-1", ids={}, revision=3)
    assert stopped.value.reason is Reason.NAME_TAKEN


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("sales_receipt", "salesreceipt"),
        ("refund", "refundreceipt"),
        ("expense", "expense"),
        ("deposit", "deposit"),
        ("transfer", "transfer"),
    ],
)
def test_the_page_of_a_document(kind: str, page: str) -> None:
    url = opened().document_url(DocumentKind(kind), "145")
    assert url == f"https://app.quickbooks.test/app/{page}?txnId=145"


_FEES = st.lists(st.integers(1, 10**9), min_size=1, max_size=20)


@given(_FEES)
def test_lines_add_up_to_what_leaves_and_to_what_arrives(amounts: list[int]) -> None:
    for kind in (Expense, Deposit):
        document: Any = booked(kind, *(account_line(amount) for amount in amounts))
        body = sent(document)
        assert sum((part["Amount"] for part in body["Line"]), Decimal(0)) == to_decimal(sum(amounts), "USD")
        assert document.total_minor == sum(amounts)


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=12))
def test_fees_with_tax_add_up_elsewhere(amounts: list[int]) -> None:
    lines = [account_line(net, int((Decimal(net) / 5).quantize(Decimal(1))), **VAT) for net in amounts]
    document = booked(Expense, *lines, currency="GBP")
    body = sent(document, **GB)
    total = sum((part["Amount"] for part in body["Line"]), Decimal(0)) + body.get("TxnTaxDetail", {}).get("TotalTax", 0)
    assert total == to_decimal(document.total_minor, "GBP")
