"""What leaves for Xero, to the byte."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.accounting.port import PreparedWrite
from core.books.documents import Document, Item, LineKind
from core.errors import ProviderRejectedError, StopError
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, DAY, REFERENCE, invoice, line, payment
from tests.core.accounting.xero.stub import CLEARING, CONTACT, INCOME, INVOICE, opened, organisation

IDS = {CUSTOMER.step: CONTACT, "invoice": INVOICE}


def sold(net: int = 25000, tax: int = 0, **changes: Any) -> Any:
    return line(net, tax, **{"income_account_id": INCOME, "income_account_number": "200", **changes})


def taxed(net: int, tax: int, rate: int | None = 200_000, **changes: Any) -> Any:
    return sold(net, tax, **{"tax_code_id": "OUTPUT2", "tax_code_name": "20%", "tax_rate_ppm": rate, **changes})


def written(document: Document, revision: int = 0, **company: Any) -> PreparedWrite:
    books = opened(company=organisation(**company))
    return books.prepare(document, key="key-1", ids=IDS, revision=revision)


def body(write: PreparedWrite) -> dict[str, Any]:
    ((element,),) = msgspec.json.decode(write.body).values()
    return element


def lines(*parts: Any, **company: Any) -> tuple[str, list[dict[str, Any]]]:
    sent = body(written(invoice(*parts, currency="GBP"), **company))
    return sent["LineAmountTypes"], sent["LineItems"]


def refusal(document: Document, **company: Any) -> ProviderRejectedError:
    with pytest.raises(ProviderRejectedError) as refused:
        written(document, **company)
    return refused.value


def test_a_sale_in_full() -> None:
    write = written(invoice(sold(), currency="gbp"))
    assert write.body.decode() == (
        '{"Invoices":[{"Type":"ACCREC","Status":"AUTHORISED","Contact":{"ContactID":"' + CONTACT + '"},'
        '"Date":"2026-11-20","DueDate":"2026-11-20","LineAmountTypes":"NoTax","CurrencyCode":"GBP",'
        '"InvoiceNumber":"TO-4F7K2M9QXD3A","Reference":"Stripe pi_Example ch_Example",'
        '"LineItems":[{"Description":"Portrait session 2026-11-18","Quantity":1,"UnitAmount":250.00,'
        '"AccountCode":"200","AccountID":"' + INCOME + '"}]}]}'
    )
    assert (write.path, write.total_minor, write.currency, write.party_id) == ("/Invoices", 25000, "GBP", CONTACT)


def test_a_payment_in_full() -> None:
    write = written(payment(clearing_account_id=CLEARING, currency="GBP"))
    assert body(write) == {
        "Invoice": {"InvoiceID": INVOICE},
        "Account": {"AccountID": CLEARING},
        "Date": "2026-11-20",
        "Amount": 250.0,
        "Reference": f"{REFERENCE} Stripe ch_Example txn_Example",
    }
    assert (write.reference, write.party_id, write.total_minor) == (REFERENCE, CONTACT, 25000)


def test_the_reference_of_a_payment_survives_a_long_memo() -> None:
    sent = body(written(payment(clearing_account_id=CLEARING, currency="GBP", memo="x" * 400)))["Reference"]
    assert len(sent) == 100
    assert sent.split()[0] == REFERENCE


def test_prices_are_written_with_the_tax_inside() -> None:
    kind, (first, second) = lines(taxed(10000, 2000), taxed(-1000, -200, kind=LineKind.DISCOUNT))
    assert kind == "Inclusive"
    assert (first["UnitAmount"], first["TaxType"]) == (120.0, "OUTPUT2")
    assert (second["UnitAmount"], second["TaxType"]) == (-12.0, "OUTPUT2")
    # Xero arrives at the same tax, so it is left to Xero.
    assert "TaxAmount" not in first
    assert "TaxAmount" not in second


@pytest.mark.parametrize(
    ("net", "tax"),
    # 39.99 holds 6.665: which way that goes is nowhere said. 39.98 holds 6.6633; Stripe said 6.67.
    [(3333, 666), (3332, 667), (3331, 667)],
)
def test_where_the_cent_is_not_sure_the_tax_is_named(net: int, tax: int) -> None:
    _, (only,) = lines(taxed(net, tax))
    assert (only["UnitAmount"], only["TaxAmount"]) == ((net + tax) / 100, tax / 100)


def test_a_rate_that_is_not_known_is_named_in_money() -> None:
    _, (only,) = lines(taxed(3333, 666, rate=None))
    assert only["TaxAmount"] == 6.66


@pytest.mark.parametrize(("version", "kind"), [("UK", "NONE"), ("US", "NONE"), ("AU", "BASEXCLUDED")])
def test_an_untaxed_line_beside_a_taxed_one_says_so(version: str, kind: str) -> None:
    _, (_, plain) = lines(taxed(10000, 2000), sold(500), version=version)
    assert (plain["TaxType"], plain["UnitAmount"]) == (kind, 5.0)


def test_tax_without_a_code_stops() -> None:
    refused = refusal(invoice(sold(10000, 2000), currency="GBP"))
    assert (refused.reason, refused.detail) == (
        Reason.TAX_CODE_MISFIT,
        {"charged": "20.00 GBP", "tax_code": "no tax code"},
    )


def test_a_code_of_another_rate_stops() -> None:
    refused = refusal(invoice(taxed(10000, 2000, rate=50_000), currency="GBP"))
    assert (refused.reason, refused.detail["tax_code"]) == (Reason.TAX_CODE_MISFIT, "20%")


def test_yen_have_no_decimals_and_dinars_too_many() -> None:
    yen = body(written(invoice(sold(15000), currency="JPY"), home_currency="JPY"))
    assert yen["LineItems"][0]["UnitAmount"] == 15000
    assert refusal(invoice(sold(12345), currency="KWD"), home_currency="KWD").reason is Reason.REFUSED


def test_a_locked_day_is_refused_and_the_next_is_not() -> None:
    assert refusal(invoice(sold(), currency="GBP"), book_close_date="2026-11-20").detail == {
        "date": DAY.isoformat(),
        "closed_to": "2026-11-20",
    }
    assert written(invoice(sold(), currency="GBP"), book_close_date="2026-11-19")


def test_a_client_keeps_one_number_under_every_name() -> None:
    sent = [body(written(CUSTOMER, revision)) for revision in range(3)]
    assert [contact["Name"] for contact in sent] == [
        "Ana Lima",
        "Ana Lima (ana@example.com)",
        "Ana Lima (cus_Example1)",
    ]
    assert {contact["ContactNumber"] for contact in sent} == {"cus_Example1"}
    with pytest.raises(ProviderRejectedError) as refused:
        written(CUSTOMER, 3)
    assert refused.value.reason is Reason.NAME_TAKEN


@pytest.mark.parametrize("stripe_id", [None, "", "not/a/stripe?id", "cus_" + "x" * 60])
def test_a_client_without_a_stripe_id_gets_a_number_of_ours(stripe_id: str | None) -> None:
    number = body(written(replace(CUSTOMER, stripe_customer_id=stripe_id)))["ContactNumber"]
    assert number == f"tieout-{CUSTOMER.customer_id}"
    assert len(number) <= 50


@pytest.mark.parametrize(
    ("name", "kept"),
    [("  Ana   <b>Lima</b> ", "Ana b Lima /b"), ("x" * 300, "x" * 255), ("\x00\n", "ana@example.com"), ("Zoë", "Zoë")],
)
def test_names_that_xero_takes(name: str, kept: str) -> None:
    assert body(written(replace(CUSTOMER, name=name)))["Name"] == kept


@pytest.mark.parametrize("email", ["zoë@example.com", "a@b", "a b@example.com", "x" * 250 + "@example.com", "a@b@c.de"])
def test_an_address_that_xero_refuses_is_left_out(email: str) -> None:
    assert "EmailAddress" not in body(written(replace(CUSTOMER, email=email)))


def test_what_is_missing_or_malformed_is_our_fault() -> None:
    books = opened()
    for ids in ({}, {CUSTOMER.step: "7"}, {CUSTOMER.step: "../Accounts"}):
        with pytest.raises(StopError) as stopped:
            books.prepare(invoice(sold(), currency="GBP"), key="k", ids=ids)
        assert stopped.value.reason is Reason.OUR_FAULT
    with pytest.raises(StopError):
        books.prepare(Item("s", "Session", INCOME), key="k", ids={})
    assert books.supporting(invoice(sold())) == ()


def test_links_lead_to_the_invoice() -> None:
    books = opened()
    assert books.document_url(invoice().kind, INVOICE) == (
        f"https://go.xero.test/AccountsReceivable/View.aspx?InvoiceID={INVOICE}"
    )
    assert books.document_url(invoice().kind, "javascript:alert(1)") is None
    assert books.document_url(payment().kind, INVOICE) is None
