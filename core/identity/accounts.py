"""Sign up, sign in, and the password again.

Whether an address has an account is nobody's business (A3): known and unknown addresses get the same answers after the
same work. See docs/decisions on what sign-up answers.
"""

import unicodedata
from dataclasses import dataclass
from uuid import UUID, uuid4
from zoneinfo import available_timezones

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.crypto import hash_token, new_token
from core.db.models import KnownDevice, Membership, Role, Tenant, User
from core.db.session import Database
from core.db.upsert import insert_missing
from core.errors import InputError, TieoutError
from core.identity.passwords import find_weakness, hash_password, is_outdated, verify_password
from core.identity.sessions import Visit, end_session, note_password, start_session
from core.identity.throttle import Try, account_key, begin_try, count_sign_up, forgive

MAX_EMAIL = 254
_MAX_KEY = 640
MAX_WORKSPACE = 200


class WrongCredentialsError(TieoutError):
    """No account has this address and this password. Which of the two is wrong stays unsaid."""

    code = "wrong_credentials"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a browser gets: the session's token, and the token that makes it a known device."""

    token: str
    device_token: str


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a try comes from: what the throttle needs to know. ``secret`` keys its names of accounts."""

    secret: str
    network: str
    device_token: str | None = None


def email_key(email: str) -> str:
    """Return the form in which addresses are compared: NFKC and casefold, no folding of ``+`` or dots (A10)."""
    # Casefolding can undo the normal form, hence twice.
    folded = unicodedata.normalize("NFKC", email.strip()).casefold()
    return unicodedata.normalize("NFKC", folded)


def check_email(email: str) -> str:
    """Return the address without surrounding blanks.

    Raises:
        InputError: it cannot be an address.
    """
    email, key = email.strip(), email_key(email)
    if len(email) > MAX_EMAIL or len(key) > _MAX_KEY or not (_looks_right(email) and _looks_right(key)):
        raise InputError("Enter an e-mail address such as anna@example.com.", field="email")
    return email


def _looks_right(email: str) -> bool:
    """Normalising can bring a second @ or a blank to light, so this looks at both forms."""
    name, _, domain = email.rpartition("@")
    return bool(name) and "." in domain.strip(".") and "@" not in name and email.isprintable() and " " not in email


def check_new_account(*, email: str, password: str, workspace: str, time_zone: str) -> dict[str, str]:
    """Return what is wrong with a sign-up, by field, all at once."""
    errors: dict[str, str] = {}
    try:
        check_email(email)
    except InputError as exc:
        errors["email"] = exc.message
    weakness = find_weakness(password, email_key(email))
    if weakness:
        errors["password"] = weakness
    if not workspace.strip() or len(workspace.strip()) > MAX_WORKSPACE or not workspace.strip().isprintable():
        errors["workspace"] = f"Enter the name of your business, at most {MAX_WORKSPACE} characters."
    if time_zone not in available_timezones():
        errors["zone"] = "Choose a time zone from the list."
    return errors


async def sign_up(db: Database, *, email: str, password: str, workspace: str, time_zone: str, gate: Gate) -> None:
    """Make a user, a workspace and the membership as its owner, unless the address has an account already.

    The caller learns nothing about which of the two happened. Input must have passed :func:`check_new_account`.

    Raises:
        ThrottledError: too many sign-ups from this network.
    """
    await count_sign_up(db, gate.secret, network=gate.network)
    password_hash = await hash_password(password, db.runtime)
    async with db.open_session(write=True) as session:
        await _store_account(
            session, db, email=check_email(email), password_hash=password_hash, workspace=workspace, zone=time_zone
        )


async def create_account(db: Database, *, email: str, password: str, workspace: str, time_zone: str) -> UUID | None:
    """Make an account on behalf of the operator (demo data, command line); None if the address has one already."""
    password_hash = await hash_password(password, db.runtime)
    async with db.open_session(write=True) as session:
        return await _store_account(
            session, db, email=check_email(email), password_hash=password_hash, workspace=workspace, zone=time_zone
        )


async def sign_in(db: Database, *, email: str, password: str, gate: Gate, replaces: str | None = None) -> SignedIn:
    """Check a password and open a session.

    Args:
        db: the throttle, the look-up and the session have a transaction each; hashing happens outside of all.
        email: as typed.
        password: as typed.
        gate: where the try comes from.
        replaces: hash of the session that this browser had; it ends (S1).

    Raises:
        ThrottledError: too many wrong tries; nothing was hashed.
        WrongCredentialsError: address or password is wrong.
    """
    key = email_key(email)
    user = await _find_user(db, key)
    device = await _known_device(db, user, gate.device_token)
    attempt = await begin_try(db, account_key(gate.secret, key), network=gate.network, device=device)
    is_right = await verify_password(user.password_hash if user else None, password)
    tenant_id = await _home_of(db, user)
    if user is None or tenant_id is None or not is_right:
        raise WrongCredentialsError("wrong e-mail or password")
    renewed = await hash_password(password, db.runtime) if is_outdated(user.password_hash) else None
    async with db.open_session(write=True) as session:
        await forgive(session, attempt)
        if renewed:
            await _replace_hash(session, user, renewed)
        if replaces:
            await end_session(session, replaces)
        token = await start_session(session, user_id=user.id, tenant_id=tenant_id, runtime=db.runtime)
        device_token = gate.device_token if device and gate.device_token else await _remember(session, db, user)
    return SignedIn(token, device_token)


async def confirm_password(db: Database, visit: Visit, password: str, *, gate: Gate) -> None:
    """Take the password again before a sensitive act (S6). Wrong tries count for this session alone.

    Raises:
        ThrottledError: too many wrong tries.
        WrongCredentialsError: the password is wrong.
    """
    key = email_key(visit.user_email)
    user = await _find_user(db, key)
    attempt = await begin_try(db, account_key(gate.secret, key), network=gate.network, device=visit.session_hash)
    if not await verify_password(user.password_hash if user else None, password):
        raise WrongCredentialsError("wrong password")
    await _let_pass(db, visit, attempt)


async def _let_pass(db: Database, visit: Visit, attempt: Try) -> None:
    async with db.open_session(write=True) as session:
        await forgive(session, attempt)
        await note_password(session, visit.session_hash, db.runtime.now())


async def _store_account(
    session: AsyncSession, db: Database, *, email: str, password_hash: str, workspace: str, zone: str
) -> UUID | None:
    now, user_id, tenant_id = db.runtime.now(), uuid4(), uuid4()
    name = email.partition("@")[0]
    made = await insert_missing(
        session,
        User,
        [
            {
                "id": user_id,
                "email": email,
                "email_key": email_key(email),
                "name": name,
                "password_hash": password_hash,
                "created_at": now,
            }
        ],
    )
    if not made:
        return None
    session.add(Tenant(id=tenant_id, name=workspace.strip(), time_zone=zone, live_seq=0, created_at=now))
    await session.flush()
    session.add(Membership(tenant_id=tenant_id, user_id=user_id, role=Role.OWNER, created_at=now))
    return tenant_id


async def _find_user(db: Database, key: str) -> User | None:
    async with db.open_session() as session:
        return (await session.scalars(select(User).where(User.email_key == key))).one_or_none()


async def _known_device(db: Database, user: User | None, device_token: str | None) -> str | None:
    """Return the device's hash if it signed in to this very account before."""
    if device_token is None:
        return None
    token_hash = hash_token(device_token)
    async with db.open_session() as session:
        found = await session.scalars(
            select(KnownDevice.token_hash).where(
                KnownDevice.token_hash == token_hash, KnownDevice.user_id == (user.id if user else None)
            )
        )
        return found.one_or_none()


async def _home_of(db: Database, user: User | None) -> UUID | None:
    """Return the workspace that a sign-in opens: the user's oldest."""
    async with db.open_session() as session:
        found = await session.scalars(
            select(Membership.tenant_id)
            .where(Membership.user_id == (user.id if user else None))
            .order_by(Membership.created_at, Membership.id)
            .limit(1)
        )
        return found.one_or_none()


async def _replace_hash(session: AsyncSession, user: User, renewed: str) -> None:
    """Store the password under today's parameters, unless it was changed meanwhile."""
    await session.execute(
        update(User).where(User.id == user.id, User.password_hash == user.password_hash).values(password_hash=renewed)
    )


async def _remember(session: AsyncSession, db: Database, user: User) -> str:
    token = new_token(db.runtime)
    session.add(KnownDevice(token_hash=hash_token(token), user_id=user.id, created_at=db.runtime.now()))
    return token
