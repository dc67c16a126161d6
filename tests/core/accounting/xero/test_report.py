"""What an account holds by Xero's own report, and questions about many things at once."""

from datetime import date
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from core.accounting.xero.queries import MAX_ASKED_AT_ONCE, is_id, is_text, listed
from core.books.documents import DocumentKind
from core.errors import ConfigurationError, ProviderUnavailableError, StopError
from core.reasons import Reason
from tests.core.accounting.xero.stub import CLEARING, CONTACT, INCOME, INVOICE, answering, found, opened
from tests.core.accounting.xero.test_bulk import guid, number

HEADS = ("Account", "Debit", "Credit", "YTD Debit", "YTD Credit")


def row(account_id: str, *values: str | None) -> dict[str, Any]:
    attributes = [{"Value": account_id, "Id": "account"}]
    return {"RowType": "Row", "Cells": [{"Value": value, "Attributes": attributes} for value in values]}


def trial_balance(*rows: dict[str, Any], heads: tuple[str, ...] = HEADS) -> httpx.Response:
    header = {"RowType": "Header", "Cells": [{"Value": head} for head in heads]}
    total = {"RowType": "SummaryRow", "Cells": [{"Value": "Total"}, {"Value": "9.00"}]}
    sections = [
        {"RowType": "Section", "Title": "Assets", "Rows": list(rows)},
        {"RowType": "Section", "Title": "", "Rows": [total]},
    ]
    return found("Reports", {"ReportID": "TrialBalance", "Rows": [header, *sections]})


@pytest.mark.parametrize(
    ("cells", "minor"),
    [
        # The first two columns are the month's; what the account holds stands in the last two.
        (("Stripe Clearing", "10.00", "", "702.24", ""), 70224),
        (("Stripe Clearing", "", "5.00", "", "1,421.00"), -142100),
        (("Stripe Clearing", None, None, None, None), 0),
    ],
)
async def test_an_account_holds_what_its_columns_of_the_year_say(cells: tuple[str | None, ...], minor: int) -> None:
    provider, requests = answering(
        trial_balance(row(INCOME, "Sales", "", "1.00", "", "9.00"), row(CLEARING.upper(), *cells))
    )
    assert await provider.read_balance(CLEARING) == minor
    assert requests[0].url.path == "/api.xro/2.0/Reports/TrialBalance"


async def test_an_account_without_a_row_holds_nothing() -> None:
    provider, _ = answering(trial_balance(row(INCOME, "Sales", "", "1.00", "", "9.00")))
    assert await provider.read_balance(CLEARING) == 0


@pytest.mark.parametrize(
    "answer",
    [
        trial_balance(heads=("Account", "Debit", "Credit")),
        trial_balance(row(CLEARING, "Stripe Clearing", "1.00")),
        trial_balance(row(CLEARING, "Stripe Clearing", "", "", "much", "")),
        trial_balance(row(CLEARING, "Stripe Clearing", "", "", "1.005", "")),
        found("Reports"),
        httpx.Response(200, text="<html>"),
        httpx.Response(500),
    ],
)
async def test_a_report_that_cannot_be_read_is_no_balance(answer: httpx.Response) -> None:
    provider, _ = answering(answer)
    with pytest.raises(ProviderUnavailableError):
        await provider.read_balance(CLEARING)


async def test_a_malformed_account_is_not_asked_about() -> None:
    with pytest.raises(StopError) as stopped:
        await opened().read_balance("91")
    assert stopped.value.reason is Reason.OUR_FAULT


def test_long_questions_are_cut_where_servers_would_refuse_them() -> None:
    references = [number(place) for place in range(1000)]
    asked = list(is_text("Reference", references))
    assert all(len(quote(where, safe="")) <= MAX_ASKED_AT_ONCE for where in asked)
    assert [term for where in asked for term in where.split(" OR ")] == [f'Reference=="{one}"' for one in references]
    # Fifty of ours are one question, whichever way they are asked for.
    ids = [guid(place) for place in range(50)]
    for filters in (is_text("CreditNoteNumber", references[:50]), is_id("BankTransactionID", ids), listed(ids)):
        assert len(list(filters)) == 1
    assert list(is_text("Reference", [])) == []


@pytest.mark.parametrize("text", ['x" OR Name!="', "back\\slash", "line\nend", "", "Zoë"])
def test_what_could_change_a_question_never_stands_in_it(text: str) -> None:
    with pytest.raises(ConfigurationError):
        list(is_text("Name", [text]))
    with pytest.raises(ConfigurationError):
        list(is_id("PaymentID", [text]))
    with pytest.raises(ConfigurationError):
        list(listed([f"{text},b"]))


async def test_a_document_of_another_status_does_not_stand_and_a_missing_one_neither() -> None:
    rows = [
        {"InvoiceID": guid(1), "Status": "PAID", "Total": 1.00, "CurrencyCode": "GBP", "Date": "/Date(1763596800000)/"},
        {"InvoiceID": guid(2), "Status": "VOIDED", "Total": 2.00, "CurrencyCode": "GBP"},
        {"InvoiceID": guid(3), "Status": "DRAFT", "Total": 3.00, "CurrencyCode": "GBP"},
        {"InvoiceID": guid(4), "Status": "PAID", "Total": 4.005, "CurrencyCode": "GBP"},
    ]
    provider, requests = answering(found("Invoices", *rows))
    ids = [guid(place) for place in range(1, 6)]
    read = await provider.read_back(DocumentKind.INVOICE, ids)
    assert [(read[one].stands, read[one].total_minor) for one in ids] == [
        (True, 100),
        (False, 0),
        (False, 0),
        (True, None),
        (False, 0),
    ]
    assert read[ids[0]].date == date(2025, 11, 20)
    assert requests[0].url.params["IDs"] == ",".join(ids)


async def test_what_cannot_be_read_back_is_our_fault() -> None:
    for kind, external_id in (
        (DocumentKind.ITEM, INVOICE),
        (DocumentKind.REFUND, INVOICE),
        (DocumentKind.INVOICE, "7"),
    ):
        with pytest.raises(StopError):
            await opened().read_back(kind, [external_id])


async def test_a_clients_standing_is_that_of_the_contact() -> None:
    provider, _ = answering(found("Contacts", {"ContactID": CONTACT, "Name": "Ana", "ContactStatus": "ARCHIVED"}))
    (standing,) = (await provider.read_back(DocumentKind.CUSTOMER, [CONTACT])).values()
    assert (standing.number, standing.stands) == ("Ana", False)


async def test_every_page_of_the_sales_is_read() -> None:
    def sale(place: int) -> dict[str, Any]:
        return {
            "InvoiceID": guid(place),
            "Type": "ACCREC",
            "Status": "PAID",
            "Total": 1,
            "Date": "/Date(1763596800000)/",
        }

    provider, requests = answering(
        found("Invoices", *(sale(place) for place in range(1000))),
        # One row slipped to the next page in between; it is listed once.
        found("Invoices", sale(999), sale(1000)),
        found("BankTransactions"),
    )
    sales = await provider.list_sales(date(2026, 11, 1), date(2026, 11, 30))
    assert len(sales) == 1001
    assert [request.url.params["page"] for request in requests] == ["1", "2", "1"]
    assert requests[0].url.params["where"] == (
        'Type=="ACCREC" AND Date>=DateTime(2026,11,01) AND Date<=DateTime(2026,11,30)'
    )
