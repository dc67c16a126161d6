"""Can this process work: is the database there and of the right shape, are all keys at hand (D6, K5)."""

from sqlalchemy.exc import SQLAlchemyError

from core.crypto import KeyRing
from core.db.migrate import is_current
from core.db.session import Database
from core.identity.rotate import find_missing_keys
from core.logging import get_logger

_log = get_logger("readiness")


async def is_ready(db: Database, keys: KeyRing) -> bool:
    """Return whether requests can be served; what is missing goes to the log."""
    try:
        if not await is_current(db.engine):
            _log.error("not_ready", reason="migrations")
            return False
        missing = await find_missing_keys(db, keys)
    except (SQLAlchemyError, OSError) as exc:
        _log.error("not_ready", reason="database", exc_info=exc)
        return False
    if missing:
        _log.error("not_ready", reason="keys", key_ids=sorted(missing))
    return not missing
