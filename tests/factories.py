"""Rows for tests, made with as few words as possible. Every argument has a default that does not matter."""

import asyncio
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from core.crypto import hash_token, new_token
from core.db.models import (
    Connection,
    ConnectionMode,
    ConnectionStatus,
    Lane,
    Membership,
    Role,
    Tenant,
    User,
    UserSession,
)
from core.identity.accounts import email_key
from core.identity.passwords import hash_now
from core.identity.sessions import ABSOLUTE
from core.wiring import Wiring

PASSWORD = "golden hour over the harbour"
"""The password of every made user."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in member: ids, address and the cookie's value."""

    user_id: UUID
    tenant_id: UUID
    email: str
    token: str

    @property
    def session_hash(self) -> str:
        return hash_token(self.token)


@cache
def _password_hash() -> str:
    return hash_now(PASSWORD, b"the tests' salt.")


async def make_tenant(wiring: Wiring, **values: Any) -> Tenant:
    tenant = Tenant(
        **{
            "id": uuid4(),
            "name": f"Studio {next(_numbers)}",
            "time_zone": "America/New_York",
            "live_seq": 0,
            "posting_starts_at": None,
            "created_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.open_session(write=True) as session:
        session.add(tenant)
    return tenant


async def make_user(wiring: Wiring, **values: Any) -> User:
    number = next(_numbers)
    email = values.pop("email", f"person{number}@example.com")
    password_hash = values.pop("password_hash", None) or await asyncio.to_thread(_password_hash)
    user = User(
        **{
            "id": uuid4(),
            "email": email,
            "email_key": email_key(email),
            "name": f"Person {number}",
            "password_hash": password_hash,
            "created_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.open_session(write=True) as session:
        session.add(user)
    return user


async def make_membership(wiring: Wiring, tenant_id: UUID, user_id: UUID, role: Role = Role.OWNER) -> Membership:
    row = Membership(id=uuid4(), tenant_id=tenant_id, user_id=user_id, role=role, created_at=wiring.runtime.now())
    async with wiring.db.open_session(write=True) as session:
        session.add(row)
    return row


async def make_session(wiring: Wiring, tenant_id: UUID, user_id: UUID, **values: Any) -> str:
    """Sign the user in and return the cookie's value."""
    token, now = new_token(wiring.runtime), wiring.runtime.now()
    row = UserSession(
        **{
            "token_hash": hash_token(token),
            "user_id": user_id,
            "tenant_id": tenant_id,
            "created_at": now,
            "last_seen_at": now,
            "expires_at": now + ABSOLUTE,
            "password_checked_at": now,
            **values,
        }
    )
    async with wiring.db.open_session(write=True) as session:
        session.add(row)
    return token


async def make_person(
    wiring: Wiring, *, tenant_id: UUID | None = None, role: Role = Role.OWNER, tenant: dict[str, Any] | None = None
) -> Person:
    """Make a signed-in member, with a workspace of their own unless one is given."""
    if tenant_id is None:
        tenant_id = (await make_tenant(wiring, **(tenant or {}))).id
    user = await make_user(wiring)
    await make_membership(wiring, tenant_id, user.id, role)
    token = await make_session(wiring, tenant_id, user.id)
    return Person(user.id, tenant_id, user.email, token)


async def make_connection(wiring: Wiring, tenant_id: UUID, kind: str = "quickbooks", **values: Any) -> Connection:
    """Make an active connection with its lane; secrets are sealed by the caller where a test needs them."""
    number = next(_numbers)
    row = Connection(
        **{
            "id": uuid4(),
            "tenant_id": tenant_id,
            "kind": kind,
            "mode": ConnectionMode.STRIPE_APP if kind == "stripe" else ConnectionMode.OAUTH,
            "status": ConnectionStatus.ACTIVE,
            "external_id": f"acct_{number:016d}" if kind == "stripe" else str(9_130_350_000_000_000 + number),
            "external_name": f"Company {number}",
            "country": "US",
            "currency": "usd",
            "is_test_mode": True,
            "options": {},
            "created_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add(row)
        await session.flush()
        session.add(Lane(connection_id=row.id))
    return row
