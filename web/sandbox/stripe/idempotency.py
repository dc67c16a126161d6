"""Remembers the answers of POST requests by their Idempotency-Key."""

from dataclasses import dataclass

from web.sandbox.clock import SandboxClock
from web.sandbox.stripe.errors import StripeError

_LIFE_S = 86_400
_MAX_LENGTH = 255


@dataclass
class Remembered:
    """A finished request."""

    fingerprint: str
    status: int
    body: bytes
    at: float


class IdempotencyStore:
    """Answers per account and key. Errors found before the work began are not kept."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._answers: dict[tuple[str, str], Remembered] = {}

    def find(self, account: str, key: str, fingerprint: str) -> Remembered | None:
        """The earlier answer to the same request.

        Raises:
            StripeError: if the key is too long, or was used for another request.
        """
        if len(key) > _MAX_LENGTH:
            message = f"Idempotency key is too long: at most {_MAX_LENGTH} characters."
            raise StripeError(message, type="idempotency_error")
        found = self._answers.get((account, key))
        if found is None or found.at + _LIFE_S < self._clock.timestamp():
            return None
        if found.fingerprint != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeError(message, type="idempotency_error")
        return found

    def keep(self, account: str, key: str, fingerprint: str, status: int, body: bytes) -> None:
        if status < 400 or status == 402 or status >= 500:
            self._answers[account, key] = Remembered(fingerprint, status, body, self._clock.timestamp())
