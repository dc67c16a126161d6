"""Finding again what may have been written, and telling it from what others wrote."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.accounting.port import PreparedWrite
from core.errors import ProviderRejectedError, ProviderUnavailableError
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, REFERENCE
from tests.core.accounting.xero.stub import CONTACT, INVOICE, PAYMENT, answering, found, opened
from tests.core.accounting.xero.test_faults import a_payment, a_sale, the_invoice

OTHER = "5e0c1b2a-0009-4000-8000-000000000009"
NOT_FOUND = httpx.Response(404, text="The resource you're looking for cannot be found")


def a_client(**changes: Any) -> PreparedWrite:
    return opened().prepare(replace(CUSTOMER, **changes), key="key-3", ids={})


def contact(**changes: Any) -> dict[str, Any]:
    return {"ContactID": CONTACT, "ContactStatus": "ACTIVE", "Name": "Ana Lima", **changes}


async def reason_of(write: PreparedWrite, *answers: httpx.Response) -> Reason:
    provider, _ = answering(*answers)
    with pytest.raises(ProviderRejectedError) as refused:
        await provider.look_up(write)
    return refused.value.reason


# -- invoices


async def test_our_invoice_is_found_with_the_total_that_stands() -> None:
    provider, _ = answering(found("Invoices", the_invoice(Total=249.99, Status="PAID")))
    posted = await provider.look_up(a_sale())
    assert posted is not None
    assert (posted.external_id, posted.number, posted.total_minor) == (INVOICE, REFERENCE, 24999)


async def test_an_invoice_is_asked_for_by_its_number() -> None:
    provider, requests = answering(found("Invoices"))
    assert await provider.look_up(a_sale()) is None
    assert dict(requests[0].url.params) == {"InvoiceNumbers": REFERENCE, "page": "1", "pageSize": "1000"}


async def test_a_bill_of_a_supplier_with_our_number_is_not_looked_at() -> None:
    provider, _ = answering(found("Invoices", the_invoice(Type="ACCPAY")))
    assert await provider.look_up(a_sale()) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Reference": "INV 7", "Total": 1.00}, Reason.NUMBER_TAKEN),
        ({"Reference": "", "Contact": {"ContactID": OTHER}}, Reason.NUMBER_TAKEN),
        ({"Contact": {"ContactID": OTHER}}, Reason.CHANGED_IN_BOOKS),
        ({"Status": "VOIDED"}, Reason.CHANGED_IN_BOOKS),
        ({"Status": "DELETED"}, Reason.CHANGED_IN_BOOKS),
        ({"Status": "DRAFT"}, Reason.CHANGED_IN_BOOKS),
        ({"Total": 250.001}, Reason.CHANGED_IN_BOOKS),
    ],
)
async def test_what_stands_there_instead(changes: dict[str, Any], reason: Reason) -> None:
    assert await reason_of(a_sale(), found("Invoices", the_invoice(**changes))) is reason


async def test_ours_with_another_reference_is_known_by_client_and_total() -> None:
    provider, _ = answering(found("Invoices", the_invoice(Reference="changed by hand")))
    assert await provider.look_up(a_sale()) is not None


# -- payments


@pytest.mark.parametrize(
    "payments",
    [
        [],
        [{"PaymentID": PAYMENT, "Amount": 250.0, "Reference": "somebody's"}],
        [{"PaymentID": PAYMENT, "Amount": 250.0, "Reference": f"{REFERENCE}X"}],
        [{"PaymentID": PAYMENT, "Amount": 250.0, "Reference": REFERENCE, "Status": "DELETED"}],
    ],
)
async def test_no_payment_of_ours(payments: list[dict[str, Any]]) -> None:
    provider, _ = answering(found("Invoices", the_invoice(Payments=payments)))
    assert await provider.look_up(a_payment()) is None


async def test_a_payment_of_another_amount_is_found_with_it() -> None:
    row = {"PaymentID": PAYMENT, "Amount": 100.0, "Reference": REFERENCE}
    provider, _ = answering(found("Invoices", the_invoice(Payments=[row])))
    posted = await provider.look_up(a_payment())
    assert posted is not None
    assert (posted.total_minor, posted.currency, posted.party_id) == (10000, "GBP", CONTACT)


@pytest.mark.parametrize(
    "answer",
    [
        found("Invoices"),
        found("Invoices", the_invoice(Status="VOIDED")),
        found("Invoices", the_invoice(Contact={"ContactID": OTHER})),
    ],
)
async def test_an_invoice_that_can_no_longer_be_paid(answer: httpx.Response) -> None:
    assert await reason_of(a_payment(), answer) is Reason.CHANGED_IN_BOOKS


# -- contacts


async def test_a_client_is_found_by_number_whatever_its_name_became() -> None:
    provider, requests = answering(found("Contacts", contact(Name="Ana Lima-Ortiz", ContactNumber="cus_Example1")))
    posted = await provider.look_up(a_client())
    assert posted is not None
    assert posted.external_id == CONTACT
    assert requests[0].url.path == "/api.xro/2.0/Contacts/cus_Example1"


async def test_a_merged_client_is_followed() -> None:
    merged = contact(ContactStatus="ARCHIVED", MergedToContactID=OTHER)
    provider, _ = answering(found("Contacts", merged), found("Contacts", contact(ContactID=OTHER)))
    posted = await provider.look_up(a_client())
    assert posted is not None
    assert posted.external_id == OTHER


@pytest.mark.parametrize("status", ["ARCHIVED", "GDPRREQUEST"])
async def test_a_client_that_may_not_be_used(status: str) -> None:
    reason = await reason_of(a_client(), found("Contacts", contact(ContactStatus=status)))
    assert reason is Reason.CUSTOMER_INACTIVE


async def test_a_client_that_somebody_typed_in_is_found_by_name() -> None:
    provider, requests = answering(
        NOT_FOUND, found("Contacts", contact(Name="ANA  lima", EmailAddress="ANA@example.com"))
    )
    assert await provider.look_up(a_client()) is not None
    assert requests[1].url.params["searchTerm"] == "Ana Lima"
    assert "where" not in requests[1].url.params


@pytest.mark.parametrize(
    ("theirs", "is_same"),
    [
        ({"EmailAddress": "other@example.com"}, False),
        ({"EmailAddress": "ana@example.com", "ContactNumber": "cus_Other"}, True),
        ({}, True),
        ({"ContactNumber": "A-17"}, True),
        ({"ContactNumber": "cus_Other"}, False),
        ({"ContactNumber": "tieout-8d3f0000-0000-0000-0000-000000000002"}, False),
    ],
)
async def test_two_of_one_name(theirs: dict[str, Any], is_same: bool) -> None:
    provider, _ = answering(NOT_FOUND, found("Contacts", contact(**theirs)))
    if is_same:
        assert await provider.look_up(a_client()) is not None
    else:
        assert await reason_of(a_client(), NOT_FOUND, found("Contacts", contact(**theirs))) is Reason.NAME_TAKEN


async def test_the_name_of_an_archived_stranger_is_free() -> None:
    stranger = contact(ContactStatus="ARCHIVED", EmailAddress="other@example.com")
    provider, _ = answering(NOT_FOUND, found("Contacts", stranger))
    assert await provider.look_up(a_client()) is None


async def test_a_search_without_end_is_no_proof_of_absence() -> None:
    full = [contact(ContactID=f"5e0c1b2a-0009-4000-8000-{number:012d}", Name="Ana Limant") for number in range(1000)]
    provider, requests = answering(NOT_FOUND, *[found("Contacts", *full)] * 10)
    with pytest.raises(ProviderUnavailableError):
        await provider.look_up(a_client())
    assert len(requests) == 11
