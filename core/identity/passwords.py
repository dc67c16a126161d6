"""Passwords: Argon2id for storing them, and a short policy for choosing them (A1, A2)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from core.clock import Runtime

T = TypeVar("T")

MEMORY_KIB, PASSES, LANES = 19456, 2, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
_PREFIX = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"

MIN_LENGTH, MAX_LENGTH = 12, 128
_PRODUCT = "tieout"
_MIN_OWN = 8
"""Characters that must remain once the product's name and the person's own address are taken out."""

_COMMON = Path(__file__).with_name("common_passwords.txt")

# Each hash takes 19 MiB for 43 ms: two at once is all that an attacker may make us spend.
_POOL = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


async def hash_password(plain: str, runtime: Runtime) -> str:
    """Return the PHC string to store."""
    salt = runtime.token_bytes(_SALT_BYTES)
    return await _in_pool(lambda: hash_now(plain, salt))


async def verify_password(stored: str | None, plain: str) -> bool:
    """Say whether ``plain`` is the password, exactly as typed. Without a stored hash it takes the same time (A3)."""
    return await _in_pool(lambda: _verify_now(stored, plain))


def is_outdated(stored: str) -> bool:
    """Say whether a stored hash was made with other parameters than today's."""
    return not stored.startswith(_PREFIX)


def hash_now(plain: str, salt: bytes) -> str:
    """Hash in this thread; blocks for about 43 ms."""
    kdf = Argon2id(salt=salt, length=_HASH_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(plain.encode())


def find_weakness(plain: str, email: str) -> str | None:
    """Return in the reader's words why a new password is refused, or None."""
    if len(plain) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters. A few words in a row are easy to remember."
    if len(plain) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters."
    folded = plain.casefold()
    if folded in _common():
        return "This password is on the lists that attackers try first. Choose another one."
    if _own_part(folded, email.casefold()) < _MIN_OWN:
        return "Leave out your e-mail address and the name Tieout. They are the first things to be guessed."
    return None


def _own_part(folded: str, email: str) -> int:
    name = email.partition("@")[0]
    for guessed in (email, name, _PRODUCT):
        if len(guessed) >= 3:
            folded = folded.replace(guessed, "")
    return len(folded)


@cache
def _common() -> frozenset[str]:
    return frozenset(_COMMON.read_text("utf-8").splitlines())


@cache
def _nobody() -> str:
    return hash_now("nobody's password", bytes(_SALT_BYTES))


def _verify_now(stored: str | None, plain: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(plain.encode(), _nobody() if stored is None else stored)
    except InvalidKey:
        return False
    return stored is not None


async def _in_pool(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_POOL, work)
