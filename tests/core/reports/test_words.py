"""Reasons in the reader's words: filled, with money and days as people write them, and only where there is a reason."""

from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from core.db.models import AttemptOutcome, PaymentState
from core.reasons import WORDING, Reason
from core.reports.standing import Attention, Standing
from core.reports.timeline import Try, tell
from core.reports.words import explain, readable

NOWHERE = Standing(uuid4(), 0, ZoneInfo("UTC"), None, Attention(0, 0, None), 0, 0, None, None)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_can_be_said_with_nothing_known(reason: Reason) -> None:
    why = explain(
        NOWHERE, state=PaymentState.NEEDS_ATTENTION, reason=reason, detail={}, next_try_at=None, client="", service=""
    )
    assert why is not None
    assert "{" not in why.wording.title + why.wording.explanation + why.wording.short


def test_amounts_and_days_of_the_detail_are_written_out() -> None:
    detail = {"found_minor": 43301, "expected_minor": 43300, "currency": "usd", "closed_to": "2026-10-31", "n": "x"}
    assert readable(detail) == {
        "found": "433.01 USD",
        "expected": "433.00 USD",
        "difference": "0.01 USD",
        "currency": "usd",
        "closed_to": "October 31, 2026",
        "n": "x",
    }
    why = explain(
        NOWHERE,
        state=PaymentState.NEEDS_ATTENTION,
        reason=Reason.LINES_DO_NOT_ADD_UP,
        detail=detail,
        next_try_at=None,
        client="Anna",
        service="Album",
    )
    assert why is not None
    assert why.wording.explanation.startswith("Stripe's lines come to 433.01 USD, the client paid 433.00 USD.")


@pytest.mark.parametrize("state", [PaymentState.SYNCED, PaymentState.UNDONE])
def test_what_is_settled_needs_no_reason(state: PaymentState) -> None:
    assert (
        explain(NOWHERE, state=state, reason=Reason.REFUSED, detail={}, next_try_at=None, client="", service="") is None
    )


def test_a_detail_of_senseless_types_is_no_error() -> None:
    assert readable({"found_minor": "x", "currency": None, "expected_minor": 5, "day": "2026-13-45"})


def _try(outcome: AttemptOutcome, minute: int, **values: str) -> Try:
    at = datetime(2026, 3, 2, 9, minute, tzinfo=UTC)
    return Try(outcome, values.get("step"), at, values.get("text"), values.get("by"))


def test_the_history_is_newest_first_and_says_a_repeated_answer_once() -> None:
    tries = [
        _try(AttemptOutcome.RETRY_ASKED, 9, by="Anna"),
        *(_try(AttemptOutcome.REJECTED, n, step="invoice", text="610") for n in (8, 7, 6)),
        _try(AttemptOutcome.FOUND, 5, step="customer:abc"),
        _try(AttemptOutcome.STOPPED, 4, text="service_not_mapped"),
    ]
    told = tell(tries, books="QuickBooks")
    assert [(one.text, one.note, one.tone) for one in told] == [
        ("Anna asked for another try", "", "plain"),
        ("QuickBooks refused the invoice", "Same answer 3 times", "alert"),
        ("The client was found in QuickBooks", "", "good"),
        ("We stopped before posting", WORDING[Reason.SERVICE_NOT_MAPPED].short, "alert"),
    ]
    assert told[1].at.minute == 8


@pytest.mark.parametrize("outcome", list(AttemptOutcome))
def test_every_outcome_has_its_words(outcome: AttemptOutcome) -> None:
    (told,) = tell([_try(outcome, 1)], books="QuickBooks")
    assert "{" not in told.text
