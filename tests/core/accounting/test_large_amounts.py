"""Large amounts and currencies without decimals on the wire: digits written one by one, and read as they stand."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from core.accounting.port import AccountingProvider, Company, PreparedWrite
from core.books.documents import Document
from core.errors import OutcomeUnknownError
from tests.core.accounting.documents import CUSTOMER, REFERENCE, company, invoice, line, payment
from tests.core.accounting.quickbooks import stub as quickbooks
from tests.core.accounting.xero import stub as xero


@dataclass(frozen=True)
class Wire:
    """How one provider's stub is opened, and what it answers to an invoice and to a payment; %s is the total."""

    stub: Any
    company: Any
    ids: dict[str, str]
    invoice: str
    payment: str
    line: dict[str, str]

    def prepare(self, document: Document, home_currency: str) -> PreparedWrite:
        books: AccountingProvider = self.stub.opened(company=self.of(home_currency))
        supporting = books.supporting(document) if document.kind.value == "invoice" else []
        return books.prepare(document, key="key-1", ids=self.ids | {item.step: "23" for item in supporting})

    def answering(self, answer: str, home_currency: str) -> AccountingProvider:
        response = httpx.Response(200, content=answer.encode(), headers={"Content-Type": "application/json"})
        books, _ = self.stub.answering(response, company=self.of(home_currency))
        return books  # type: ignore[no-any-return]

    def of(self, home_currency: str) -> Company:
        found: Company = self.company(home_currency=home_currency)
        return found


QUICKBOOKS = Wire(
    quickbooks,
    company,
    {CUSTOMER.step: "60", "invoice": "155"},
    '{"Invoice":{"Id":"155","SyncToken":"0","DocNumber":"%(reference)s","TotalAmt":%(total)s,'
    '"CurrencyRef":{"value":"%(currency)s"},"CustomerRef":{"value":"60"}},"time":"2026-11-20T01:02:03.004-08:00"}',
    '{"Payment":{"Id":"156","SyncToken":"0","PaymentRefNum":"%(reference)s","TotalAmt":%(total)s,'
    '"CurrencyRef":{"value":"%(currency)s"},"CustomerRef":{"value":"60"},'
    '"Line":[{"Amount":%(total)s,"LinkedTxn":[{"TxnId":"155","TxnType":"Invoice"}]}]}}',
    {},
)
XERO = Wire(
    xero,
    xero.organisation,
    {CUSTOMER.step: xero.CONTACT, "invoice": xero.INVOICE},
    '{"Status":"OK","Invoices":[{"Type":"ACCREC","InvoiceID":"' + xero.INVOICE + '","InvoiceNumber":"%(reference)s",'
    '"Status":"AUTHORISED","Total":%(total)s,"AmountDue":%(total)s,"CurrencyCode":"%(currency)s",'
    '"Contact":{"ContactID":"' + xero.CONTACT + '"}}]}',
    '{"Status":"OK","Payments":[{"PaymentID":"' + xero.PAYMENT + '","Status":"AUTHORISED","Amount":%(total)s,'
    '"Reference":"%(reference)s","Invoice":{"InvoiceID":"' + xero.INVOICE + '","InvoiceNumber":"%(reference)s",'
    '"CurrencyCode":"%(currency)s","Contact":{"ContactID":"' + xero.CONTACT + '"}}}]}',
    {"income_account_id": xero.INCOME, "income_account_number": "200"},
)
WIRES = [pytest.param(QUICKBOOKS, id="quickbooks"), pytest.param(XERO, id="xero")]
AMOUNTS = [
    (99_999_999, "USD", "999999.99"),
    (99_999_999, "JPY", "99999999.00"),
    (99_999_990, "KWD", "99999.99"),
    (999_999_999_999, "IDR", "9999999999.99"),
    (2**53 + 1, "USD", "90071992547409.93"),
    (2**53 + 1, "JPY", "9007199254740993.00"),
    (2**63 - 1, "USD", "92233720368547758.07"),
    (2**63 - 1, "JPY", "9223372036854775807.00"),
]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("minor", "currency", "text"), AMOUNTS)
async def test_an_amount_goes_out_and_comes_back_with_every_digit(
    wire: Wire, minor: int, currency: str, text: str
) -> None:
    for document, answer in (
        (invoice(line(minor, **wire.line), currency=currency), wire.invoice),
        (payment(minor, currency=currency, clearing_account_id=wire.ids["invoice"]), wire.payment),
    ):
        write = wire.prepare(document, currency)
        assert f":{text}".encode() in write.body
        assert write.total_minor == minor
        # Some answers drop what is zero behind the point.
        for written in {text, text.removesuffix(".00"), text.removesuffix("0")}:
            said = answer % {"total": written, "currency": currency, "reference": REFERENCE}
            posted = await wire.answering(said, currency).execute(write)
            assert (posted.total_minor, posted.currency) == (minor, currency)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("currency", "total"),
    [("JPY", "99999999.50"), ("USD", "90071992547409.925"), ("USD", "92233720368547758.08"), ("USD", "1e400")],
)
async def test_a_total_that_no_amount_can_be_is_a_doubt_and_never_rounded(
    wire: Wire, currency: str, total: str
) -> None:
    write = wire.prepare(invoice(line(99_999_999, **wire.line), currency=currency), currency)
    said = wire.invoice % {"total": total, "currency": currency, "reference": REFERENCE}
    with pytest.raises(OutcomeUnknownError):
        await wire.answering(said, currency).execute(write)
