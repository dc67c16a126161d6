"""The brake on guessing (A4). It counts in the database, so it holds over all processes.

A try is written down as failed *before* the password is hashed and struck out when it was right. Counting first and
writing afterwards would let a thousand simultaneous guesses all see an empty table.

- 5 wrong tries in 15 minutes for one account from one network,
- 20 in an hour for one account from everywhere,
- 50 in an hour from one network (an IPv4 address, an IPv6 /64).

A browser that signed in to this account before is judged by its own tries alone (5 in 15 minutes), so strangers cannot
shut the owner out.
"""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import FailedSignIn
from core.db.session import Database
from core.errors import TieoutError

KEPT_FOR = timedelta(days=1)
"""How long a wrong try is remembered at all."""

_PAIR, _ACCOUNT, _NETWORK = (5, timedelta(minutes=15)), (20, timedelta(hours=1)), (50, timedelta(hours=1))
_SIGN_UP = (10, timedelta(hours=1))
_SIGN_UP_KEY = "sign-up"


class ThrottledError(TieoutError):
    """Too many wrong tries; ``retry_after_s`` says when the next one is heard."""

    code = "throttled"
    permanent = False

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many tries")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Try:
    """One try on its way: where it counts. ``place`` is a network, or the device that is known to this account."""

    id: UUID
    account_key: str
    place: str


def account_key(secret: str, name: str) -> str:
    """Return the name under which an account's tries are counted: keyed, so that the table holds no addresses."""
    return hmac.new(secret.encode(), b"throttle|" + name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


@lru_cache(4096)
def network_of(address: str) -> str:
    """Return the network that an address counts for: itself for IPv4, its /64 for IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network(ip))


async def begin_try(db: Database, key: str, *, network: str, device: str | None = None) -> Try:
    """Count one try of a password.

    Args:
        db: the throttle has a transaction of its own, so that a later rollback forgets nothing.
        key: from :func:`account_key`.
        network: from :func:`network_of`.
        device: hash of a device cookie that belongs to this very account, or of a session.

    Raises:
        ThrottledError: nothing was counted; hash nothing.
    """
    if device is not None:
        place = f"device:{device[:32]}"
        rules = [(_pair(key, place), _PAIR)]
    else:
        place = network
        rules = [
            (_pair(key, place), _PAIR),
            (FailedSignIn.account_key == key, _ACCOUNT),
            (FailedSignIn.network == place, _NETWORK),
        ]
    return await _count(db, Try(uuid4(), key, place), rules)


async def count_sign_up(db: Database, secret: str, *, network: str) -> None:
    """Count one sign-up; each costs a hash and makes rows.

    Raises:
        ThrottledError: this network made enough of them for now.
    """
    key = account_key(secret, _SIGN_UP_KEY)
    rules = [(_pair(key, network), _SIGN_UP), (FailedSignIn.network == network, _NETWORK)]
    await _count(db, Try(uuid4(), key, network), rules)


async def forgive(session: AsyncSession, done: Try) -> None:
    """The password was right: forget this try and the wrong ones of the same place before it."""
    await session.execute(delete(FailedSignIn).where(_pair(done.account_key, done.place)))


async def forget_old_tries(session: AsyncSession, *, before: datetime) -> None:
    """Delete tries that no rule looks at any more."""
    await session.execute(delete(FailedSignIn).where(FailedSignIn.at < before))


_Rule = tuple[ColumnElement[bool], tuple[int, timedelta]]


async def _count(db: Database, new: Try, rules: list[_Rule]) -> Try:
    now = db.runtime.now()
    async with db.open_session(write=True) as session:
        await _one_at_a_time(db, session, new)
        waits = [await _wait(session, where, limit, window, now) for where, (limit, window) in rules]
        if any(waits):
            raise ThrottledError(max(waits))
        session.add(FailedSignIn(id=new.id, account_key=new.account_key, network=new.place, at=now))
    return new


async def _wait(session: AsyncSession, where: ColumnElement[bool], limit: int, window: timedelta, now: datetime) -> int:
    """Return the seconds until fewer than ``limit`` tries lie in the window; 0 if that is now."""
    times = await session.scalars(
        select(FailedSignIn.at)
        .where(where, FailedSignIn.at > now - window)
        .order_by(FailedSignIn.at.desc())
        .limit(limit)
    )
    found = times.all()
    return max(1, ceil((found[-1] + window - now).total_seconds())) if len(found) == limit else 0


async def _one_at_a_time(db: Database, session: AsyncSession, new: Try) -> None:
    """Two tries that count the same rows must not count at once. On SQLite the write transaction already sees to it.

    The account's lock always comes before the network's, so two tries never wait for each other.
    """
    if db.is_sqlite:
        return
    for name in (f"account {new.account_key}", f"network {new.place}"):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        await session.execute(select(func.pg_advisory_xact_lock(number)))


def _pair(key: str, place: str) -> ColumnElement[bool]:
    return (FailedSignIn.account_key == key) & (FailedSignIn.network == place)
