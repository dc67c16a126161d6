"""How amounts, dates and numbers are written for a reader. Pure; the templates' filters are thin wrappers."""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import NumberPattern, format_compact_currency, get_currency_precision

from core.money import exponent, to_decimal
from web.views.shell import Place

_MINUS = "\u2212"
_SMALL_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_money(amount_minor: int, currency: str, locale: str) -> str:
    """Return "−$1,234.50": the minus is U+2212 and stands before the currency sign.

    Digits are Stripe's for the currency. Where nobody uses them (ISK, UGX), they are dropped while they are zero.
    """
    code = currency.upper()
    value = to_decimal(abs(amount_minor), code)
    digits = exponent(code)
    usual = get_currency_precision(code)
    if usual < digits and value == value.to_integral_value():
        digits = usual
    written = _money_pattern(locale, digits).apply(value, locale, currency=code, currency_digits=False)
    if written.startswith(code):
        # Unicode's rule for a currency written in letters, which Babel does not apply.
        written = f"{code}\u00a0{written[len(code) :].lstrip()}"
    return f"{_MINUS}{written}" if amount_minor < 0 else written


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
    style = "medium" if seconds else "short"
    written = format_time(local(when, place), style, locale=place.locale)
    return written.replace("\u202f", " ").replace("AM", "am").replace("PM", "pm")


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
        return format_date(day, other_years, locale=place.locale)
    return format_skeleton(this_year, datetime(day.year, day.month, day.day, tzinfo=UTC), locale=place.locale)


@lru_cache(maxsize=32)
def _money_pattern(locale: str, digits: int) -> NumberPattern:
    # A copy: Babel shares its parsed patterns between all callers.
    shared = Locale.parse(locale).currency_formats["standard"]
    return NumberPattern(
        shared.pattern,
        shared.prefix,
        shared.suffix,
        shared.grouping,
        shared.int_prec,
        (digits, digits),
        shared.exp_prec,
        shared.exp_plus,
        shared.number_pattern,
    )
