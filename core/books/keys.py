"""Names that a write keeps for ever: its idempotency key and its reference inside the books.

Both come from the business fact alone, so that a second process, a restart or a restored backup arrives at the same.
"""

import hashlib
from uuid import UUID, uuid5

MAX_REFERENCE = 21
"""QuickBooks' DocNumber and PaymentRefNum; the shortest field that any provider gives us."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHARACTERS = 12
# Separates the parts of a hashed name; cannot occur in a Stripe id or a step.
_SEPARATOR = "\x1f"


def operation_key(connection_id: UUID, source_id: str, step: str, revision: int) -> str:
    """Return the idempotency key of one write: a UUID as text, 36 characters.

    Args:
        connection_id: the connection to the books; two companies never share a key.
        source_id: Stripe's id of the fact that is booked.
        step: which document of that fact.
        revision: raised only after a definite refusal was repaired, never after a doubt.
    """
    return str(uuid5(connection_id, _SEPARATOR.join((source_id, step, str(revision)))))


def reference_for(connection_id: UUID, source_id: str, prefix: str = "TO") -> str:
    """Return the lasting reference that a document carries in the books, e.g. ``TO-4F7K2M9QXD3A``.

    Sixty bits of a hash: within one company's books a clash is not to be expected before a hundred million documents.

    Raises:
        ValueError: if ``prefix`` would make the reference longer than :data:`MAX_REFERENCE`.
    """
    if len(prefix) + 1 + _CHARACTERS > MAX_REFERENCE:
        raise ValueError(f"prefix {prefix!r} is too long")
    digest = hashlib.sha256(_SEPARATOR.join((str(connection_id), source_id)).encode()).digest()
    number = int.from_bytes(digest[:8], "big") >> 4
    characters = "".join(_CROCKFORD[number >> shift & 31] for shift in range(55, -1, -5))
    return f"{prefix}-{characters}"
