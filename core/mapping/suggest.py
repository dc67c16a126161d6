"""A likely account for a service, by the words of both names. Pure; offered, never chosen."""

import re
from collections.abc import Iterable
from typing import Protocol

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 3
_STEM = 5
_ENOUGH = 0.5

# Words that say "this is income" or "this is sold" and therefore nothing about which.
_EMPTY_WORDS = frozenset(
    [
        "account",
        "and",
        "fee",
        "fees",
        "for",
        "income",
        "other",
        "revenue",
        "sale",
        "sales",
        "service",
        "services",
        "the",
    ]
)


class Named(Protocol):
    """Something with a name, such as an account."""

    @property
    def name(self) -> str:
        """The name as people read it."""
        ...


def suggest_account(service_name: str, accounts: Iterable["Named"]) -> "Named | None":
    """Return the account whose name shares the most with the service's; None if none does, or two do equally well."""
    service = _stems(service_name)
    if not service:
        return None
    scored = sorted(
        ((_score(service, _stems(account.name)), position, account) for position, account in enumerate(accounts)),
        key=lambda found: (-found[0], found[1]),
    )
    if not scored or scored[0][0] < _ENOUGH:
        return None
    if len(scored) > 1 and scored[1][0] == scored[0][0]:
        return None
    return scored[0][2]


def _score(service: frozenset[str], account: frozenset[str]) -> float:
    """Return the part of the service's words that the account knows, nudged up where the account says little else."""
    shared = len(service & account)
    return shared / len(service) + 0.1 * shared / len(account) if shared else 0.0


def _stems(name: str) -> frozenset[str]:
    """Return the telling words of a name, cut so that "Minis", "mini", "Mentoring" and "mentor hour" meet."""
    words = (word.casefold() for word in _WORD.findall(name))
    return frozenset(_stem(word) for word in words if len(word) >= _SHORTEST and word not in _EMPTY_WORDS)


def _stem(word: str) -> str:
    return (word[:-1] if word.endswith("s") and len(word) > _SHORTEST + 1 else word)[:_STEM]
