"""How a connection's secrets are sealed: each is bound to its tenant, row, provider and kind (K1)."""

from typing import Literal
from uuid import UUID

from core.crypto import Binding, KeyRing
from core.db.models import Connection, OAuthState
from core.errors import CredentialError

SecretKind = Literal["access_token", "refresh_token", "webhook_secret"]
SECRET_KINDS: tuple[SecretKind, ...] = ("access_token", "refresh_token", "webhook_secret")
"""Sealed columns of a connection; the column's name is the kind."""

_VERIFIER = "verifier"


def seal(keys: KeyRing, connection: Connection, kind: SecretKind, plain: str) -> bytes:
    """Return what to store in ``connection.<kind>``. The connection must have its id and tenant already."""
    return keys.encrypt(plain, connection_binding(connection.tenant_id, connection.id, connection.kind, kind))


def unseal(keys: KeyRing, connection: Connection, kind: SecretKind) -> str:
    """Open ``connection.<kind>``.

    Raises:
        CredentialError: nothing is stored, or it cannot be opened (K5).
    """
    blob: bytes | None = getattr(connection, kind)
    if blob is None:
        raise CredentialError(f"the connection holds no {kind}")
    return keys.decrypt(blob, connection_binding(connection.tenant_id, connection.id, connection.kind, kind))


def connection_binding(tenant_id: UUID, connection_id: UUID, provider: str, kind: SecretKind) -> Binding:
    """Name the one place where a connection's secret opens."""
    return Binding(tenant_id=tenant_id, owner_id=connection_id, provider=provider, kind=kind)


def seal_verifier(keys: KeyRing, *, tenant_id: UUID, user_id: UUID, provider: str, plain: str) -> bytes:
    """Seal the PKCE verifier of a consent on its way."""
    return keys.encrypt(plain, verifier_binding(tenant_id, user_id, provider))


def unseal_verifier(keys: KeyRing, state: OAuthState) -> str:
    """Open the PKCE verifier of a consent.

    Raises:
        CredentialError: there is none, or it cannot be opened.
    """
    if state.verifier is None:
        raise CredentialError("the consent holds no verifier")
    return keys.decrypt(state.verifier, verifier_binding(state.tenant_id, state.user_id, state.provider))


def verifier_binding(tenant_id: UUID, user_id: UUID, provider: str) -> Binding:
    """Name the one place where a consent's verifier opens."""
    return Binding(tenant_id=tenant_id, owner_id=user_id, provider=provider, kind=_VERIFIER)
