"""Consent by OAuth: begin at our page, end at our callback (O1 to O6).

The address of the callback is made from the settings alone (O4). The state is random, stored as a hash, bound to the
session, the person, the workspace and the provider, and taken by one statement: whatever happens after, it is spent.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import delete

from core.config import Settings
from core.connections.attach import Person, attach, refuse_if_occupied
from core.connections.choice import ask_for_one, store_choice
from core.connections.disconnect import find_open
from core.connections.providers import consent_flow, consent_mode, is_offered
from core.connections.refresh import put_tokens, uncancelled
from core.connections.refusals import consent_refused, in_words, link_is_spent, not_completed, not_offered
from core.connections.secrets import seal_verifier, unseal_verifier
from core.crypto import hash_token, new_token
from core.db.models import Connection, OAuthState
from core.errors import CredentialError
from core.identity.members import require_owner
from core.oauth import CHOSEN, Identity, OAuthFlow, TokenSet
from core.wiring import Wiring

STATE_LIVES = timedelta(minutes=10)
MAX_CODE_LENGTH = 2000
_STATE_LENGTH = 64


def callback_url(settings: Settings, kind: str) -> str:
    """Return where the provider sends the person back to: one fixed path per provider (O4)."""
    return f"{settings.app_base_url.rstrip('/')}/connect/{kind}/callback"


async def begin_consent(wiring: Wiring, person: Person, kind: str) -> str:
    """Return the address of the provider's consent page.

    Raises:
        NotFoundError: there is no such provider, or it has no consent.
        ConnectError: not set up here, or other books are connected.
        NotAllowedError: the person is no owner.
    """
    flow = consent_flow(wiring, kind, consent_mode(wiring.settings, kind))
    if not is_offered(wiring.settings, kind):
        raise not_offered(kind)
    state, verifier = new_token(wiring.runtime), None
    if flow.uses_pkce:
        verifier = new_token(wiring.runtime)
    await _store_state(wiring, person, kind, state, verifier)
    return flow.authorize_url(
        state=state,
        redirect_uri=callback_url(wiring.settings, kind),
        code_challenge=_challenge(verifier) if verifier else None,
    )


def _challenge(verifier: str) -> str:
    return str(create_s256_code_challenge(verifier))  # type: ignore[no-untyped-call]  # Authlib ships no types


async def finish_consent(wiring: Wiring, person: Person, kind: str, callback: Mapping[str, str]) -> UUID | None:
    """Take the state, exchange the code once, ask the provider who was connected, store.

    Returns:
        The connection; None when the consent opened several companies, and the person has ten minutes to choose one.

    Raises:
        NotFoundError: there is no such provider.
        ConnectError: nothing was stored, and why.
        NotAllowedError: the person is no owner.
    """
    mode = consent_mode(wiring.settings, kind)
    flow = consent_flow(wiring, kind, mode)
    verifier = await _take_state(wiring, person, kind, callback.get("state", ""))
    code = callback.get("code", "")
    if "error" in callback or not 0 < len(code) <= MAX_CODE_LENGTH:
        raise consent_refused(kind)
    # A code works once and losing its answer wastes it, so a browser that goes away does not stop this.
    tokens, identities = await uncancelled(_redeem(wiring, flow, kind, code, verifier, callback))
    identity = await _the_one(wiring, person, kind, tokens, identities)
    if identity is None:
        await store_choice(wiring, person, kind, tokens, identities)
        return None

    def put_secrets(row: Connection) -> None:
        put_tokens(wiring, row, tokens)

    return await attach(wiring, person, kind=kind, mode=mode, identity=identity, put_secrets=put_secrets)


async def _store_state(wiring: Wiring, person: Person, kind: str, state: str, verifier: str | None) -> None:
    now = wiring.runtime.now()
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        await require_owner(session, tenant_id=person.tenant_id, user_id=person.user_id)
        await refuse_if_occupied(session, kind)
        await session.execute(delete(OAuthState).where(OAuthState.created_at <= now - STATE_LIVES))
        sealed = None
        if verifier:
            sealed = seal_verifier(
                wiring.keys, tenant_id=person.tenant_id, user_id=person.user_id, provider=kind, plain=verifier
            )
        session.add(
            OAuthState(
                state_hash=hash_token(state),
                session_hash=person.session_hash,
                user_id=person.user_id,
                tenant_id=person.tenant_id,
                provider=kind,
                verifier=sealed,
                created_at=now,
            )
        )


async def _take_state(wiring: Wiring, person: Person, kind: str, state: str) -> str | None:
    """Spend the state, whatever comes after; of two callbacks at once one finds it (O1). Return the verifier."""
    if len(state) != _STATE_LENGTH or not state.isascii():
        raise link_is_spent(kind)
    now = wiring.runtime.now()
    async with wiring.db.open_session(write=True) as session:
        taken = await session.execute(
            delete(OAuthState)
            .where(
                OAuthState.state_hash == hash_token(state),
                OAuthState.session_hash == person.session_hash,
                OAuthState.user_id == person.user_id,
                OAuthState.tenant_id == person.tenant_id,
                OAuthState.provider == kind,
                OAuthState.created_at > now - STATE_LIVES,
            )
            .returning(OAuthState)
            .execution_options(synchronize_session=False)
        )
        found = taken.scalar_one_or_none()
    if found is None:
        raise link_is_spent(kind)
    if found.verifier is None:
        return None
    try:
        return unseal_verifier(wiring.keys, found)
    except CredentialError:
        raise link_is_spent(kind) from None


async def _redeem(
    wiring: Wiring, flow: OAuthFlow, kind: str, code: str, verifier: str | None, callback: Mapping[str, str]
) -> tuple[TokenSet, Sequence[Identity]]:
    """Exchange the code, sent once, and ask who was connected. Nothing is stored yet."""
    # A choice is made on our page, never in an address.
    said = {name: value for name, value in callback.items() if name != CHOSEN}
    with in_words(kind):
        tokens = await flow.exchange(
            code=code, redirect_uri=callback_url(wiring.settings, kind), code_verifier=verifier
        )
        return tokens, await flow.identify(tokens, said)


async def _the_one(
    wiring: Wiring, person: Person, kind: str, tokens: TokenSet, identities: Sequence[Identity]
) -> Identity | None:
    """Return who was connected: the only one, or of several the one that is connected here already; else None."""
    if not identities:
        raise not_completed(kind)
    if len(identities) == 1:
        return identities[0]
    async with wiring.db.tenant(person.tenant_id) as session:
        known = await find_open(session, kind)
    if known is None or known.external_id not in {identity.external_id for identity in identities}:
        return None
    return await ask_for_one(wiring, kind, tokens, known.external_id)
