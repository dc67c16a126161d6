"""Secrets at rest: AES-256-GCM, bound to the row they belong to.

A blob is ``version (1 byte) | length of key id (1 byte) | key id | nonce (12 bytes) | ciphertext, tag``. The associated
data names tenant, connection, provider and kind, so a blob copied into another row does not open (K1). AES-GCM with
random nonces stays safe to 2^32 encryptions per key (K7): at one refresh an hour for 10 000 connections a key lasts for
49 years; rotate yearly all the same.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.clock import Runtime
from core.errors import CredentialError

_VERSION = 1
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a secret belongs. Decryption works only under the very same binding."""

    tenant_id: UUID
    owner_id: UUID
    provider: str
    kind: str

    def associated_data(self) -> bytes:
        """Bytes that the tag covers."""
        return f"v1|{self.tenant_id}|{self.owner_id}|{self.provider}|{self.kind}".encode()


class KeyRing:
    """Encrypts with the first key, decrypts with any (K2).

    Args:
        keys: key id -> 32 bytes, first one first; at least one.
        runtime: source of nonces.
    """

    def __init__(self, keys: Mapping[str, bytes], runtime: Runtime) -> None:
        if not keys:
            raise CredentialError("the key ring is empty")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.first_key_id = next(iter(keys))
        self._runtime = runtime

    def __repr__(self) -> str:
        """Never show a key (K6)."""
        return f"KeyRing(ids={list(self._ciphers)})"

    @property
    def key_ids(self) -> frozenset[str]:
        """Ids of the keys at hand."""
        return frozenset(self._ciphers)

    def encrypt(self, plain: str, binding: Binding) -> bytes:
        """Seal ``plain`` under the first key."""
        nonce = self._runtime.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self.first_key_id].encrypt(nonce, plain.encode(), binding.associated_data())
        key_id = self.first_key_id.encode()
        return bytes([_VERSION, len(key_id)]) + key_id + nonce + sealed

    def decrypt(self, blob: bytes, binding: Binding) -> str:
        """Open a blob.

        Raises:
            CredentialError: wrong binding, unknown key id, or damaged bytes; the text shows none of them.
        """
        key_id, rest = _split_blob(blob)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CredentialError("stored under a key that is not on the ring")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], binding.associated_data()).decode()
        except (InvalidTag, ValueError) as exc:
            raise CredentialError("stored secret cannot be opened") from exc


def key_id_of(blob: bytes) -> str:
    """Return the id of the key that sealed ``blob``."""
    return _split_blob(blob)[0]


def _split_blob(blob: bytes) -> tuple[str, bytes]:
    if len(blob) < 2 or blob[0] != _VERSION or len(blob) < 2 + blob[1] + _NONCE_BYTES + 16:
        raise CredentialError("stored secret is damaged")
    end = 2 + blob[1]
    return blob[2:end].decode("ascii", "replace"), blob[end:]


def hash_token(token: str) -> str:
    """Return SHA-256 of a random token as hex: enough for tokens of 128 bits and more, which cannot be guessed (K3)."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(runtime: Runtime, size: int = 32) -> str:
    """Return ``size`` random bytes as hex."""
    return runtime.token_bytes(size).hex()


def same(a: str, b: str) -> bool:
    """Compare two texts in constant time, as bytes, so that any character is allowed."""
    return secrets.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))
