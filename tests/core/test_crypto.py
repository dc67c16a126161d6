"""Secrets at rest (K1-K3, K6)."""

import base64
import hashlib
from dataclasses import replace
from uuid import UUID

import pytest

from core.config import parse_key_ring
from core.crypto import Binding, KeyRing, hash_token, key_id_of, new_token, same
from core.errors import ConfigurationError, CredentialError
from tests.runtime import VirtualRuntime

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
HERE = Binding(tenant_id=UUID(int=1), owner_id=UUID(int=2), provider="quickbooks", kind="access_token")
TOKEN = "eyJlbmMiOiJBMTI4Q0JDLUhTMjU2In0" * 40


def _ring(**keys: bytes) -> KeyRing:
    return KeyRing(keys, VirtualRuntime())


def test_what_was_sealed_opens_under_the_same_binding() -> None:
    ring = _ring(k1=OLD)
    for plain in (TOKEN, "", "ключ", "x" * 5000):
        assert ring.decrypt(ring.encrypt(plain, HERE), HERE) == plain


def test_two_seals_of_one_token_differ() -> None:
    ring = _ring(k1=OLD)
    assert ring.encrypt(TOKEN, HERE) != ring.encrypt(TOKEN, HERE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(HERE, tenant_id=UUID(int=9)),
        replace(HERE, owner_id=UUID(int=9)),
        replace(HERE, provider="xero"),
        replace(HERE, kind="refresh_token"),
    ],
)
def test_a_blob_opens_nowhere_else(elsewhere: Binding) -> None:
    ring = _ring(k1=OLD)
    blob = ring.encrypt(TOKEN, HERE)
    with pytest.raises(CredentialError):
        ring.decrypt(blob, elsewhere)


def test_every_flipped_bit_is_noticed() -> None:
    ring = _ring(k1=OLD)
    blob = ring.encrypt("short", HERE)
    for position in range(len(blob)):
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[position] ^= 1 << bit
            with pytest.raises(CredentialError):
                ring.decrypt(bytes(damaged), HERE)


def test_every_cut_blob_is_noticed() -> None:
    ring = _ring(k1=OLD)
    blob = ring.encrypt("short", HERE)
    for length in range(len(blob)):
        with pytest.raises(CredentialError):
            ring.decrypt(blob[:length], HERE)
    with pytest.raises(CredentialError):
        ring.decrypt(blob + b"x", HERE)


def test_the_first_key_seals_and_every_key_opens() -> None:
    old = _ring(k1=OLD).encrypt(TOKEN, HERE)
    both = _ring(k2=NEW, k1=OLD)
    fresh = both.encrypt(TOKEN, HERE)
    assert (key_id_of(old), key_id_of(fresh)) == ("k1", "k2")
    assert both.decrypt(old, HERE) == both.decrypt(fresh, HERE) == TOKEN
    with pytest.raises(CredentialError, match="not on the ring"):
        _ring(k2=NEW).decrypt(old, HERE)


def test_a_key_under_anothers_name_opens_nothing() -> None:
    blob = _ring(k1=OLD).encrypt(TOKEN, HERE)
    with pytest.raises(CredentialError):
        _ring(k1=NEW).decrypt(blob, HERE)


def test_nothing_secret_shows_in_words() -> None:
    ring = _ring(k1=OLD)
    blob = ring.encrypt(TOKEN, HERE)
    shown = [repr(ring), str(ring)]
    for damaged in (b"", blob[:-1], blob + b"x"):
        with pytest.raises(CredentialError) as caught:
            ring.decrypt(damaged, HERE)
        shown.append(f"{caught.value!r} {caught.value}")
    for text in shown:
        assert TOKEN not in text
        assert base64.b64encode(OLD).decode() not in text
        assert repr(OLD)[2:-1] not in text


def test_an_empty_ring_is_no_ring() -> None:
    with pytest.raises(CredentialError):
        KeyRing({}, VirtualRuntime())


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k1", "base64|bytes"),
        (f":{_encoded(OLD)}", "short id"),
        (f"k_1:{_encoded(OLD)}", "short id"),
        (f"{'k' * 17}:{_encoded(OLD)}", "short id"),
        ("k1:not base64!", "not base64"),
        (f"k1:{_encoded(OLD[:31])}", "31 bytes"),
        (f"k1:{_encoded(OLD + b'x')}", "33 bytes"),
        (f"k1:{_encoded(OLD)},k1:{_encoded(NEW)}", "twice"),
        (f"k1:{_encoded(OLD)},k2:{_encoded(OLD)}", "twice"),
    ],
)
def test_a_bad_ring_is_refused_without_showing_it(text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        parse_key_ring(text)
    assert _encoded(OLD)[:12] not in str(caught.value)
    assert "not base64!" not in str(caught.value)


def test_a_good_ring_keeps_its_order() -> None:
    assert list(parse_key_ring(f" k2:{_encoded(NEW)} , k1:{_encoded(OLD)} ")) == ["k2", "k1"]


def test_tokens_are_long_and_stored_as_hashes() -> None:
    runtime = VirtualRuntime()
    token = new_token(runtime)
    assert len(bytes.fromhex(token)) == 32
    assert hash_token(token) == hashlib.sha256(token.encode()).hexdigest()
    assert new_token(runtime) != token


def test_any_two_texts_can_be_compared() -> None:
    assert same("é", "é")
    assert not same("é", "e")
    assert not same("\ud800", "x")
