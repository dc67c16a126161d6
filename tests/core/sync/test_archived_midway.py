"""An account that the owner archives while a call of many is at work: what went before stands, the rest says why.

When the account is back and a person clicks on "Retry", what is missing is posted, and nothing stands twice.
"""

from collections import Counter
from uuid import UUID

import pytest

from core.db.models import PaymentState
from core.reasons import Reason
from tests.core.sync.test_bulk import SYNCED, backlog, known_client, writes
from tests.core.sync.test_doubts import Desk as QuickBooksDesk
from tests.core.sync.test_doubts import desk as quickbooks
from tests.core.sync.test_xero_books import CLEARING, INCOME, desk, house
from tests.core.sync.test_xero_books import Desk as XeroDesk
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk", "house", "quickbooks"]

STOPPED = (PaymentState.NEEDS_ATTENTION, Reason.ACCOUNT_INACTIVE)
FIRST = pytest.mark.parametrize("first", [0, 7])
SALES = 12


async def stopped_but(desk: XeroDesk | QuickBooksDesk, payments: list[UUID], first: int, account: str) -> list[UUID]:
    """Return the payments that stopped: all but the first ones of the call, whose order is not that of the sales."""
    standing = {payment_id: await desk.stands(payment_id) for payment_id in payments}
    assert Counter(standing.values()) == Counter({SYNCED: first, STOPPED: SALES - first})
    stopped = [payment_id for payment_id in payments if standing[payment_id] == STOPPED]
    for payment_id in stopped:
        assert (await desk.payment(payment_id)).reason_detail["account"] == account
    return stopped


async def retry_all(desk: XeroDesk | QuickBooksDesk, payments: list[UUID]) -> None:
    """Click on each, twice: more must not come of it than of one click."""
    for payment_id in payments:
        assert await desk.retry(payment_id)
        await desk.retry(payment_id)
    await desk.quiet(hours=1)


@FIRST
@pytest.mark.parametrize(("step", "account"), [("invoice", INCOME), ("payment", CLEARING)])
async def test_xero_books_what_came_before_and_the_rest_after_a_retry(
    desk: XeroDesk, step: str, account: str, first: int
) -> None:
    await known_client(desk)
    payments = await backlog(desk, 1, SALES)
    if step == "payment":
        # The call with the invoices goes through; the one with their payments waits for a second look.
        desk.fail("payment", FaultKind.RATE_LIMIT, code="minute", retry_after="5")
        await desk.worker.step()
    await desk.control.archive_between(desk.organisation, desk.accounts[account], after_elements=first)
    await desk.quiet(hours=0.5)
    stopped = await stopped_but(desk, payments, first, account)
    expected = {"Invoices": SALES if step == "payment" else first, "Payments": first}
    assert len(await desk.records("Invoice")) == 1 + expected["Invoices"]
    assert len(await desk.records("Payment")) == 1 + expected["Payments"]

    # As long as it is archived, a retry stops at the same place and sends nothing that could stand twice.
    await retry_all(desk, stopped[:2])
    assert await stopped_but(desk, payments, first, account) == stopped
    assert len(await desk.records("Payment")) == 1 + first

    await desk.control.act(desk.organisation, "Account", desk.accounts[account], "restore")
    await retry_all(desk, stopped)
    assert {await desk.stands(payment_id) for payment_id in payments} == {SYNCED}
    await desk.assert_once(sales=1 + SALES)


async def test_an_answer_that_is_lost_while_the_account_goes_leaves_nothing_twice(desk: XeroDesk) -> None:
    """The very same call is repeated; Xero answers it as it did, with five that stand and seven that do not."""
    await known_client(desk)
    payments = await backlog(desk, 1, SALES)
    desk.fail("invoice", FaultKind.DROP_AFTER_COMMIT)
    await desk.control.archive_between(desk.organisation, desk.accounts[INCOME], after_elements=5)
    await desk.worker.step()
    desk.runtime.forward(seconds=6)
    await desk.quiet(hours=0.5)
    stopped = await stopped_but(desk, payments, 5, INCOME)
    assert len(await desk.records("Invoice")) == 6
    assert any(entry.replayed for entry in writes(desk, "Invoices"))
    await desk.control.act(desk.organisation, "Account", desk.accounts[INCOME], "restore")
    await retry_all(desk, stopped)
    assert {await desk.stands(payment_id) for payment_id in payments} == {SYNCED}
    await desk.assert_once(sales=1 + SALES)


@FIRST
@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "answer lost"])
async def test_quickbooks_books_what_came_before_and_the_rest_after_a_retry(
    quickbooks: QuickBooksDesk, first: int, is_lost: bool
) -> None:
    desk, clearing = quickbooks, quickbooks.accounts["Stripe clearing"]
    await known_client(desk)
    # The invoices travel first; their answer is delayed by a refusal of the batch that carries the payments.
    payments = await backlog(desk, 1, SALES)
    rule = {"provider": "quickbooks", "method": "POST", "path": r"/batch\?", "body": "DepositToAccountRef"}
    desk.sandbox.faults.add(FaultRule(kind=FaultKind.RATE_LIMIT, **rule))  # type: ignore[arg-type]
    await desk.worker.step()
    assert len(await desk.control.documents(desk.realm, "invoice")) == 1 + SALES
    if is_lost:
        desk.sandbox.faults.add(FaultRule(kind=FaultKind.DROP_AFTER_COMMIT, **rule))  # type: ignore[arg-type]
    await desk.control.archive_between(desk.realm, clearing, after_items=first)
    await desk.quiet(hours=0.5)
    stopped = await stopped_but(desk, payments, first, "Stripe clearing")
    assert len(await desk.control.documents(desk.realm, "payment")) == 1 + first

    await retry_all(desk, stopped[:2])
    assert await stopped_but(desk, payments, first, "Stripe clearing") == stopped

    await desk.control.activate(desk.realm, "account", clearing)
    await retry_all(desk, stopped)
    assert {await desk.stands(payment_id) for payment_id in payments} == {SYNCED}
    await desk.assert_once(sales=1 + SALES)
