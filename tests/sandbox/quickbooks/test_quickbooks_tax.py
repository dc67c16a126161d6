"""Tax inside and outside the US, and foreign currencies."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.quickbooks.harness import Books, Intuit, line, payment, sale
from web.sandbox.quickbooks.amounts import decode


async def code(books: Books, name: str) -> tuple[str, str]:
    """Id of a tax code and of its first sales rate."""
    found = (await books.query(f"select * from TaxCode where Name = '{name}'"))["TaxCode"][0]
    return found["Id"], found["SalesTaxRateList"]["TaxRateDetail"][0]["TaxRateRef"]["value"]


async def test_us_tax_that_was_sent_is_honoured_or_recomputed(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    lines = (line(item, 200, "TAX"), line(item, 50, "NON"))
    sent = await books.sale("Invoice", *lines, customer=customer, TxnTaxDetail={"TotalTax": Decimal("16.49")})
    assert sent["TotalAmt"] == Decimal("266.49")
    assert sent["TxnTaxDetail"]["TaxLine"][0]["TaxLineDetail"]["NetAmountTaxable"] == 200
    expected = {"Session Income": -25000, "Sales Tax Payable": -1649, "Accounts Receivable (A/R)": 26649}
    assert await books.trial_balance() == expected
    await books.behave(honour_total_tax=False)
    ours = await books.sale("Invoice", *lines, customer=customer, TxnTaxDetail={"TotalTax": Decimal("16.49")})
    assert ours["TotalAmt"] == Decimal("266.50")
    await books.behave(using_sales_tax=False)
    assert (await books.sale("Invoice", *lines, customer=customer))["TotalAmt"] == 250


async def test_us_defaults_follow_item_and_customer(books: Books) -> None:
    taxable = await books.item("Print", "Print Sales", Taxable=True)
    buyer, exempt = await books.customer("Buyer"), await books.customer("Museum", Taxable=False)
    assert (await books.sale("Invoice", line(taxable, 100), customer=buyer))["TotalAmt"] == Decimal("108.25")
    assert (await books.sale("Invoice", line(taxable, 100), customer=exempt))["TotalAmt"] == 100


async def test_a_gb_invoice_with_net_lines_and_sent_tax_ties_to_the_gross(intuit: Intuit) -> None:
    books = await intuit.company("Kerb Studio", "GB")
    customer, item = await books.customer(), await books.item()
    tax, rate = await code(books, "20.0% S")
    detail = {
        "TaxRateRef": {"value": rate},
        "PercentBased": True,
        "TaxPercent": 20,
        "NetAmountTaxable": Decimal("83.33"),
    }
    tax_line = {"Amount": Decimal("16.67"), "DetailType": "TaxLineDetail", "TaxLineDetail": detail}
    sent = {"TotalTax": Decimal("16.67"), "TaxLine": [tax_line]}
    net = line(item, Decimal("83.33"), tax)
    posted = await books.sale("Invoice", net, customer=customer, GlobalTaxCalculation="TaxExcluded", TxnTaxDetail=sent)
    assert posted["TotalAmt"] == 100
    expected = {"Session Income": -8333, "VAT Control": -1667, "Accounts Receivable (A/R)": 10000}
    assert await books.trial_balance() == expected


@pytest.mark.parametrize(
    ("country", "name", "total"),
    [("AU", "GST", "110"), ("CA", "HST ON", "113"), ("CA", "GST/PST BC", "112"), ("GB", "0.0% Z", "100")],
)
async def test_codes_elsewhere_compute_their_rates(intuit: Intuit, country: str, name: str, total: str) -> None:
    books = await intuit.company("Studio", country)
    customer, item = await books.customer(), await books.item()
    tax, _ = await code(books, name)
    posted = await books.sale("Invoice", line(item, 100, tax), customer=customer)
    assert posted["TotalAmt"] == Decimal(total)
    await books.trial_balance()


async def test_rules_of_codes_elsewhere(intuit: Intuit) -> None:
    books = await intuit.company("Kerb Studio", "GB")
    customer, item = await books.customer(), await books.item()
    tax, rate = await code(books, "20.0% S")
    _, other_rate = await code(books, "5.0% R")
    tax_line: dict[str, Any] = {"Amount": 1, "DetailType": "TaxLineDetail"}
    own = {"TaxLine": [{**tax_line, "TaxLineDetail": {"TaxRateRef": {"value": rate}}}]}
    alien = {"TaxLine": [{**tax_line, "TaxLineDetail": {"TaxRateRef": {"value": other_rate}}}]}
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (line(item, 100), {}, "6000"),
        (line(item, 100, "TAX"), {}, "2500"),
        (line(item, 100, tax), {"TxnTaxDetail": alien}, "6000"),
        (line(item, 100, tax), {"GlobalTaxCalculation": "NotApplicable", "TxnTaxDetail": own}, "6170"),
    ]
    for bad, more, expected in wrong:
        assert await books.refused("Invoice", sale(bad, customer=customer, **more)) == expected
    none = await books.sale("Invoice", line(item, 100), customer=customer, GlobalTaxCalculation="NotApplicable")
    assert none["TotalAmt"] == 100
    await books.control("POST", f"/documents/taxcode/{tax}/deactivate")
    assert await books.refused("Invoice", sale(line(item, 100, tax), customer=customer)) == "610"


async def test_a_changed_amount_keeps_the_stale_tax(intuit: Intuit) -> None:
    books = await intuit.company("Kerb Studio", "GB")
    customer, item = await books.customer(), await books.item()
    tax, _ = await code(books, "20.0% S")
    posted = await books.sale("Invoice", line(item, 100, tax), customer=customer)
    change = {"Id": posted["Id"], "SyncToken": "0", "sparse": True, "Line": [line(item, 200, tax)]}
    assert (await books.send("Invoice", change))["TotalAmt"] == 220


@pytest.mark.parametrize(("is_gross", "total"), [(False, 120), (True, 100)])
async def test_inclusive_amounts_are_net_or_gross(intuit: Intuit, is_gross: bool, total: int) -> None:
    books = await intuit.company("Kerb Studio", "GB", inclusive_amount_is_gross=is_gross)
    customer, item = await books.customer(), await books.item()
    tax, _ = await code(books, "20.0% S")
    posted = await books.sale("Invoice", line(item, 100, tax), customer=customer, GlobalTaxCalculation="TaxInclusive")
    assert posted["TotalAmt"] == total
    first = posted["Line"][0]
    assert first["SalesItemLineDetail"]["TaxInclusiveAmt"] == total
    assert first["Amount"] == (Decimal("83.33") if is_gross else 100)
    await books.trial_balance()


async def test_input_tax_on_fees(intuit: Intuit) -> None:
    books = await intuit.company("Reef Photo", "AU")
    tax, _ = await code(books, "GST")
    detail = {"AccountRef": books.ref("Bank Charges & Fees"), "TaxCodeRef": {"value": tax}}
    fee = {"Amount": 10, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}
    body = {"PaymentType": "Cash", "AccountRef": books.ref("Checking"), "Line": [fee]}
    assert (await books.send("Purchase", body))["TotalAmt"] == 11
    expected = {"Checking": -1100, "Bank Charges & Fees": 1000, "GST Liabilities Payable": 100}
    assert await books.trial_balance() == expected


async def test_input_tax_goes_back_with_a_returned_fee(intuit: Intuit) -> None:
    books = await intuit.company("Reef Photo", "AU")
    tax, _ = await code(books, "GST")
    detail = {"AccountRef": books.ref("Bank Charges & Fees"), "TaxCodeRef": {"value": tax}}
    fee = {"Amount": 10, "DetailType": "DepositLineDetail", "DepositLineDetail": detail}
    body = {"DepositToAccountRef": books.ref("Checking"), "Line": [fee]}
    assert await books.refused("Deposit", body) == "2020"
    detail["TaxApplicableOn"] = "Purchase"
    assert (await books.send("Deposit", body))["TotalAmt"] == 11
    expected = {"Checking": 1100, "Bank Charges & Fees": -1000, "GST Liabilities Payable": -100}
    assert await books.trial_balance() == expected


async def test_foreign_sales_need_currency_rate_and_a_customer_of_that_currency(books: Books) -> None:
    await books.behave(multicurrency=True)
    item, euro = await books.item(), {"CurrencyRef": {"value": "EUR"}}
    home = await books.customer("Home")
    customer = await books.customer("Ana Lima (EUR)", **euro)
    assert await books.refused("Invoice", sale(line(item, 100), customer=customer)) == "2020"
    assert await books.refused("Invoice", sale(line(item, 100), customer=home, **euro)) == "6000"
    rate = {**euro, "ExchangeRate": Decimal("1.10")}
    invoice = await books.sale("Invoice", line(item, 100), customer=customer, **rate)
    assert invoice["HomeTotalAmt"] == 110
    assert invoice["CurrencyRef"] == {"value": "EUR", "name": "Euro"}
    checking = {"DepositToAccountRef": books.ref("Checking")}
    same = payment(customer, 100, (invoice["Id"], 100), **checking, **rate)
    paid = await books.send("Payment", same)
    assert await books.trial_balance() == {"Session Income": -11000, "Checking": 11000}
    await books.send("Payment", {"Id": paid["Id"], "SyncToken": "0"}, operation="delete")
    # Without a rate the payment is booked one to one: the difference is a loss.
    await books.send("Payment", payment(customer, 100, (invoice["Id"], 100), **checking, **euro))
    expected = {"Session Income": -11000, "Checking": 10000, "Exchange Gain or Loss": 1000}
    assert await books.trial_balance() == expected
    assert (await books.get("Customer", customer))["Balance"] == 0
    pound = await books.send("Account", {"Name": "GBP bank", "AccountType": "Bank", "CurrencyRef": {"value": "GBP"}})
    wrong = payment(customer, 1, DepositToAccountRef={"value": pound["Id"]}, **euro)
    assert await books.refused("Payment", wrong) == "6000"
    back = await books.intuit.http.patch(
        f"/_control/quickbooks/companies/{books.realm}/behaviour", json={"multicurrency": False}
    )
    assert back.status_code == 422


async def test_exchange_rates_can_be_read_and_set(books: Books) -> None:
    await books.control("PATCH", "/rates", {"EUR": Decimal("1.0834")})
    answer = await books.call("GET", "exchangerate", sourcecurrencycode="EUR", asofdate="2026-03-01")
    found = decode(answer.content)["ExchangeRate"]
    assert (found["Rate"], found["TargetCurrencyCode"], found["AsOfDate"]) == (Decimal("1.0834"), "USD", "2026-03-01")
