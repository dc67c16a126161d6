"""What an address may say, and that nothing it says is an error."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.db.models import PaymentState
from core.reports.query import Cursor, bounds, clean, like_pattern, parse_query, search_words

TODAY = date(2026, 3, 15)


def test_without_words_it_is_this_month() -> None:
    query = parse_query({}, today=TODAY)
    assert (query.first, query.last, query.show, query.is_filtered) == (date(2026, 3, 1), TODAY, "all", False)
    assert query.href("/payments") == "/payments"


@pytest.mark.parametrize(
    ("given_", "first", "last"),
    [
        ({"period": "last-month"}, date(2026, 2, 1), date(2026, 2, 28)),
        ({"period": "90-days"}, date(2025, 12, 16), TODAY),
        ({"period": "all"}, None, None),
        ({"from": "2026-01-05", "to": "2026-01-01"}, date(2026, 1, 1), date(2026, 1, 5)),
        ({"from": "2026-01-05"}, date(2026, 1, 5), None),
        ({"from": "0001-01-01", "to": "9999-12-31"}, date(2000, 1, 1), date(2100, 12, 31)),
        ({"from": "yesterday", "period": "nonsense"}, date(2026, 3, 1), TODAY),
        ({"from": "20260105", "to": "2026-W01-1"}, date(2026, 3, 1), TODAY),
    ],
)
def test_dates(given_: dict[str, str], first: date | None, last: date | None) -> None:
    query = parse_query(given_, today=TODAY)
    assert (query.first, query.last) == (first, last)
    assert parse_query(dict(query.parameters()), today=TODAY) == query


def test_a_days_bounds_are_local_midnights_even_when_the_clocks_change() -> None:
    # New York puts its clocks forward on March 8, 2026: that day has 23 hours.
    query = parse_query({"from": "2026-03-08", "to": "2026-03-08"}, today=TODAY)
    start, end = bounds(query, ZoneInfo("America/New_York"))
    assert start == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert end == datetime(2026, 3, 9, 4, tzinfo=UTC)


@given(st.dictionaries(st.sampled_from(["show", "q", "period", "from", "to", "service", "before", "after"]), st.text()))
def test_no_address_is_an_error(given_: dict[str, str]) -> None:
    query = parse_query(given_, today=TODAY)
    bounds(query, ZoneInfo("Pacific/Kiritimati"))
    query.href("/payments").encode("ascii")
    assert all("\x00" not in word for word in query.words)


def test_a_cursor_survives_its_address() -> None:
    cursor = Cursor(datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC), uuid4())
    query = parse_query({"before": str(cursor)}, today=TODAY)
    assert query.before == cursor


_ZEROS = "0" * 32


@pytest.mark.parametrize(
    "text", ["", "1", f"99999999999999999-{_ZEROS}", f"{'9' * 400}-{_ZEROS}", "1-xyz", f"-1-{_ZEROS}", f"१-{_ZEROS}"]
)
def test_a_senseless_cursor_is_no_cursor(text: str) -> None:
    found = parse_query({"before": text}, today=TODAY).before
    assert found is None or found.paid_at > datetime(5000, 1, 1, tzinfo=UTC)


def test_after_wins_over_before() -> None:
    cursor = str(Cursor(datetime(2026, 3, 2, tzinfo=UTC), UUID(int=1)))
    query = parse_query({"before": cursor, "after": cursor}, today=TODAY)
    assert query.before is None
    assert query.after is not None


def test_a_changed_filter_starts_on_the_first_page() -> None:
    cursor = Cursor(datetime(2026, 3, 2, tzinfo=UTC), UUID(int=1))
    query = parse_query({"before": str(cursor), "q": "anna"}, today=TODAY)
    assert query.with_(show="synced").href("/payments") == "/payments?show=synced&q=anna"
    assert query.with_(show="synced").states == (PaymentState.SYNCED,)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("  Anna   BERG ", ("anna", "berg")),
        ("$1,234.50", ("1234.50",)),
        ("420", ("420",)),
        ("pi_3QK", ("pi_3qk",)),
        ("a b c d e f g h", ("a", "b", "c", "d", "e", "f")),
        ("\x00\ud800", ()),
    ],
)
def test_search_words(typed: str, words: tuple[str, ...]) -> None:
    assert search_words(typed) == words


def test_wildcards_stand_for_themselves() -> None:
    assert like_pattern("50%_\\") == "% 50\\%\\_\\\\%"


def test_clean_drops_what_no_database_takes() -> None:
    assert clean("a\x00b\ud800c") == "abc"


def test_ninety_days_are_ninety() -> None:
    query = parse_query({"period": "90-days"}, today=TODAY)
    assert query.first is not None
    assert query.last is not None
    assert query.last - query.first == timedelta(days=89)
