"""Choosing one of several companies that one consent opened, as Xero's can.

While the person chooses, the tokens wait where the consent waited: sealed, bound to the session, the person, the
workspace and the provider, for ten minutes at most, and taken by one statement. Nothing is connected until then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, select

from core.connections.attach import Person, attach
from core.connections.providers import consent_flow, consent_mode
from core.connections.refresh import put_tokens, uncancelled
from core.connections.refusals import in_words, link_is_spent, not_completed
from core.connections.secrets import seal_verifier, unseal_verifier
from core.crypto import hash_token
from core.db.models import Connection, OAuthState
from core.errors import CredentialError
from core.identity.members import require_owner
from core.oauth import CHOSEN, Identity, TokenSet
from core.wiring import Wiring

CHOICE_LIVES = timedelta(minutes=10)
MAX_CHOICES = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """One company to choose: the provider's id and its name."""

    external_id: str
    name: str


class _Waiting(msgspec.Struct, frozen=True):
    """What waits for the choice: only ever sealed."""

    access_token: str
    refresh_token: str | None
    expires_in_s: int | None
    consent_ends_in_s: int | None
    choices: tuple[Choice, ...]


async def store_choice(
    wiring: Wiring, person: Person, kind: str, tokens: TokenSet, identities: Sequence[Identity]
) -> None:
    """Let the tokens wait until the person has chosen. Another consent in the same session takes their place.

    Raises:
        NotAllowedError: the person is no owner.
    """
    choices = tuple(Choice(identity.external_id, identity.name[:255]) for identity in identities[:MAX_CHOICES])
    waiting = _Waiting(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in_s=tokens.expires_in_s,
        consent_ends_in_s=tokens.consent_ends_in_s,
        choices=tuple(sorted(choices, key=lambda choice: choice.name.casefold())),
    )
    plain = msgspec.json.encode(waiting).decode()
    now = wiring.runtime.now()
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        await require_owner(session, tenant_id=person.tenant_id, user_id=person.user_id)
        await session.execute(delete(OAuthState).where(_is_theirs(person, kind)))
        session.add(
            OAuthState(
                state_hash=_slot(person, kind),
                session_hash=person.session_hash,
                user_id=person.user_id,
                tenant_id=person.tenant_id,
                provider=kind,
                verifier=seal_verifier(
                    wiring.keys, tenant_id=person.tenant_id, user_id=person.user_id, provider=kind, plain=plain
                ),
                created_at=now,
            )
        )


async def read_choices(wiring: Wiring, person: Person, kind: str) -> Sequence[Choice]:
    """Return what can be chosen now; nothing when no choice waits, or no longer."""
    async with wiring.db.open_session() as session:
        statement = select(OAuthState).where(_is_waiting(wiring, person, kind))
        row = (await session.execute(statement)).scalar_one_or_none()
    waiting = _opened(wiring, row) if row else None
    return waiting.choices if waiting else ()


async def finish_choice(wiring: Wiring, person: Person, kind: str, external_id: str) -> UUID:
    """Take what waits, ask the provider for the chosen company, store. Return the connection.

    Raises:
        ConnectError: nothing was stored, and why.
        NotAllowedError: the person is no owner.
    """
    async with wiring.db.open_session(write=True) as session:
        taken = await session.execute(
            delete(OAuthState)
            .where(_is_waiting(wiring, person, kind))
            .returning(OAuthState)
            .execution_options(synchronize_session=False)
        )
        row = taken.scalar_one_or_none()
    waiting = _opened(wiring, row) if row else None
    if row is None or waiting is None:
        raise link_is_spent(kind)
    if external_id not in {choice.external_id for choice in waiting.choices}:
        raise not_completed(kind)
    passed_s = int((wiring.runtime.now() - row.created_at).total_seconds())
    tokens = TokenSet(
        access_token=waiting.access_token,
        refresh_token=waiting.refresh_token,
        expires_in_s=max(waiting.expires_in_s - passed_s, 1) if waiting.expires_in_s else None,
        refresh_expires_in_s=None,
        consent_ends_in_s=waiting.consent_ends_in_s,
        extra={},
    )
    identity = await uncancelled(ask_for_one(wiring, kind, tokens, external_id))
    mode = consent_mode(wiring.settings, kind)

    def put_secrets(made: Connection) -> None:
        put_tokens(wiring, made, tokens)

    return await attach(wiring, person, kind=kind, mode=mode, identity=identity, put_secrets=put_secrets)


async def ask_for_one(wiring: Wiring, kind: str, tokens: TokenSet, external_id: str) -> Identity:
    """Ask the provider for one of the companies that these tokens open.

    Raises:
        ConnectError: they do not open it.
    """
    flow = consent_flow(wiring, kind, consent_mode(wiring.settings, kind))
    with in_words(kind):
        identities = await flow.identify(tokens, {CHOSEN: external_id})
    if [identity.external_id for identity in identities] != [external_id]:
        raise not_completed(kind)
    return identities[0]


def _slot(person: Person, kind: str) -> str:
    """One place per session and provider. States of a consent are 64 characters, so none of them is this text."""
    return hash_token(f"choice:{kind}:{person.tenant_id}:{person.session_hash}")


def _is_theirs(person: Person, kind: str) -> ColumnElement[bool]:
    return and_(
        OAuthState.state_hash == _slot(person, kind),
        OAuthState.session_hash == person.session_hash,
        OAuthState.user_id == person.user_id,
        OAuthState.tenant_id == person.tenant_id,
        OAuthState.provider == kind,
    )


def _is_waiting(wiring: Wiring, person: Person, kind: str) -> ColumnElement[bool]:
    return and_(_is_theirs(person, kind), OAuthState.created_at > wiring.runtime.now() - CHOICE_LIVES)


def _opened(wiring: Wiring, row: OAuthState) -> _Waiting | None:
    try:
        return msgspec.json.decode(unseal_verifier(wiring.keys, row), type=_Waiting)
    except (CredentialError, msgspec.MsgspecError):
        return None
