"""Which sending of the same bytes a call is: a repeat keeps its number, and with it the provider's key."""

from datetime import timedelta

from core.db.models import Operation, OperationState
from core.sync.operations import Move, mark_sent, next_move
from tests.runtime import START


def planned() -> Operation:
    return Operation(state=OperationState.PLANNED, sends=0, was_answered=False)


def test_the_repeat_after_silence_is_still_the_first_sending() -> None:
    operation = planned()
    assert mark_sent(operation, now=START, fence=1, repeats=False) == 1
    assert next_move(operation, now=START + timedelta(seconds=5)) is Move.SEND
    assert mark_sent(operation, now=START + timedelta(seconds=5), fence=1, repeats=True) == 1
    assert next_move(operation, now=START + timedelta(seconds=9)) is Move.LOOK_UP


def test_a_sending_after_a_look_up_has_a_number_that_was_never_used() -> None:
    operation = planned()
    numbers = [mark_sent(operation, now=START, fence=1, repeats=repeats) for repeats in (False, True, False, False)]
    assert numbers == [1, 1, 3, 4]
