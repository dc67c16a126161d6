"""The words that a payment is found by, and those that a person typed: split alike, so that they meet. Pure.

A word is found by its beginning. Stripe ids stay whole; in names and addresses what follows a mark is a word as well,
so "neil" finds "O'Neil" and "example.org" finds everybody there.
"""

import re
from collections.abc import Iterable

MAX_WORD = 64
"""Characters of a word that the index keeps."""

MAX_INDEXED = 200
"""Words kept of one payment; a description may be of any length."""

_MARKS = re.compile(r"\W+")
_NUMBER = re.compile(r"[0-9.,]+")
_AMOUNT = re.compile(r"[^\w\s]?[0-9][0-9,]*(\.[0-9]{0,3})?")


def index_text(parts: Iterable[str]) -> str:
    """Return the words of ``parts``, each once, between single spaces: what ``Payment.search`` holds."""
    found: dict[str, None] = {}
    for chunk in " ".join(parts).casefold().split():
        whole = _bare(chunk)
        found[whole] = None
        if not _NUMBER.fullmatch(whole):
            found.update(dict.fromkeys(whole[mark.end() :] for mark in _MARKS.finditer(whole)))
    found.pop("", None)
    return " ".join(list(found)[:MAX_INDEXED])


def typed_words(text: str) -> list[str]:
    """Return the words of what was typed; an amount is found however it is written: "$1,234.50" looks for "1234.50"."""
    chunks = text.casefold().split()
    return [_plain(chunk) if _AMOUNT.fullmatch(chunk) else _bare(chunk) or chunk for chunk in chunks]


def _bare(chunk: str) -> str:
    """Return the chunk without the marks in front of it."""
    return _MARKS.sub("", chunk, count=1) if chunk and _MARKS.match(chunk) else chunk


def _plain(amount: str) -> str:
    return re.sub(r"[^0-9.]", "", amount)
