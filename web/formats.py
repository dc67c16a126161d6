"""How amounts, dates and numbers are written for a reader. Pure; the templates' filters are thin wrappers."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_month_names
from babel.numbers import (
    NumberPattern,
    format_compact_currency,
    get_currency_precision,
    get_decimal_symbol,
    get_group_symbol,
)

from core.money import exponent, to_decimal
from web.views.shell import Place

_MINUS = "\u2212"
_SMALL_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_money(amount_minor: int, currency: str, locale: str) -> str:
    """Return "−$1,234.50": the minus is U+2212 and stands before the currency sign.

    Digits are Stripe's for the currency. Where nobody uses them (ISK, UGX), they are dropped while they are zero.
    """
    form = _money_form(currency.upper(), locale)
    whole, part = divmod(abs(amount_minor), 10**form.digits)
    written = _group(whole, form.grouping, form.group_sign)
    if form.digits and not (form.may_drop and part == 0):
        written = f"{written}{form.decimal_sign}{part:0{form.digits}d}"
    return f"{_MINUS if amount_minor < 0 else ''}{form.prefix}{written}{form.suffix}"


def write_axis_money(amount_minor: int, currency: str, locale: str) -> str:
    """Return a round amount as short as it goes, "$2k", for a chart."""
    value = to_decimal(amount_minor, currency)
    if value < Decimal(1000):
        short = write_money(amount_minor, currency, locale)
        return short.removesuffix(".00")
    return format_compact_currency(value, currency.upper(), locale=locale, fraction_digits=1).replace("K", "k")


def write_short_date(when: date | datetime, place: Place) -> str:
    """Return "Nov 20"; the year follows if it is not this year."""
    return _write_date(when, place, "MMMd", "medium")


def write_long_date(when: date | datetime, place: Place) -> str:
    """Return "November 20"; the year follows if it is not this year."""
    return _write_date(when, place, "MMMMd", "long")


def write_month(first: date, place: Place) -> str:
    """Return "November"; the year follows if it is not this year."""
    if first.year != local_day(place.now, place).year:
        return _date_by_skeleton(first, "yMMMM", place.locale)
    # Babel knows no skeleton of a month alone: the short one would come back.
    return str(get_month_names("wide", context="stand-alone", locale=place.locale)[first.month])


def write_period(first: date, last: date, place: Place) -> str:
    """Return "November 1 – 22", "October 30 – November 4", or both dates with their years."""
    this_year = local_day(place.now, place).year
    if first == last:
        return write_long_date(first, place)
    if first.year != last.year or first.year != this_year:
        return f"{format_date(first, locale=place.locale)} – {format_date(last, locale=place.locale)}"
    start, end = write_long_date(first, place), write_long_date(last, place)
    # Where the day follows the month, the second month need not be said.
    if first.month == last.month and start.endswith(f" {first.day}"):
        return f"{start} – {last.day}"
    return f"{start} – {end}"


def write_clock_time(when: datetime, place: Place, *, seconds: bool = False) -> str:
    """Return "4:40 pm", with ``seconds`` "4:40:09 pm"."""
    moment = local(when, place).time()
    if seconds:
        return _time_of_day(moment.replace(microsecond=0), "medium", place.locale)
    return _time_of_day(moment.replace(second=0, microsecond=0), "short", place.locale)


def write_day_time(when: datetime, place: Place) -> str:
    """Return "today, 9:04 am", "yesterday, 4:40 pm", else "Nov 20, 4:40 pm"."""
    days = (local_day(place.now, place) - local_day(when, place)).days
    day = {0: "today", 1: "yesterday"}.get(days) or write_short_date(when, place)
    return f"{day}, {write_clock_time(when, place)}"


def write_ago(when: datetime, place: Place) -> str:
    """Return "just now", "2 minutes ago", "3 hours ago", and after a day the date."""
    seconds = (place.now - when).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{write_count(int(seconds // 60), 'minute')} ago"
    if seconds < 86400:
        return f"{write_count(int(seconds // 3600), 'hour')} ago"
    return f"on {write_long_date(when, place)}"


def write_iso(when: date | datetime, place: Place) -> str:
    """Return the machine's form for a ``datetime`` attribute; times carry the offset of the reader's place."""
    if isinstance(when, datetime):
        return local(when, place).isoformat(timespec="seconds")
    return when.isoformat()


def write_count(number: int, one: str, many: str | None = None, *, spell: bool = False) -> str:
    """Return "1 payment", "3 payments", "1,204 payments"; with ``spell`` numbers below ten are words."""
    written = _SMALL_NUMBERS[number] if spell and 0 <= number < len(_SMALL_NUMBERS) else f"{number:,}"
    return f"{written} {one if number == 1 else many if many is not None else one + 's'}"


def local(when: datetime, place: Place) -> datetime:
    """Return ``when`` on the clocks of ``place``."""
    if when.tzinfo is None:
        raise ValueError("a time without a zone cannot be written for anyone")
    return when.astimezone(place.zone)


def local_day(when: date | datetime, place: Place) -> date:
    """Return the calendar day of ``when`` in ``place``; a plain date stays as it is."""
    return local(when, place).date() if isinstance(when, datetime) else when


def _write_date(when: date | datetime, place: Place, this_year: str, other_years: str) -> str:
    day = local_day(when, place)
    if day.year != local_day(place.now, place).year:
        return _date_by_style(day, other_years, place.locale)
    return _date_by_skeleton(day, this_year, place.locale)


# Babel parses the locale anew for every call, which made half of a page's time. The caches hold a few years of days and
# every minute of a day.


@lru_cache(maxsize=4096)
def _date_by_skeleton(day: date, skeleton: str, locale: str) -> str:
    return format_skeleton(skeleton, datetime(day.year, day.month, day.day, tzinfo=UTC), locale=locale)


@lru_cache(maxsize=4096)
def _date_by_style(day: date, style: str, locale: str) -> str:
    return format_date(day, style, locale=locale)


@lru_cache(maxsize=8192)
def _time_of_day(moment: time, style: Literal["short", "medium"], locale: str) -> str:
    written = format_time(moment, style, locale=locale)
    return written.replace("\u202f", " ").replace("AM", "am").replace("PM", "pm")


@dataclass(frozen=True, slots=True)
class _MoneyForm:
    """How one currency is written in one locale: what stands around the digits, and the signs between them."""

    prefix: str
    suffix: str
    digits: int
    may_drop: bool
    decimal_sign: str
    group_sign: str
    grouping: tuple[int, int]


@lru_cache(maxsize=512)
def _money_form(code: str, locale: str) -> _MoneyForm:
    pattern = Locale.parse(locale).currency_formats["standard"]
    bare = NumberPattern(
        pattern.pattern, pattern.prefix, pattern.suffix, pattern.grouping, (1, 1), (0, 0), None, None, None
    )
    around = bare.apply(0, locale, currency=code, currency_digits=False)
    prefix, _, suffix = around.partition("0")
    if prefix == code:
        # Unicode's rule for a currency written in letters, which Babel does not apply.
        prefix = f"{code}\u00a0"
    digits = exponent(code)
    return _MoneyForm(
        prefix=prefix,
        suffix=suffix,
        digits=digits,
        may_drop=get_currency_precision(code) < digits,
        decimal_sign=get_decimal_symbol(locale),
        group_sign=get_group_symbol(locale),
        grouping=(pattern.grouping[0], pattern.grouping[1]),
    )


def _group(number: int, grouping: tuple[int, int], sign: str) -> str:
    """Return ``number`` with its digits grouped from the right: the first group, then equal ones."""
    first, others = grouping
    if first == others == 3:
        return f"{number:,}".replace(",", sign)
    text = str(number)
    head, tail = text[:-first], text[-first:]
    groups = [tail]
    while head:
        groups.insert(0, head[-others:])
        head = head[:-others]
    return sign.join(groups)
