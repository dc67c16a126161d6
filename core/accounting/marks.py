"""Where a change feed that goes by time goes on."""

from datetime import datetime

from core.errors import ProviderRejectedError
from core.reasons import Reason


def read_mark(mark: str) -> datetime:
    """Return the moment that a mark stands for: ISO 8601 with its zone, as the adapter wrote it.

    Raises:
        ProviderRejectedError: ``OUR_FAULT``: it is none of this adapter's.
    """
    try:
        moment = datetime.fromisoformat(mark)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ProviderRejectedError(Reason.OUR_FAULT, "no mark of these books")
    return moment
