"""What goes onto the wire: exact, repeatable, valid by Intuit's schema, and adding up to the payment."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounting.port import AccountingProvider, PreparedWrite
from core.books.documents import Customer, Invoice, Item, LineKind
from core.errors import ProviderRejectedError, StopError
from core.money import to_decimal
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, REFERENCE, company, invoice, line, payment
from tests.core.accounting.quickbooks.stub import opened
from tests.quickbooks_xsd import validate_request

GB = {"country": "GB", "home_currency": "GBP"}
VAT: dict[str, Any] = {"tax_code_id": "6", "tax_code_name": "20.0% S", "tax_rate_ppm": 200_000, "tax_rate_id": "9"}
ZERO: dict[str, Any] = {"tax_code_id": "7", "tax_code_name": "0.0% Z", "tax_rate_ppm": 0, "tax_rate_id": "10"}


def ids_for(provider: AccountingProvider, document: Invoice) -> dict[str, str]:
    ids = {CUSTOMER.step: "60", "invoice": "155"}
    return ids | {item.step: str(23 + n) for n, item in enumerate(provider.supporting(document))}


def prepared(document: Any, **of: Any) -> PreparedWrite:
    provider = opened(company=company(**of))
    ids = ids_for(provider, document) if isinstance(document, Invoice) else {CUSTOMER.step: "60", "invoice": "155"}
    return provider.prepare(document, key="key-1", ids=ids)


def sent(write: PreparedWrite) -> Any:
    # Decimals from the text, so that a digit lost on the way would be seen.
    return json.loads(write.body, parse_float=Decimal)


def test_an_invoice_is_these_very_bytes() -> None:
    write = prepared(invoice(line(25000), line(10000, 825, description="")))
    assert write.body.decode() == (
        '{"CustomerRef":{"value":"60"},"TxnDate":"2026-11-20","DueDate":"2026-11-20","DocNumber":"TO-4F7K2M9QXD3A",'
        '"PrivateNote":"Stripe pi_Example ch_Example | TO-4F7K2M9QXD3A",'
        '"AllowOnlineCreditCardPayment":false,"AllowOnlineACHPayment":false,'
        '"Line":[{"Amount":250.00,"DetailType":"SalesItemLineDetail","SalesItemLineDetail":'
        '{"ItemRef":{"value":"23"},"Qty":1,"UnitPrice":250.00,"TaxCodeRef":{"value":"NON"}},'
        '"Description":"Portrait session 2026-11-18"},'
        '{"Amount":100.00,"DetailType":"SalesItemLineDetail","SalesItemLineDetail":'
        '{"ItemRef":{"value":"23"},"Qty":1,"UnitPrice":100.00,"TaxCodeRef":{"value":"TAX"}}}],'
        '"TxnTaxDetail":{"TotalTax":8.25}}'
    )
    assert (write.path, write.reference, write.total_minor, write.party_id) == ("/invoice", REFERENCE, 35825, "60")


def test_the_same_document_gives_the_same_bytes() -> None:
    document = invoice(line(), line(-500, kind=LineKind.DISCOUNT))
    assert prepared(document).body == prepared(document).body


def test_a_payment_goes_to_clearing_and_to_its_invoice() -> None:
    write = prepared(payment(43300))
    body = sent(write)
    assert body["TotalAmt"] == Decimal("433.00")
    assert body["DepositToAccountRef"] == {"value": "91"}
    assert body["Line"] == [{"Amount": Decimal("433.00"), "LinkedTxn": [{"TxnId": "155", "TxnType": "Invoice"}]}]
    assert validate_request("Payment", write.body) == []


def test_value_added_tax_stands_per_rate() -> None:
    write = prepared(
        invoice(line(10000, 2000, **VAT), line(3333, 667, **VAT), line(500, 0, **ZERO), currency="GBP"), **GB
    )
    body = sent(write)
    assert body["GlobalTaxCalculation"] == "TaxExcluded"
    assert [part["SalesItemLineDetail"]["TaxCodeRef"]["value"] for part in body["Line"]] == ["6", "6", "7"]
    assert body["TxnTaxDetail"]["TotalTax"] == Decimal("26.67")
    (tax,) = body["TxnTaxDetail"]["TaxLine"]
    assert tax["Amount"] == Decimal("26.67")
    assert tax["TaxLineDetail"] == {
        "TaxRateRef": {"value": "9"},
        "PercentBased": True,
        "NetAmountTaxable": Decimal("133.33"),
        "TaxPercent": 20,
    }
    assert validate_request("Invoice", write.body) == []


def test_without_the_rates_id_only_the_total_tax_is_named() -> None:
    body = sent(prepared(invoice(line(10000, 2000, **{**VAT, "tax_rate_id": None}), currency="GBP"), **GB))
    assert body["TxnTaxDetail"] == {"TotalTax": Decimal("20.00")}


def test_a_sale_without_any_tax_code_says_so_outside_the_states() -> None:
    body = sent(prepared(invoice(line(), currency="GBP"), **GB))
    assert body["GlobalTaxCalculation"] == "NotApplicable"
    assert "TxnTaxDetail" not in body


@pytest.mark.parametrize(
    ("document", "of"),
    [
        pytest.param(invoice(line(10000, 825)), {"using_sales_tax": "false"}, id="sales tax is off"),
        pytest.param(invoice(line(10000, 2000), currency="GBP"), GB, id="tax without a code"),
        pytest.param(invoice(line(10000, 500, **VAT), currency="GBP"), GB, id="another rate than the code's"),
        pytest.param(invoice(line(10000, 0, **VAT), currency="GBP"), GB, id="no tax although the code has a rate"),
    ],
)
def test_a_tax_that_the_books_cannot_hold_stops_before_sending(document: Invoice, of: dict[str, str]) -> None:
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(document, **of)
    assert stopped.value.reason is Reason.TAX_CODE_MISFIT
    assert set(stopped.value.detail) == {"charged", "tax_code"}


@pytest.mark.parametrize("document", [invoice(), payment()])
def test_a_closed_month_is_refused_on_its_last_day_and_open_the_day_after(document: Any) -> None:
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(document, book_close_date="2026-11-20")
    assert stopped.value.reason is Reason.PERIOD_CLOSED
    assert stopped.value.detail == {"date": "2026-11-20", "closed_to": "2026-11-20"}
    assert prepared(document, book_close_date="2026-11-19").body


def test_a_foreign_currency_is_refused_and_the_home_currency_named_only_where_several_are_on() -> None:
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(invoice(currency="EUR"), multicurrency="true")
    assert stopped.value.reason is Reason.CURRENCY_NOT_ENABLED
    assert stopped.value.detail == {"currency": "EUR", "home_currency": "USD"}
    assert sent(prepared(invoice(currency="usd"), multicurrency="true"))["CurrencyRef"] == {"value": "USD"}
    assert "CurrencyRef" not in sent(prepared(invoice()))


def test_currencies_without_cents_and_with_three_decimals() -> None:
    yen = prepared(invoice(line(25000), currency="JPY"), home_currency="JPY")
    assert (sent(yen)["Line"][0]["Amount"], yen.total_minor) == (Decimal("25000.00"), 25000)
    dinar = prepared(invoice(line(25010), currency="KWD"), home_currency="KWD")
    assert sent(dinar)["Line"][0]["Amount"] == Decimal("25.01")
    with pytest.raises(ProviderRejectedError) as stopped:
        prepared(invoice(line(25001), currency="KWD"), home_currency="KWD")
    assert stopped.value.reason is Reason.REFUSED


def test_a_missing_or_malformed_id_is_our_fault_and_nothing_is_sent() -> None:
    provider = opened()
    for ids in ({}, {CUSTOMER.step: "60/../1", "invoice": "155"}):
        with pytest.raises(StopError) as stopped:
            provider.prepare(payment(), key="key-1", ids=ids)
        assert stopped.value.reason is Reason.OUR_FAULT


def test_a_note_too_long_still_ends_with_the_reference() -> None:
    note = sent(prepared(invoice(memo="x" * 5000)))["PrivateNote"]
    assert len(note) == 4000
    assert note.endswith(REFERENCE)


def test_a_line_per_account_needs_an_item_per_account() -> None:
    document = invoice(
        line(), line(), line(income_account_id="80"), line(service_id="prod_print", service_name="Print")
    )
    assert [item.step for item in opened().supporting(document)] == [
        "item:prod_portrait:79",
        "item:prod_portrait:80",
        "item:prod_print:79",
    ]
    assert opened().supporting(payment()) == ()


# -- names


def names(customer: Customer) -> list[str]:
    provider = opened()

    def candidates() -> Iterator[str]:
        for revision in range(8):
            yield provider.prepare(customer, key="key-1", ids={}, revision=revision).reference

    found: list[str] = []
    with pytest.raises(ProviderRejectedError) as stopped:
        found.extend(candidates())
    assert stopped.value.reason is Reason.NAME_TAKEN
    assert stopped.value.detail["client"]
    return found


def a_customer(name: str, email: str | None = None, stripe_id: str | None = None) -> Customer:
    return Customer(customer_id="c", name=name, email=email, currency="USD", stripe_customer_id=stripe_id)


def test_candidate_names() -> None:
    assert names(CUSTOMER) == ["Ana Lima", "Ana Lima (ana@example.com)", "Ana Lima (cus_Example1)"]
    assert names(a_customer("Ana Lima")) == ["Ana Lima"]
    assert names(a_customer("  Ana \t Lima:\nStudio ")) == ["Ana Lima Studio"]
    assert names(a_customer("", "ana@example.com")) == ["ana@example.com", "ana@example.com (ana@example.com)"]
    assert names(a_customer("::")) == ["Stripe client"]


@given(st.text(max_size=300), st.text(max_size=300) | st.none(), st.text(max_size=60) | st.none())
def test_any_name_is_made_acceptable(name: str, email: str | None, stripe_id: str | None) -> None:
    found = names(a_customer(name, email, stripe_id))
    assert 1 <= len(found) <= 3
    assert len(set(found)) == len(found)
    for candidate in found:
        assert 0 < len(candidate) <= 100
        assert candidate == candidate.strip()
        assert not set(candidate) & set(":\t\n\r\x00")


@pytest.mark.parametrize(
    "email", ["ana", "ana@", "@example.com", "a b@example.com", "a@b", "a" * 100 + "@example.com", ""]
)
def test_an_address_that_quickbooks_would_refuse_is_left_out(email: str) -> None:
    write = prepared(a_customer("Ana", email))
    assert "PrimaryEmailAddr" not in sent(write)
    assert validate_request("Customer", write.body) == []


def test_candidate_names_of_an_item_say_which_account() -> None:
    item = Item(service_id="prod_1", name="Portrait: session", income_account_id="79")
    provider = opened()
    writes = [provider.prepare(item, key="key-1", ids={}, revision=revision) for revision in range(3)]
    assert [write.reference for write in writes] == [
        "Portrait session",
        "Portrait session (account 79)",
        "Portrait session (Tieout 79)",
    ]
    assert all(validate_request("Item", write.body) == [] for write in writes)


# -- sums

_AMOUNTS = st.integers(min_value=-(10**11), max_value=10**11)


@st.composite
def us_invoices(draw: st.DrawFn) -> Invoice:
    lines = draw(st.lists(st.tuples(_AMOUNTS, st.integers(-(10**9), 10**9)), min_size=1, max_size=12))
    return invoice(*(line(net, tax) for net, tax in lines), date=draw(st.dates(date(2000, 1, 1), date(2100, 1, 1))))


@st.composite
def gb_invoices(draw: st.DrawFn) -> Invoice:
    lines = []
    for net, code in draw(st.lists(st.tuples(_AMOUNTS, st.sampled_from([VAT, ZERO])), min_size=1, max_size=12)):
        exact = Decimal(net) * code["tax_rate_ppm"] / 1_000_000
        lines.append(line(net, int(exact.quantize(Decimal(1))), **code))
    return invoice(*lines, currency="GBP")


def total_of(body: Any, currency: str) -> Decimal:
    return sum((part["Amount"] for part in body["Line"]), Decimal(0)) + Decimal(
        body.get("TxnTaxDetail", {}).get("TotalTax", 0)
    )


@given(us_invoices())
def test_lines_and_tax_add_up_to_the_payment_in_the_states(document: Invoice) -> None:
    write = prepared(document)
    assert write.total_minor == document.total_minor
    assert total_of(sent(write), "USD") == to_decimal(document.total_minor, "USD")


@given(gb_invoices())
def test_lines_and_tax_add_up_to_the_payment_elsewhere(document: Invoice) -> None:
    body = sent(prepared(document, **GB))
    assert total_of(body, "GBP") == to_decimal(document.total_minor, "GBP")
    detail = body.get("TxnTaxDetail", {})
    assert sum((part["Amount"] for part in detail.get("TaxLine", [])), Decimal(0)) == detail.get("TotalTax", 0)


@given(us_invoices())
def test_any_invoice_is_valid_by_the_schema(document: Invoice) -> None:
    assert validate_request("Invoice", prepared(document).body) == []
