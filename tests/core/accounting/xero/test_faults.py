"""Every form of refusal that Xero is known to give, and what may be done after it."""

from typing import Any

import httpx
import pytest

from core.accounting.port import PreparedWrite
from core.books.documents import DocumentKind
from core.errors import (
    AccessExpiredError,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, REFERENCE, invoice, payment
from tests.core.accounting.xero.stub import (
    CLEARING,
    CONTACT,
    INVOICE,
    NO_ID,
    PAYMENT,
    TENANT,
    answering,
    exception,
    found,
    opened,
    problem,
    refused,
)
from tests.core.accounting.xero.test_bodies import IDS, sold


def a_sale() -> PreparedWrite:
    return opened().prepare(invoice(sold(), currency="GBP"), key="key-1", ids=IDS)


def a_payment() -> PreparedWrite:
    document = payment(clearing_account_id=CLEARING, currency="GBP")
    return opened().prepare(document, key="key-2", ids=IDS)


def the_invoice(**changes: Any) -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "InvoiceID": INVOICE,
        "InvoiceNumber": REFERENCE,
        "Reference": "Stripe pi_Example ch_Example",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": CONTACT, "Name": "Ana Lima"},
        "CurrencyCode": "GBP",
        "Total": 250.00,
        "HasErrors": False,
        **changes,
    }


async def error_of(*answers: httpx.Response | Exception, write: PreparedWrite | None = None) -> ProviderError:
    provider, _ = answering(*answers)
    with pytest.raises(ProviderError) as caught:
        await provider.execute(write or a_sale())
    return caught.value


# -- keys


async def test_the_key_names_the_organisation_and_the_sending() -> None:
    provider, requests = answering(found("Invoices", the_invoice()), found("Invoices", the_invoice()))
    await provider.execute(a_sale())
    await provider.execute(a_sale(), send=2)
    keys = [request.headers["idempotency-key"] for request in requests]
    assert keys == [f"{TENANT}.key-1.1", f"{TENANT}.key-1.2"]
    assert all(request.headers["xero-tenant-id"] == TENANT for request in requests)
    assert all(request.method == "PUT" for request in requests)
    assert str(requests[0].url) == "https://xero.test/api.xro/2.0/Invoices?summarizeErrors=false&unitdp=4"


async def test_a_key_that_xero_knows_otherwise_is_a_doubt() -> None:
    text = "Idempotency Key: abc is used with a different request."
    error = await error_of(httpx.Response(400, json={"Type": "BadRequest", "Message": text}))
    assert isinstance(error, OutcomeUnknownError)
    assert error.answered


# -- refusals


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Invoice # must be unique.", Reason.NUMBER_TAKEN),
        ("Organisation is not subscribed to currency EUR", Reason.CURRENCY_NOT_ENABLED),
        ("The TaxType code 'OUTPUT2' cannot be used with account code '200'", Reason.TAX_CODE_MISFIT),
        ("You have reached the limit of invoices you can approve", Reason.SUBSCRIPTION_ENDED),
        ("Description is required", Reason.REFUSED),
    ],
)
@pytest.mark.parametrize("form", [refused, lambda _, text: exception(text)], ids=["element", "exception"])
async def test_refusals_by_their_words(text: str, reason: Reason, form: Any) -> None:
    readings = [found("Contacts", {"ContactID": CONTACT, "Name": "Ana Lima"}), found("Accounts")]
    error = await error_of(form("Invoices", text), *readings)
    assert isinstance(error, ProviderRejectedError)
    # No account is there at all, so an unclear refusal is that of the account.
    assert error.reason is (Reason.ACCOUNT_INACTIVE if reason is Reason.REFUSED else reason)
    assert (error.text, error.request_id) == (text, "corr-1")


async def test_a_lock_is_asked_for_its_day() -> None:
    org = {"Name": "Lima", "BaseCurrency": "GBP", "PeriodLockDate": "/Date(1764460800000+0000)/"}
    text = "The document date cannot be before the period lock date, currently set at 30 Nov 2025"
    error = await error_of(refused("Invoices", text), found("Organisations", org))
    assert isinstance(error, ProviderRejectedError)
    assert error.reason is Reason.PERIOD_CLOSED
    assert error.detail == {"date": "2026-11-20", "closed_to": "2025-11-30"}


@pytest.mark.parametrize(
    "element",
    [
        {"HasErrors": True},
        {"StatusAttributeString": "ERROR"},
        {"HasValidationErrors": True},
        {"ValidationErrors": [{"Message": "no"}]},
    ],
)
async def test_one_sign_of_refusal_is_enough_even_with_an_id(element: dict[str, Any]) -> None:
    clean = [found("Contacts", {"ContactID": CONTACT}), problem(500, "x")]
    error = await error_of(found("Invoices", {**the_invoice(), **element}), *clean)
    assert isinstance(error, ProviderRejectedError)


@pytest.mark.parametrize(
    "answer",
    [
        found("Invoices", the_invoice(InvoiceID=NO_ID)),
        found("Invoices", the_invoice(InvoiceID=None)),
        found("Invoices", the_invoice(InvoiceNumber="INV-0001")),
        found("Invoices", the_invoice(Status="DRAFT")),
        found("Invoices", the_invoice(Total=None)),
        found("Invoices", the_invoice(Total=250.001)),
        found("Invoices"),
        found("Invoices", the_invoice(), the_invoice()),
        httpx.Response(200, content=b'{"Status":"OK","Invo'),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"<Response/>"),
        httpx.Response(302, headers={"location": "https://elsewhere.test"}),
    ],
)
async def test_an_answer_that_proves_nothing_is_a_doubt(answer: httpx.Response) -> None:
    error = await error_of(answer)
    assert isinstance(error, OutcomeUnknownError)
    assert error.answered


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_failing_server_leaves_a_doubt_about_a_write(status: int) -> None:
    assert isinstance(await error_of(httpx.Response(status, text="The Organisation is offline")), OutcomeUnknownError)


async def test_a_failing_server_leaves_none_about_a_read() -> None:
    provider, _ = answering(httpx.Response(503, text="The Organisation is offline"))
    with pytest.raises(ProviderUnavailableError) as caught:
        await provider.list_accounts()
    assert caught.value.text == "The Organisation is offline"


async def test_no_line_and_a_broken_line_are_told_apart() -> None:
    assert isinstance(await error_of(httpx.ConnectError("no")), NotSentError)
    error = await error_of(httpx.ReadTimeout("late"))
    assert isinstance(error, OutcomeUnknownError)
    assert not error.answered


# -- access and pace


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "TokenExpired: token expired at 11/22/2026 10:00:00"), AccessExpiredError),
        (httpx.Response(401), AccessExpiredError),
        (problem(401, "AuthorizationUnsuccessful"), ReconnectRequiredError),
        (problem(403, "AuthenticationUnsuccessful"), ReconnectRequiredError),
        (httpx.Response(403, text="<html>blocked by a firewall</html>"), ProviderUnavailableError),
        (httpx.Response(501), ProviderRejectedError),
    ],
)
async def test_access_that_is_missing(answer: httpx.Response, kind: type[ProviderError]) -> None:
    assert type(await error_of(answer, found("Contacts"), found("Accounts"))) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-rate-limit-problem": "minute", "retry-after": "17"}, 17.0),
        ({"x-rate-limit-problem": "day", "retry-after": "77000"}, 77_000.0),
        ({"x-rate-limit-problem": "concurrent"}, 2.0),
        ({"x-rate-limit-problem": "appminute"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
    ],
)
async def test_pace(headers: dict[str, str], seconds: float | None) -> None:
    error = await error_of(httpx.Response(429, headers=headers))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == seconds


# -- what may have been us


async def test_a_payment_refused_because_it_is_paid_is_found_to_be_ours() -> None:
    paid = {"PaymentID": PAYMENT, "Amount": 250.00, "Reference": f"{REFERENCE} Stripe ch_Example"}
    provider, requests = answering(
        refused("Payments", "Payment amount exceeds the amount outstanding on this document", PaymentID=NO_ID),
        found("Invoices", the_invoice(Status="PAID", Payments=[paid])),
    )
    posted = await provider.execute(a_payment(), send=2)
    assert (posted.external_id, posted.total_minor, posted.party_id) == (PAYMENT, 25000, CONTACT)
    assert requests[1].url.params["IDs"] == INVOICE


async def test_a_payment_refused_because_somebody_else_paid_is_refused() -> None:
    paid = {"PaymentID": PAYMENT, "Amount": 250.00, "Reference": "bank"}
    error = await error_of(
        refused("Payments", "Payment amount exceeds the amount outstanding on this document"),
        found("Invoices", the_invoice(Status="PAID", Payments=[paid])),
        write=a_payment(),
    )
    assert isinstance(error, ProviderRejectedError)
    assert error.reason is Reason.CHANGED_IN_BOOKS


async def test_a_name_taken_by_our_own_contact_is_ours() -> None:
    write = opened().prepare(CUSTOMER, key="key-3", ids={})
    ours = {"ContactID": CONTACT, "ContactNumber": "cus_Example1", "Name": "Ana Lima"}
    provider, _ = answering(
        refused("Contacts", "The contact name Ana Lima is already assigned to another contact."),
        found("Contacts", ours),
    )
    assert (await provider.execute(write)).external_id == CONTACT


async def test_odd_keys_and_paths_never_leave() -> None:
    provider, requests = answering()
    for key in ("", "k\r\nx: y", "k" * 120):
        write = PreparedWrite(DocumentKind.INVOICE, "invoice", key, REFERENCE, "/Invoices", b"{}", 1, "GBP")
        with pytest.raises(ConfigurationError):
            await provider.execute(write)
    assert requests == []
