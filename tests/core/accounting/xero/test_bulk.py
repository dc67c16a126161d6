"""Fifty in one call: each stands or falls alone, and none is known by its place in the answer."""

from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from core.accounting.port import Posted, PreparedWrite
from core.accounting.xero import bulk
from core.books.documents import DocumentKind
from core.errors import (
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
)
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, invoice, payment
from tests.core.accounting.movements import PAYEE_STEP, transfer
from tests.core.accounting.xero.stub import CLEARING, CONTACT, NO_ID, TENANT, answering, found, opened
from tests.core.accounting.xero.test_bodies import sold
from tests.core.accounting.xero.test_money_bodies import BANK, CHECKING, HELD, STRIPE


def number(place: int) -> str:
    return f"TO-{place:012}"


def guid(place: int) -> str:
    return f"5e0c1b2a-0100-4000-8000-{place:012}"


def sales(count: int = 3, **changes: Any) -> list[PreparedWrite]:
    books = opened()
    return [
        books.prepare(
            invoice(sold(10000 + place), currency="GBP", reference=number(place), **changes),
            key=f"key-{place}",
            ids={CUSTOMER.step: CONTACT},
        )
        for place in range(count)
    ]


def made(place: int, **changes: Any) -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "InvoiceID": guid(place),
        "InvoiceNumber": number(place),
        "Reference": "Stripe pi_Example ch_Example",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": CONTACT},
        "CurrencyCode": "GBP",
        "Total": 100 + place / 100,
        "HasErrors": False,
        "StatusAttributeString": "OK",
        **changes,
    }


def failed(place: int, *messages: str, **changes: Any) -> dict[str, Any]:
    errors = [{"Message": message} for message in messages]
    bad = {"InvoiceID": NO_ID, "HasErrors": True, "StatusAttributeString": "ERROR", "ValidationErrors": errors}
    return {"InvoiceNumber": number(place), **bad, **changes}


async def sent(
    writes: list[PreparedWrite], *answers: httpx.Response | Exception
) -> tuple[list[Posted | ProviderError], list[httpx.Request]]:
    provider, requests = answering(*answers)
    return list(await provider.execute_many(writes, key="batch-1")), requests


def ids(outcomes: list[Posted | ProviderError]) -> list[str]:
    return [outcome.external_id if isinstance(outcome, Posted) else type(outcome).__name__ for outcome in outcomes]


async def test_members_keep_their_bytes_and_travel_under_one_key() -> None:
    writes = sales()
    outcomes, requests = await sent(writes, found("Invoices", made(0), made(1), made(2)))
    assert ids(outcomes) == [guid(0), guid(1), guid(2)]
    (request,) = requests
    inner = [write.body.removeprefix(b'{"Invoices":[').removesuffix(b"]}") for write in writes]
    assert request.content == b'{"Invoices":[' + b",".join(inner) + b"]}"
    assert request.headers["idempotency-key"] == f"{TENANT}.batch-1.1"
    assert dict(request.url.params) == {"summarizeErrors": "false", "unitdp": "4"}


async def test_another_order_changes_nothing() -> None:
    outcomes, _ = await sent(sales(), found("Invoices", made(2), made(0), made(1)))
    assert ids(outcomes) == [guid(0), guid(1), guid(2)]
    assert [outcome.total_minor for outcome in outcomes if isinstance(outcome, Posted)] == [10000, 10001, 10002]


async def test_one_that_is_missing_in_the_answer_is_a_doubt_and_the_others_are_not() -> None:
    outcomes, _ = await sent(sales(), found("Invoices", made(0), made(2)))
    assert ids(outcomes) == [guid(0), "OutcomeUnknownError", guid(2)]


@pytest.mark.parametrize(
    "row",
    [
        made(1, InvoiceID=NO_ID),
        made(1, InvoiceID=""),
        made(1, Total=None),
        made(1, Status="DRAFT"),
        made(1, InvoiceNumber="TO-SOMETHINGELSE"),
        made(1, InvoiceNumber=None),
    ],
)
async def test_an_element_that_says_too_little_is_a_doubt(row: dict[str, Any]) -> None:
    outcomes, _ = await sent(sales(), found("Invoices", made(0), row, made(2)))
    assert ids(outcomes) == [guid(0), "OutcomeUnknownError", guid(2)]


async def test_two_elements_with_one_number_are_a_doubt() -> None:
    outcomes, _ = await sent(sales(2), found("Invoices", made(0), made(1), made(1, InvoiceID=guid(9))))
    assert ids(outcomes) == [guid(0), "OutcomeUnknownError"]


async def test_one_bad_of_fifty_falls_alone() -> None:
    rows = [made(place) for place in range(50)]
    rows[7] = failed(7, "The document date cannot be before the period lock date, currently set at 20 November 2026")
    lock = {"BaseCurrency": "GBP", "PeriodLockDate": "/Date(1763596800000+0000)/"}
    outcomes, _ = await sent(sales(50), found("Invoices", *rows), found("Organisations", lock))
    bad = outcomes.pop(7)
    assert isinstance(bad, ProviderRejectedError)
    assert (bad.reason, bad.detail) == (Reason.PERIOD_CLOSED, {"date": "2026-11-20", "closed_to": "2025-11-20"})
    assert all(isinstance(outcome, Posted) for outcome in outcomes)


async def test_each_of_the_four_ways_of_saying_no_counts() -> None:
    for word in (
        {"HasErrors": True},
        {"HasValidationErrors": True},
        {"StatusAttributeString": "ERROR"},
        {"ValidationErrors": [{"Message": "No."}]},
    ):
        # Payments are known to be refused with an id.
        outcomes, _ = await sent(sales(2), found("Invoices", made(0), made(1, **word)), *[found("Accounts")] * 2)
        assert ids(outcomes) == [guid(0), "ProviderRejectedError"]


async def test_a_warning_is_no_refusal() -> None:
    outcomes, _ = await sent(
        sales(2), found("Invoices", made(0, StatusAttributeString="WARNING", Warnings=[{"Message": "Odd."}]), made(1))
    )
    assert ids(outcomes) == [guid(0), guid(1)]


async def test_numbers_that_were_ours_already_are_taken_over_with_one_question() -> None:
    taken = "Invoice # must be unique."
    outcomes, requests = await sent(
        sales(), found("Invoices", failed(0, taken), made(1), failed(2, taken)), found("Invoices", made(0), made(2))
    )
    assert ids(outcomes) == [guid(0), guid(1), guid(2)]
    assert requests[1].url.params["InvoiceNumbers"] == f"{number(0)},{number(2)}"


async def test_a_number_that_is_somebody_elses_stays_refused() -> None:
    other = made(1, Reference="INV 7", Total=1.00)
    outcomes, _ = await sent(
        sales(2), found("Invoices", made(0), failed(1, "Invoice # must be unique.")), found("Invoices", other)
    )
    bad = outcomes[1]
    assert isinstance(bad, ProviderRejectedError)
    assert (bad.reason, bad.detail) == (Reason.NUMBER_TAKEN, {"reference": number(1)})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500, text="oh"), OutcomeUnknownError),
        (httpx.Response(503, text="The Organisation is offline"), OutcomeUnknownError),
        (httpx.Response(200, text="<html>"), OutcomeUnknownError),
        (httpx.ReadTimeout("late"), OutcomeUnknownError),
        (httpx.Response(429, headers={"retry-after": "7"}), RateLimitedError),
    ],
)
async def test_what_happens_to_the_call_happens_to_all(
    answer: httpx.Response | Exception, error: type[ProviderError]
) -> None:
    with pytest.raises(error):
        await sent(sales(), answer)


def paid(place: int) -> PreparedWrite:
    return opened().prepare(
        payment(10000 + place, clearing_account_id=CLEARING, currency="GBP", reference=number(place)),
        key=f"pay-{place}",
        ids={CUSTOMER.step: CONTACT, "invoice": guid(place)},
    )


async def test_payments_are_known_by_what_they_pay_and_how_much() -> None:
    def row(place: int, cents: int, **changes: Any) -> dict[str, Any]:
        whole = {"InvoiceID": guid(place).upper(), "Contact": {"ContactID": CONTACT}, "CurrencyCode": "GBP"}
        return {"PaymentID": guid(70 + place), "Amount": cents / 100, "Invoice": whole, **changes}

    bad = row(2, 10002, HasValidationErrors=True, ValidationErrors=[{"Message": "No."}])
    outcomes, _ = await sent(
        [paid(0), paid(1), paid(2)],
        found("Payments", bad, row(1, 9999), row(0, 10000)),
        *[found("Accounts")] * 2,
    )
    assert ids(outcomes) == [guid(70), "OutcomeUnknownError", "ProviderRejectedError"]


def payout(place: int, to: Any = CHECKING) -> PreparedWrite:
    return opened().prepare(
        transfer(100 + place, from_account=BANK, to_account=to, currency="GBP", reference=number(place)),
        key=f"move-{place}",
        ids={PAYEE_STEP: STRIPE},
    )


def carried(place: int, **changes: Any) -> dict[str, Any]:
    return {"BankTransferID": guid(place), "Amount": 1 + place / 100, "Reference": number(place), **changes}


async def test_transfers_to_a_bank_and_elsewhere_go_in_two_calls_under_two_keys() -> None:
    spent = {
        "BankTransactionID": guid(1),
        "Type": "SPEND",
        "Reference": number(1),
        "Total": 1.01,
        "Status": "AUTHORISED",
        "Contact": {"ContactID": STRIPE},
        "CurrencyCode": "GBP",
    }
    outcomes, requests = await sent(
        [payout(0), payout(1, HELD), payout(2)],
        found("BankTransfers", carried(0), carried(2)),
        found("BankTransactions", spent),
    )
    assert ids(outcomes) == [guid(0), guid(1), guid(2)]
    keys = [request.headers["idempotency-key"] for request in requests]
    assert keys == [f"{TENANT}.batch-1.0.1", f"{TENANT}.batch-1.1.1"]
    assert [request.url.path.rpartition("/")[2] for request in requests] == ["BankTransfers", "BankTransactions"]


async def test_a_second_call_that_fails_is_its_own_members_alone() -> None:
    outcomes, _ = await sent(
        [payout(0), payout(1, HELD)], found("BankTransfers", carried(0)), httpx.Response(500, text="oh")
    )
    assert ids(outcomes) == [guid(0), "OutcomeUnknownError"]


async def test_of_a_call_refused_as_a_whole_only_those_it_names_are_refused() -> None:
    """Transfers know no ``summarizeErrors``: what became of the good ones is nowhere said, so it is looked up."""
    bad = {"Reference": number(1), "ValidationErrors": [{"Message": "The amount is wrong."}], "BankTransferID": NO_ID}
    answer = httpx.Response(
        400, json={"ErrorNumber": 10, "Type": "ValidationException", "Message": "x", "Elements": [bad]}
    )
    outcomes, _ = await sent([payout(0), payout(1), payout(2)], answer, found("Accounts"))
    assert ids(outcomes) == ["OutcomeUnknownError", "ProviderRejectedError", "OutcomeUnknownError"]


async def test_what_is_too_long_for_one_call_goes_in_several() -> None:
    long = [replace(write, body=write.body[:-1] + b" " * (bulk.MAX_BODY * 2 // 5) + b"}") for write in sales()]
    outcomes, requests = await sent(long, found("Invoices", made(0), made(1)), found("Invoices", made(2)))
    assert ids(outcomes) == [guid(0), guid(1), guid(2)]
    assert [len(msgspec.json.decode(request.content)["Invoices"]) for request in requests] == [2, 1]


def test_what_may_travel_together_and_what_is_looked_up_before_every_send() -> None:
    limits = opened().limits
    money = frozenset(DocumentKind) - {DocumentKind.ITEM, DocumentKind.REFUND}
    assert limits.together == dict.fromkeys(money, 50)
    assert limits.found_first == {
        DocumentKind.SALES_RECEIPT,
        DocumentKind.EXPENSE,
        DocumentKind.DEPOSIT,
        DocumentKind.TRANSFER,
    }
    # In a minute that starts whenever it likes: what may follow at once, and a minute of the pace.
    assert limits.burst + 60 * limits.calls_per_second <= 60


async def test_every_request_is_counted() -> None:
    provider, _ = answering(found("Invoices", made(0)), found("Invoices"), httpx.Response(500, text="oh"))
    (write,) = sales(1)
    assert provider.calls == 0
    await provider.execute(write)
    await provider.look_up(write)
    with pytest.raises(ProviderError):
        await provider.execute(write)
    assert provider.calls == 3
