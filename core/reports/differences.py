"""How a document of ours differs in the books from what was sent."""

from dataclasses import dataclass
from datetime import date

from core.db.models import BooksDocument, Drift, ReadState


@dataclass(frozen=True, slots=True)
class Difference:
    """How a document stands in the books, where that is not as it was sent. Amounts in minor units of ``currency``.

    ``read_total_minor`` is None where it is gone. ``drift`` is None for what was found before its kind was told.
    """

    currency: str
    total_minor: int
    read_total_minor: int | None
    day: date
    read_day: date | None
    drift: Drift | None
    open_minor: int


def difference_of(document: BooksDocument) -> Difference | None:
    """Return how a document differs in the books; None while it stands as it was sent, or was never read."""
    if document.read_state not in (ReadState.CHANGED, ReadState.GONE):
        return None
    is_gone = document.read_state is ReadState.GONE
    read_total = document.total_minor if document.read_total_minor is None else document.read_total_minor
    return Difference(
        currency=document.currency.lower(),
        total_minor=document.total_minor,
        read_total_minor=None if is_gone else read_total,
        day=document.book_date,
        read_day=document.read_date,
        drift=document.read_drift,
        open_minor=document.read_open_minor or 0,
    )
