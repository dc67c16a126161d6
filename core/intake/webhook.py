"""Receiving events: verify the raw bytes, store them, and only then say yes.

Nothing is stored from unsigned input, nothing is acknowledged before it is committed, no provider is called (W1-W7).
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import stripe as stripe_lib
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.connections.secrets import unseal
from core.crypto import hash_token
from core.db.append import Appender
from core.db.models import Connection, ConnectionStatus, EventState, StripeEvent
from core.errors import CredentialError, TieoutError
from core.intake.loose import read_json
from core.signals import WORK
from core.tally import Outcome
from core.wiring import Wiring

TOLERANCE_S = 300
"""Fixed: zero would switch the check off. Stripe signs every retry anew, so honest events are always young (W2)."""

PLATFORM = "platform"
STORE_WITHIN_S = 5.0

_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,250}")
_EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,255}")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,250}")
_OBJECT_ID = re.compile(r"[A-Za-z0-9_]{1,255}")
_LATEST = 253_402_300_799


class BadEventError(TieoutError):
    """Unsigned, wrongly signed, stale or not an event: answered 400 without a word, never stored."""

    code = "bad_event"


class StorageError(TieoutError):
    """The row could not be committed: answered 503 so that Stripe tries again (F5)."""

    code = "storage"
    permanent = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an event arrived: the scope that its id is unique in, and the secrets that may sign for it.

    ``account`` is whose endpoint it is, where it is not the platform's.
    """

    scope: str
    secrets: tuple[str, ...]
    account: str | None = None


def read_event(raw: bytes, signature: str, secrets: Iterable[str], now: datetime) -> dict[str, Any]:
    """Verify and decode one delivery.

    Raises:
        BadEventError: for every kind of bad input.
    """
    try:
        text = raw.decode("utf-8")
        _verify(text, signature, secrets, now)
        event = read_json(raw)
    except (
        stripe_lib.SignatureVerificationError,
        ArithmeticError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as exc:
        raise BadEventError("not an event of ours") from exc
    if not _is_event(event):
        raise BadEventError("not an event")
    checked: dict[str, Any] = event
    return checked


def _verify(text: str, signature: str, secrets: Iterable[str], now: datetime) -> None:
    """Accept a signature of any of our secrets, at most five minutes old or ahead.

    The library checks the signature; the age is checked here, by our clock and in both directions.
    """
    for secret in secrets:
        try:
            stripe_lib.WebhookSignature.verify_header(text, signature, secret, None)
        except stripe_lib.SignatureVerificationError:
            continue
        stamp = next((part[2:] for part in signature.split(",") if part.strip().startswith("t=")), "")
        if abs(now.timestamp() - int(stamp)) > TOLERANCE_S:
            raise BadEventError("stale")
        return
    raise BadEventError("no secret of ours signed this")


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict) or event.get("object") != "event":
        return False
    event_id, kind, created = event.get("id"), event.get("type"), event.get("created")
    account, data = event.get("account"), event.get("data")
    return (
        isinstance(event_id, str)
        and _EVENT_ID.fullmatch(event_id) is not None
        and isinstance(kind, str)
        and _EVENT_TYPE.fullmatch(kind) is not None
        and isinstance(created, int)
        and not isinstance(created, bool)
        and 0 <= created <= _LATEST
        and (account is None or (isinstance(account, str) and _ACCOUNT.fullmatch(account) is not None))
        and isinstance(data, dict)
        and isinstance(data.get("object"), dict)
    )


def row_of(event: dict[str, Any], raw: bytes, *, scope: str, expects_live: bool, now: datetime) -> dict[str, Any]:
    """Return the inbox row of a verified event; the other mode is stored as ignored (W5)."""
    obj_id = event["data"]["object"].get("id")
    version = event.get("api_version")
    is_live = event.get("livemode") is True
    return {
        "id": uuid4(),
        "scope": scope,
        "event_id": event["id"],
        "account": event.get("account"),
        "type": event["type"],
        "is_live": is_live,
        "api_version": version[:64] if isinstance(version, str) and "\x00" not in version else None,
        "object_id": obj_id if isinstance(obj_id, str) and _OBJECT_ID.fullmatch(obj_id) else None,
        "stripe_created_at": datetime.fromtimestamp(event["created"], UTC),
        "payload": raw,
        "received_at": now,
        "state": EventState.STORED if is_live == expects_live else EventState.IGNORED,
        "tries": 0,
    }


ROW = (
    "id",
    "scope",
    "event_id",
    "account",
    "type",
    "is_live",
    "api_version",
    "object_id",
    "stripe_created_at",
    "payload",
    "received_at",
    "state",
    "tries",
)
"""What :func:`row_of` fills."""


async def platform_endpoint(wiring: Wiring) -> Endpoint:
    """Return the platform's own endpoint."""
    return Endpoint(PLATFORM, wiring.settings.webhook_secrets)


async def tenant_endpoint(wiring: Wiring, endpoint_token: str) -> Endpoint:
    """Return the endpoint of a tenant who connected with a restricted key.

    Raises:
        BadEventError: no active connection has this address; the answer does not tell it from a wrong signature.
        StorageError: the database is away.
    """
    statement = select(Connection).where(
        Connection.endpoint_token_hash == hash_token(endpoint_token),
        Connection.status != ConnectionStatus.CLOSED,
    )
    try:
        # Across tenants on purpose: the address is all that is known before the signature is checked.
        async with asyncio.timeout(STORE_WITHIN_S), wiring.db.system() as session:
            connection = (await session.execute(statement)).scalar_one_or_none()
    except (SQLAlchemyError, OSError) as exc:
        raise StorageError("the connections cannot be read") from exc
    if connection is None:
        raise BadEventError("no such endpoint")
    try:
        secret = unseal(wiring.keys, connection, "webhook_secret")
        return Endpoint(str(connection.id), (secret,), connection.external_id)
    except CredentialError as exc:
        raise StorageError("the endpoint's secret cannot be opened") from exc


_Waiting = tuple[dict[str, Any], "asyncio.Future[None]"]


class Inbox:
    """Stores events; those that arrive together share one commit.

    One writer drains the queue, so a burst costs few commits. Each caller still gets its own answer: after its commit,
    or an error. If a shared commit fails, each row is tried alone.
    """

    def __init__(self, wiring: Wiring, *, group_limit: int = 64, queue_limit: int = 2000) -> None:
        self._wiring = wiring
        self._group_limit = group_limit
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(queue_limit)

    async def store(self, row: dict[str, Any]) -> None:
        """Return once ``row`` is committed, or was there before.

        Raises:
            StorageError: it is not, within five seconds.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((row, done))
            async with asyncio.timeout(STORE_WITHIN_S):
                await done
        except (asyncio.QueueFull, TimeoutError) as exc:
            raise StorageError("the inbox is too slow") from exc

    async def run(self) -> None:
        """Write until cancelled. Start one per process."""
        appender = Appender(self._wiring.db, StripeEvent, ROW)
        try:
            while True:
                group = [await self._queue.get()]
                while len(group) < self._group_limit and not self._queue.empty():
                    group.append(self._queue.get_nowait())
                await self._write(appender, group)
        finally:
            await appender.aclose()

    async def _write(self, appender: Appender, group: list[_Waiting]) -> None:
        try:
            await appender.append([row for row, _ in group])
            for _, done in group:
                _answer(done)
            # Nobody waits for the hint; without it, the worker's sweep finds the rows.
            await appender.announce(WORK, "inbox")
        except Exception:  # noqa: BLE001 - whatever the database raises, every caller must get an answer
            await self._write_alone(appender, group)

    async def _write_alone(self, appender: Appender, group: list[_Waiting]) -> None:
        """Try each row alone, a lone one again: a connection that broke while it was idle shows only in its use."""
        for row, done in group:
            if done.done():
                continue
            try:
                await appender.append([row])
                _answer(done)
            except Exception as exc:  # noqa: BLE001 - see _write()
                _answer(done, StorageError(type(exc).__name__))


def _answer(done: "asyncio.Future[None]", error: StorageError | None = None) -> None:
    """Let a caller go on, unless it has given up meanwhile."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


async def receive(inbox: Inbox, wiring: Wiring, endpoint: Endpoint, raw: bytes, signature: str) -> None:
    """Verify one delivery and store it.

    Raises:
        BadEventError: answer 400. StorageError: answer 503.
    """
    now = wiring.runtime.now()
    try:
        event = read_event(raw, signature, endpoint.secrets, now)
        await inbox.store(row_of(event, raw, scope=endpoint.scope, expects_live=wiring.settings.is_live, now=now))
    except (BadEventError, StorageError) as exc:
        wiring.counters.event(Outcome.UNSTORED if isinstance(exc, StorageError) else Outcome.UNSIGNED)
        raise
    wiring.counters.event(Outcome.STORED)
