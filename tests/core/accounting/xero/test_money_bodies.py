"""Every document beside invoice and payment, to the byte: what leaves for Xero, and under which name it is kept."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.accounting.port import PreparedWrite
from core.books.documents import AccountRef, CreditNote, Document, DocumentKind, LineKind, Payee, Repayment
from core.errors import ProviderRejectedError, StopError
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, DAY, invoice, payment
from tests.core.accounting.movements import (
    PAYEE_STEP,
    account_line,
    credit_note,
    deposit,
    expense,
    refund,
    repayment,
    sales_receipt,
    transfer,
)
from tests.core.accounting.xero.stub import CLEARING, CONTACT, INCOME, INVOICE, opened, organisation
from tests.core.accounting.xero.test_bodies import sold, taxed

STRIPE = "5e0c1b2a-0007-4000-8000-000000000007"
NOTE = "5e0c1b2a-0008-4000-8000-000000000008"
IDS = {CUSTOMER.step: CONTACT, "invoice": INVOICE, PAYEE_STEP: STRIPE, "credit_note": NOTE}
BANK = AccountRef(CLEARING, "Stripe clearing", is_bank=True)
CHECKING = AccountRef("5e0c1b2a-000a-4000-8000-00000000000a", "Business account", is_bank=True)
HELD = AccountRef("5e0c1b2a-000b-4000-8000-00000000000b", "Stripe disputes held", is_bank=False, number="620")
FEES = AccountRef(INCOME, "Stripe fees", is_bank=False, number="404")
HERE: dict[str, Any] = {"currency": "GBP", "account": BANK}


def fee(net: int = 707, tax: int = 0, **changes: Any) -> Any:
    return account_line(net, tax, **{"account": FEES, **changes})


def input_tax(net: int, tax: int, rate: int | None = 100_000) -> Any:
    return fee(net, tax, tax_code_id="INPUT", tax_code_name="GST on Expenses", tax_rate_ppm=rate)


def written(document: Document, **company: Any) -> PreparedWrite:
    return opened(company=organisation(**company)).prepare(document, key="key-1", ids=IDS)


def body(write: PreparedWrite) -> dict[str, Any]:
    ((element,),) = msgspec.json.decode(write.body).values()
    return element


def refusal(document: Document, **company: Any) -> ProviderRejectedError:
    with pytest.raises(ProviderRejectedError) as refused:
        written(document, **company)
    return refused.value


def test_a_refund_is_a_credit_note_and_its_repayment() -> None:
    document = refund(sold(10000), name="refund", balance_transaction_id="txn_1", **HERE)
    note, repaid = opened().parts(document)
    assert isinstance(note, CreditNote)
    assert isinstance(repaid, Repayment)
    assert (note.step, repaid.step, repaid.needs) == ("refund", "refund_paid", (CUSTOMER.step, "refund"))
    assert (note.total_minor, repaid.total_minor) == (10000, 10000)
    assert (repaid.account, repaid.balance_transaction_id) == (BANK, "txn_1")
    assert note.reference == repaid.reference == document.reference
    for whole in (invoice(), payment(), transfer(), expense(), deposit(), sales_receipt()):
        assert opened().parts(whole) == (whole,)
    with pytest.raises(StopError):
        written(document)


def test_a_credit_note_in_full() -> None:
    write = written(credit_note(sold(), currency="gbp"))
    assert write.body.decode() == (
        '{"CreditNotes":[{"Type":"ACCRECCREDIT","Status":"AUTHORISED","Contact":{"ContactID":"' + CONTACT + '"},'
        '"Date":"2026-11-20","LineAmountTypes":"NoTax","CurrencyCode":"GBP","CreditNoteNumber":"TR-4F7K2M9QXD3A",'
        '"Reference":"Stripe re_Example ch_Example",'
        '"LineItems":[{"Description":"Portrait session 2026-11-18","Quantity":1,"UnitAmount":250.00,'
        '"AccountCode":"200","AccountID":"' + INCOME + '"}]}]}'
    )
    assert (write.path, write.total_minor, write.party_id) == ("/CreditNotes", 25000, CONTACT)


def test_a_currency_difference_stands_beside_the_tax_of_the_sale() -> None:
    difference = sold(-100, kind=LineKind.DIFFERENCE, income_account_id=HELD.external_id, income_account_number="497")
    sent = body(written(credit_note(taxed(10000, 2000), difference, currency="GBP"), version="AU"))
    first, second = sent["LineItems"]
    assert sent["LineAmountTypes"] == "Inclusive"
    assert (first["UnitAmount"], first["TaxType"]) == (120.0, "OUTPUT2")
    assert (second["UnitAmount"], second["TaxType"]) == (-1.0, "BASEXCLUDED")


def test_a_repayment_in_full() -> None:
    write = written(repayment(account=HELD, currency="GBP"))
    assert body(write) == {
        "CreditNote": {"CreditNoteID": NOTE},
        "Account": {"AccountID": HELD.external_id},
        "Date": "2026-11-20",
        "Amount": 250.0,
        "Reference": "TR-4F7K2M9QXD3A Stripe re_Example",
    }
    assert (write.path, write.total_minor, write.party_id) == ("/Payments", 25000, CONTACT)


def test_a_receipt_is_received_from_the_client() -> None:
    write = written(sales_receipt(taxed(10000, 2000), **HERE))
    assert body(write) == {
        "Type": "RECEIVE",
        "Contact": {"ContactID": CONTACT},
        "BankAccount": {"AccountID": CLEARING},
        "Date": "2026-11-20",
        "Reference": "TO-5F7K2M9QXD3A",
        "CurrencyCode": "GBP",
        "LineAmountTypes": "Inclusive",
        "LineItems": [
            {
                "Description": "Portrait session 2026-11-18\nStripe re_Example ch_Example",
                "Quantity": 1,
                "UnitAmount": 120.0,
                "AccountCode": "200",
                "AccountID": INCOME,
                "TaxType": "OUTPUT2",
            }
        ],
    }
    assert (write.path, write.total_minor, write.party_id) == ("/BankTransactions", 12000, CONTACT)


def test_fees_are_spent_with_stripe_and_their_tax_is_inside() -> None:
    write = written(expense(input_tax(707, 71), input_tax(453, 45), fee(300), **HERE), version="AU")
    sent = body(write)
    assert (sent["Type"], sent["Contact"], sent["Reference"]) == ("SPEND", {"ContactID": STRIPE}, "TF-4F7K2M9QXD3A")
    assert sent["LineAmountTypes"] == "Inclusive"
    assert [(line["UnitAmount"], line["TaxType"], line.get("TaxAmount")) for line in sent["LineItems"]] == [
        (7.78, "INPUT", None),
        (4.98, "INPUT", None),
        (3.0, "BASEXCLUDED", None),
    ]
    assert (write.total_minor, write.party_id) == (778 + 498 + 300, STRIPE)


@pytest.mark.parametrize(("net", "tax", "rate"), [(707, 70, 100_000), (750, 28, 100_000), (707, 71, None)])
def test_tax_on_fees_is_named_where_xero_would_arrive_at_another_cent(net: int, tax: int, rate: int | None) -> None:
    (line,) = body(written(expense(input_tax(net, tax, rate), **HERE)))["LineItems"]
    assert (line["UnitAmount"], line["TaxType"], line["TaxAmount"]) == ((net + tax) / 100, "INPUT", tax / 100)


def test_tax_on_fees_needs_a_code_that_has_a_rate() -> None:
    for line in (fee(707, 71), input_tax(707, 71, 0)):
        assert refusal(expense(line, **HERE)).reason is Reason.TAX_CODE_MISFIT


def test_fees_that_come_back_are_received() -> None:
    sent = body(written(deposit(fee(1500), **HERE)))
    assert (sent["Type"], sent["LineAmountTypes"]) == ("RECEIVE", "NoTax")
    (line,) = sent["LineItems"]
    assert (line["UnitAmount"], "TaxType" in line) == (15.0, False)


def test_a_payout_is_carried_from_bank_to_bank() -> None:
    write = written(transfer(from_account=BANK, to_account=CHECKING, currency="GBP"))
    assert write.body.decode() == (
        '{"BankTransfers":[{"FromBankAccount":{"AccountID":"' + CLEARING + '"},"ToBankAccount":{"AccountID":"'
        + CHECKING.external_id + '"},"Amount":592.24,"Date":"2026-11-20","Reference":"TP-4F7K2M9QXD3A"}]}'
    )  # fmt: skip
    assert (write.path, write.total_minor, write.party_id) == ("/BankTransfers", 59224, None)


@pytest.mark.parametrize(
    ("ends", "kind", "bank", "other"),
    [((BANK, HELD), "SPEND", BANK, HELD), ((HELD, BANK), "RECEIVE", BANK, HELD)],
)
def test_between_a_bank_and_another_account_money_is_spent_or_received(
    ends: tuple[AccountRef, AccountRef], kind: str, bank: AccountRef, other: AccountRef
) -> None:
    write = written(transfer(from_account=ends[0], to_account=ends[1], currency="GBP"))
    sent = body(write)
    assert (sent["Type"], sent["BankAccount"]["AccountID"]) == (kind, bank.external_id)
    assert sent["LineAmountTypes"] == "NoTax"
    assert sent["LineItems"] == [
        {
            "Description": "Stripe po_Example",
            "Quantity": 1,
            "UnitAmount": 592.24,
            "AccountCode": "620",
            "AccountID": other.external_id,
        }
    ]
    assert (write.path, write.party_id) == ("/BankTransactions", STRIPE)


def test_what_needs_a_bank_account_does_not_leave_without_one() -> None:
    for document in (
        transfer(from_account=HELD, to_account=FEES, currency="GBP"),
        expense(fee(), account=HELD, currency="GBP"),
        deposit(fee(), account=HELD, currency="GBP"),
        sales_receipt(sold(), account=HELD, currency="GBP"),
    ):
        refused = refusal(document)
        assert (refused.reason, "bank account" in refused.text) == (Reason.REFUSED, True)


def test_who_takes_the_fees_keeps_one_number_under_every_name() -> None:
    payee = Payee("Stripe", "GBP")
    books = opened()
    sent = [body(books.prepare(payee, key="k", ids={}, revision=revision)) for revision in range(3)]
    assert [contact["Name"] for contact in sent] == ["Stripe", "Stripe (fees)", "Stripe (Tieout)"]
    assert {contact["ContactNumber"] for contact in sent} == {"tieout-payee-stripe"}
    with pytest.raises(ProviderRejectedError) as refused:
        books.prepare(payee, key="k", ids={}, revision=3)
    assert refused.value.reason is Reason.NAME_TAKEN


def test_stripe_is_needed_where_money_is_spent_or_received_and_nowhere_else() -> None:
    books = opened()
    stripe = (Payee("Stripe", "GBP"),)
    assert stripe[0].step == PAYEE_STEP
    for document in (expense(), deposit(), transfer(to_account=HELD), transfer(from_account=HELD)):
        assert books.supporting(document) == stripe
    for other in (transfer(), sales_receipt(), credit_note(), repayment(), refund(), CUSTOMER):
        assert books.supporting(other) == ()


def test_every_kind_keeps_out_of_a_locked_period_and_of_foreign_money() -> None:
    for document in (
        credit_note(sold(), currency="GBP"),
        repayment(account=BANK, currency="GBP"),
        sales_receipt(sold(), **HERE),
        expense(fee(), **HERE),
        deposit(fee(), **HERE),
        transfer(from_account=BANK, to_account=CHECKING, currency="GBP"),
        transfer(from_account=BANK, to_account=HELD, currency="GBP"),
    ):
        assert refusal(document, book_close_date="2026-11-20").detail == {
            "date": DAY.isoformat(),
            "closed_to": "2026-11-20",
        }
        assert written(document, book_close_date="2026-11-19")
        assert refusal(replace(document, currency="EUR")).reason is Reason.CURRENCY_NOT_ENABLED


def test_every_kind_that_has_a_page_is_linked() -> None:
    def url(kind: DocumentKind) -> str | None:
        return opened().document_url(kind, NOTE)

    assert url(DocumentKind.CREDIT_NOTE) == (
        f"https://go.xero.test/AccountsReceivable/ViewCreditNote.aspx?creditNoteID={NOTE}"
    )
    for kind in (DocumentKind.EXPENSE, DocumentKind.DEPOSIT, DocumentKind.SALES_RECEIPT):
        assert url(kind) == f"https://go.xero.test/Bank/ViewTransaction.aspx?bankTransactionID={NOTE}"
    for kind in (DocumentKind.PAYMENT, DocumentKind.REPAYMENT, DocumentKind.TRANSFER, DocumentKind.CUSTOMER):
        assert url(kind) is None
