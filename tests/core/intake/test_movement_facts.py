"""Refunds, disputes, payouts and Stripe's ledger, from dictionaries of Stripe's shapes."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.intake.handlers import targets_of
from core.intake.handlers.registry import is_dispute_id, is_payout_id, is_refund_id
from core.intake.read_movements import (
    moves_the_balance,
    read_balance,
    read_dispute,
    read_payout,
    read_refund,
    read_transaction,
)

Json = dict[str, Any]
AT = 1795005000


def bt(amount: int = -2500, fee: int = 0, **fields: Any) -> Json:
    plain = {"id": "txn_1", "object": "balance_transaction", "type": "refund", "reporting_category": "refund"}
    sums = {"amount": amount, "fee": fee, "net": amount - fee, "currency": "usd", "created": AT}
    return {**plain, **sums, "source": "re_1", "status": "available", "balance_type": "payments", **fields}


def charge(**fields: Any) -> Json:
    return {"id": "py_1", "object": "charge", "amount": 9000, "amount_captured": 9000, "currency": "usd", **fields}


def test_a_refund_names_its_payment_and_what_it_moved() -> None:
    found = read_refund(
        {
            "id": "re_1",
            "amount": 2500,
            "currency": "USD",
            "status": "failed",
            "reason": "requested_by_customer",
            "failure_reason": "expired_or_canceled_card",
            "payment_intent": "pi_1",
            "charge": charge(id="ch_1", amount_refunded=0),
            "balance_transaction": bt(),
            "failure_balance_transaction": bt(2500, id="txn_2", reporting_category="refund_failure"),
            "created": AT,
        }
    )
    assert (found.payment_source_id, found.charge_id, found.payment_refunded_minor) == ("pi_1", "ch_1", 0)
    assert [(one.stripe_id, one.net_minor) for one in found.movements] == [("txn_1", -2500), ("txn_2", 2500)]
    assert (found.currency, found.status, found.failure_reason) == ("usd", "failed", "expired_or_canceled_card")


def test_a_dispute_shows_its_money_in_stripes_order() -> None:
    rows = [bt(-8000, 1500, reporting_category="dispute"), bt(8000, -1500, id="txn_2")]
    found = read_dispute({"id": "du_1", "charge": "ch_1", "status": "won", "balance_transactions": rows})
    assert [one.net_minor for one in found.movements] == [-9500, 9500]
    assert (found.payment_source_id, found.is_closed) == ("ch_1", True)


@pytest.mark.parametrize(
    ("automatic", "status", "has_lines"),
    [(True, "completed", True), (True, "in_progress", False), (False, "not_applicable", False)],
)
def test_only_an_automatic_payout_that_is_reconciled_has_lines(automatic: bool, status: str, has_lines: bool) -> None:
    bank = {"id": "ba_1", "object": "bank_account", "bank_name": "First Bank", "last4": "6789"}
    found = read_payout(
        {
            "id": "po_1",
            "amount": -700,
            "currency": "usd",
            "arrival_date": 1795219200,
            "automatic": automatic,
            "reconciliation_status": status,
            "destination": bank,
            "trace_id": {"status": "supported", "value": "T1"},
        }
    )
    assert found.has_lines is has_lines
    assert (found.amount_minor, found.arrival_date) == (-700, date(2026, 11, 21))
    assert (found.bank_name, found.bank_last4, found.trace_id) == ("First Bank", "6789", "T1")


def test_a_row_of_the_ledger_brings_its_refund_or_names_its_payment() -> None:
    whole = {"id": "re_1", "object": "refund", "amount": 2500, "currency": "usd", "payment_intent": "pi_1"}
    assert (row := read_transaction(bt(source=whole))).refund is not None
    assert (row.payment_source_id, row.movement.source_id) == ("pi_1", "re_1")
    sold = read_transaction(bt(9000, reporting_category="charge", source=charge(payment_intent="pi_2")))
    assert (sold.refund, sold.payment_source_id) == (None, "pi_2")
    bare = read_transaction(bt(9000, reporting_category="charge", source="py_1"))
    assert bare.payment_source_id == "py_1"
    assert read_transaction(bt(-200, reporting_category="fee", source=None)).payment_source_id is None


@pytest.mark.parametrize(
    ("category", "captured", "given_back"), [("charge_failure", 9000, 9000), ("partial_capture_reversal", 6000, 3000)]
)
def test_a_charge_that_stripe_takes_back_stands_as_a_refund(category: str, captured: int, given_back: int) -> None:
    row = bt(-given_back, reporting_category=category, source=charge(amount_captured=captured, failure_code="nsf"))
    undone = read_transaction(row).refund
    assert undone is not None
    assert (undone.stripe_id, undone.charge_id, undone.amount_minor) == ("py_1", "py_1", given_back)
    assert undone.created_at == datetime.fromtimestamp(AT, UTC)


def test_other_balances_than_the_one_that_is_paid_out_are_left_alone() -> None:
    assert [moves_the_balance(bt(balance_type=kind)) for kind in ("payments", None, "issuing")] == [True, True, False]
    assert moves_the_balance({"id": "txn_1"})


def test_a_balance_is_what_is_available_and_what_is_pending() -> None:
    both = {
        "available": [{"amount": -50, "currency": "usd"}, {"amount": 5, "currency": "eur"}],
        "pending": [{"amount": 70, "currency": "usd"}, None, {"amount": "x"}],
    }
    assert [(part.currency, part.total_minor) for part in read_balance(both)] == [("eur", 5), ("usd", 20)]


@pytest.mark.parametrize("value", ["", "re_", "re_1/../../charges", "po_1?expand[]=x", "du 1", None, 5, {"id": "re_1"}])
def test_what_is_no_id_is_never_asked_for(value: Any) -> None:
    assert not any(check(value) for check in (is_refund_id, is_dispute_id, is_payout_id))
    for event_type in ("refund.created", "charge.dispute.closed", "payout.paid"):
        assert targets_of(event_type, {"id": value}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *("amount", "currency", "status", "reason", "charge", "payment_intent", "created", "arrival_date", "automatic"),
    *("destination", "trace_id", "evidence_details", "method", "failure_reason", "livemode", "failure_message"),
)


@given(obj=st.fixed_dictionaries({"id": st.just("x_1")}, optional=dict.fromkeys(FIELDS, JSON)), balance=JSON)
def test_no_shape_raises(obj: Json, balance: Any) -> None:
    for read in (read_refund, read_dispute, read_payout):
        found = read(obj)
        assert len(found.currency) <= 3
        assert "\x00" not in found.status
    assert isinstance(read_balance({"available": balance, "pending": [balance]}), tuple)
