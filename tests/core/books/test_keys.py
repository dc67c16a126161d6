import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books.keys import MAX_REFERENCE, operation_key, reference_for

CONNECTION = UUID("6f1c0b1e-0000-4000-8000-000000000001")
OTHER = UUID("6f1c0b1e-0000-4000-8000-000000000002")


def test_a_key_is_the_same_in_every_process_and_release() -> None:
    # Written down: a changed key would post everything in flight a second time.
    assert operation_key(CONNECTION, "pi_Example1", "invoice", 0) == "65939664-d332-524b-91f9-dfa467cc554d"
    assert reference_for(CONNECTION, "pi_Example1") == "TO-PRFEJQ8AK58N"


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 99))
def test_a_key_fits_both_providers(source: str, step: str, revision: int) -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", operation_key(CONNECTION, source, step, revision))


def test_every_part_of_the_fact_makes_another_key() -> None:
    keys = {
        operation_key(CONNECTION, "pi_1", "invoice", 0),
        operation_key(OTHER, "pi_1", "invoice", 0),
        operation_key(CONNECTION, "pi_2", "invoice", 0),
        operation_key(CONNECTION, "pi_1", "payment", 0),
        operation_key(CONNECTION, "pi_1", "invoice", 1),
        operation_key(CONNECTION, "pi_1i", "nvoice", 0),
    }
    assert len(keys) == 6


def test_a_reference_is_short_and_has_no_letters_that_read_as_digits() -> None:
    references = {reference_for(CONNECTION, f"pi_{number}") for number in range(2000)}
    assert len(references) == 2000
    assert all(re.fullmatch(r"TO-[0-9A-HJKMNP-TV-Z]{12}", reference) for reference in references)


def test_the_longest_prefix_still_fits_and_a_longer_one_is_refused() -> None:
    assert len(reference_for(CONNECTION, "pi_1", prefix="TOTOTOTO")) == MAX_REFERENCE
    with pytest.raises(ValueError, match="too long"):
        reference_for(CONNECTION, "pi_1", prefix="TOTOTOTOT")
