"""Bring every stored secret under the first key of the ring (K4): ``tieout rotate-keys``.

Safe beside running workers: a row is only changed if its old bytes are still there, so a token that was refreshed
meanwhile wins. Safe to stop and to repeat: what is under the first key already is left alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.secrets import SECRET_KINDS, connection_binding, verifier_binding
from core.crypto import Binding, KeyRing, key_id_of
from core.db.models import Connection, ConnectionStatus, OAuthState
from core.db.session import Database
from core.errors import CredentialError

BATCH = 100
_HEAD_BYTES = 18
"""Enough of a blob to hold its key's id: version, length, at most 16 characters."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a run did: secrets brought under the first key, secrets that were there, and those nobody can open."""

    rotated: int = 0
    current: int = 0
    overtaken: int = 0
    unreadable: int = 0

    def __add__(self, other: "Rotation") -> "Rotation":
        return Rotation(
            self.rotated + other.rotated,
            self.current + other.current,
            self.overtaken + other.overtaken,
            self.unreadable + other.unreadable,
        )

    @property
    def exit_code(self) -> int:
        """0 if the old keys may go, 1 if a secret could not be opened or another run is needed."""
        return 1 if self.unreadable or self.overtaken else 0


async def rotate_keys(db: Database, keys: KeyRing, *, batch: int = BATCH) -> Rotation:
    """Re-encrypt every secret that is not under the first key, in batches of rows with a transaction each."""
    total = Rotation()
    last_id: UUID | None = None
    while True:
        # Across tenants: the operator's command, which sees no secret in the clear outside this loop.
        async with db.system(write=True) as session:
            rows = await _connections_after(session, last_id, batch)
            for row in rows:
                total += await _rotate_connection(session, keys, row)
        if len(rows) < batch:
            break
        last_id = rows[-1].id
    last_hash = ""
    while True:
        async with db.open_session(write=True) as session:
            states = await _states_after(session, last_hash, batch)
            for state in states:
                total += await _rotate_state(session, keys, state)
        if len(states) < batch:
            return total
        last_hash = states[-1].state_hash


async def find_missing_keys(db: Database, keys: KeyRing) -> set[str]:
    """Return ids of keys that open connections need and the ring does not have (K5)."""
    columns = [func.substr(getattr(Connection, kind), 1, _HEAD_BYTES) for kind in SECRET_KINDS]
    # Across tenants: key ids only, no secret leaves the database.
    async with db.system() as session:
        found = await session.execute(select(*columns).where(Connection.status != ConnectionStatus.CLOSED))
        heads = (bytes(head) for row in found for head in row if head is not None)
        return _ids(heads) - keys.key_ids


def _ids(heads: Iterable[bytes]) -> set[str]:
    return {head[2 : 2 + head[1]].decode("ascii", "replace") for head in heads if len(head) >= 2}


async def _connections_after(session: AsyncSession, last_id: UUID | None, batch: int) -> list[Connection]:
    statement = select(Connection).order_by(Connection.id).limit(batch)
    if last_id is not None:
        statement = statement.where(Connection.id > last_id)
    return list(await session.scalars(statement))


async def _states_after(session: AsyncSession, last_hash: str, batch: int) -> list[OAuthState]:
    statement = (
        select(OAuthState)
        .where(OAuthState.state_hash > last_hash, OAuthState.verifier.is_not(None))
        .order_by(OAuthState.state_hash)
        .limit(batch)
    )
    return list(await session.scalars(statement))


async def _rotate_connection(session: AsyncSession, keys: KeyRing, row: Connection) -> Rotation:
    total = Rotation()
    for kind in SECRET_KINDS:
        old: bytes | None = getattr(row, kind)
        if old is None:
            continue
        fresh = _seal_anew(keys, old, connection_binding(row.tenant_id, row.id, row.kind, kind))
        if isinstance(fresh, Rotation):
            total += fresh
            continue
        column = getattr(Connection, kind)
        changed = await session.execute(
            update(Connection)
            .where(Connection.id == row.id, column == old)
            .values({kind: fresh})
            .returning(Connection.id)
            .execution_options(synchronize_session=False)
        )
        total += Rotation(rotated=1) if changed.one_or_none() else Rotation(overtaken=1)
    return total


async def _rotate_state(session: AsyncSession, keys: KeyRing, row: OAuthState) -> Rotation:
    old = row.verifier or b""
    fresh = _seal_anew(keys, old, verifier_binding(row.tenant_id, row.user_id, row.provider))
    if isinstance(fresh, Rotation):
        return fresh
    changed = await session.execute(
        update(OAuthState)
        .where(OAuthState.state_hash == row.state_hash, OAuthState.verifier == old)
        .values(verifier=fresh)
        .returning(OAuthState.state_hash)
        .execution_options(synchronize_session=False)
    )
    # A consent that was finished or given up meanwhile needs no key.
    return Rotation(rotated=1) if changed.one_or_none() else Rotation()


def _seal_anew(keys: KeyRing, old: bytes, binding: Binding) -> bytes | Rotation:
    """Return the blob under the first key, or what to count where there is nothing to store."""
    try:
        if key_id_of(old) == keys.first_key_id:
            return Rotation(current=1)
        return keys.encrypt(keys.decrypt(old, binding), binding)
    except CredentialError:
        return Rotation(unreadable=1)
