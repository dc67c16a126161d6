"""The faults that may happen, by their numbers in the fault model, and how often each has really happened."""

from collections import Counter

TITLES = {
    "F1": "the same event twice, or two events for one fact",
    "F2": "events out of order",
    "F3": "events that never arrive",
    "F4": "other mode, unknown account, type or version",
    "F5": "database down while an event is received",
    "F6": "connection refused before a byte was sent",
    "F7": "the books wrote, the answer was lost",
    "F8": "process died between the books' commit and ours",
    "F9": "the books forgot their idempotency keys",
    "F10": "429, with every form of Retry-After",
    "F11": "5xx, one after the other",
    "F12": "slow answers, and none within the time",
    "F13": "access token ran out in the middle of work",
    "F14": "two refreshes of one rotating token at once",
    "F15": "the answer to a refresh was lost",
    "F16": "junk instead of tokens",
    "F17": "access revoked at the provider",
    "F18": "a call with many documents, answered in part or in disorder",
    "F19": "success with another total than sent",
    "F20": "refused: closed period, inactive account",
    "F21": "edited, voided or deleted in the books by a person",
    "F22": "mapping changed between two tries",
    "F23": "disconnected with work under way, another company after it",
    "F24": "retry clicked five times at once",
    "F25": "amounts that round: currencies, tax inside, thirds",
    "F26": "the clock steps",
    "F27": "database locked",
    "F28": "connection lost in COMMIT",
    "F29": "disk full",
    "F30": "the last commits lost",
    "F31": "restored from an older backup",
    "F32": "old and new worker side by side, the old one told to stop",
    "F33": "an event that nobody can read",
}

HITS: Counter[str] = Counter()
"""What has happened in this process, counted by whoever suffered it."""


def hit(fault: str) -> None:
    """Note that a fault has really happened."""
    HITS[fault] += 1
