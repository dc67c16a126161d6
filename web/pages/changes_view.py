"""What somebody did in the books, in words: to a document of ours, or beside them."""

from core.db.models import Drift, OthersEntry
from core.reports.differences import Difference
from core.reports.drift import Watch
from web import views
from web.formats import write_count, write_money, write_short_date

_GONE: dict[Drift | None, str] = {Drift.DELETED: "Deleted", Drift.VOIDED: "Voided"}


def what_changed(found: Difference, books: str, place: views.Place) -> str:
    """Say in half a sentence how a document of ours differs in the books."""
    if found.read_total_minor is None:
        return f"{_GONE.get(found.drift, 'Removed')} in {books}"
    was, now = found.total_minor, found.read_total_minor
    if was != now:
        said = [write_money(minor, found.currency, place.locale) for minor in (was, now)]
        return f"Total was {said[0]}, now {said[1]}"
    if found.drift is Drift.MOVED:
        return f"Moved to another account in {books}"
    if found.drift is Drift.UNPAID:
        return f"Not settled in {books}: {write_money(found.open_minor, found.currency, place.locale)} is open"
    if found.read_day is not None and found.read_day != found.day:
        return f"Date was {write_short_date(found.day, place)}, now {write_short_date(found.read_day, place)}"
    return f"Changed in {books}"


def watch_notes(watch: Watch, account: str, currency: str, books: str, place: views.Place) -> list[str]:
    """Say what others wrote on the clearing account, and whether the books are read back as a whole."""
    notes = []
    if watch.others:
        count = len(watch.others) + watch.more
        total = "" if watch.others_minor is None else write_money(watch.others_minor, currency, place.locale)
        verb = "is" if count == 1 else "are"
        named = ", ".join(_entry(one, currency, place) for one in watch.others)
        more = f", and {watch.more:,} more" if watch.more else ""
        notes.append(
            f"{write_count(count, 'entry', 'entries')} on {account} {verb} not ours"
            f"{f', {total} together' if total and count > 1 else ''}: {named}{more}."
            f" Only Stripe’s movements belong there; we never touch what others wrote."
        )
    if watch.is_reading_all:
        notes.append(
            f"{books} had more changes to tell than it keeps, or was away for too long. We are reading each entry of"
            " ours back, one by one; until that is done, a change may be missing here."
        )
    return notes


def _entry(one: OthersEntry, currency: str, place: views.Place) -> str:
    name = f"{one.word} {one.number}".strip()
    amount = "" if one.effect_minor is None else f" of {write_money(one.effect_minor, currency, place.locale)}"
    return f"{name}{amount}{f' on {write_short_date(one.day, place)}' if one.day else ''}"
