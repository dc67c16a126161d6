"""The tree of everything that can go wrong on purpose.

Each class carries a stable ``code`` for logs and tests and says whether repeating the same thing can help
(``permanent``). Errors that stop a payment carry a :class:`~core.reasons.Reason` with its detail, so that the pages can
say what happened, what it means for the books and what to do.
"""

from collections.abc import Mapping

from core.reasons import Reason


class TieoutError(Exception):
    """Root of the tree."""

    code = "tieout_error"
    permanent = True


class ConfigurationError(TieoutError):
    """The environment does not allow a safe start; the text names the variable and never shows a secret."""

    code = "configuration"


class NotFoundError(TieoutError):
    """No such thing for this tenant. Foreign and missing ids are the same (T6)."""

    code = "not_found"


class InputError(TieoutError):
    """What a person typed or pasted cannot be used; ``message`` says why in their words, ``field`` names the input."""

    code = "input"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class CredentialError(TieoutError):
    """A stored secret cannot be opened: unknown key id, wrong row, damaged bytes (K1, K5)."""

    code = "credential"


class StopError(TieoutError):
    """A record stops here for a stated reason, before anything was sent."""

    code = "stop"

    def __init__(self, reason: Reason, detail: Mapping[str, object] | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail: dict[str, object] = dict(detail or {})


class LeaseLostError(TieoutError):
    """Another process took over: change nothing, stop."""

    code = "lease_lost"
    permanent = False


class ProviderError(TieoutError):
    """Anything a provider (Stripe, QuickBooks, Xero) answered or failed to answer.

    Args:
        text: the provider's own words, at most 300 characters; shown only behind "What QuickBooks said".
        request_id: the provider's id of the call, for its support.
        status: HTTP status, where there was one.
    """

    code = "provider"
    permanent = False

    def __init__(self, text: str = "", *, request_id: str | None = None, status: int | None = None) -> None:
        super().__init__(text[:300])
        self.text = text[:300]
        self.request_id = request_id
        self.status = status


class NotSentError(ProviderError):
    """No byte reached the provider (F6): repeating is free of doubt."""

    code = "not_sent"


class OutcomeUnknownError(ProviderError):
    """The write may or may not have happened (F7): look it up before sending anything again.

    ``answered`` is False when there was no answer at all, True for a 5xx or an answer that cannot be read.
    """

    code = "outcome_unknown"

    def __init__(
        self, text: str = "", *, answered: bool, request_id: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(text, request_id=request_id, status=status)
        self.answered = answered


class RateLimitedError(ProviderError):
    """Refused for pace, not executed (F10). ``retry_after_s`` is None where the provider names no time.

    ``is_of_all``: the limit that was met is that of our app over all its connections, not of this one.
    """

    code = "rate_limited"

    def __init__(
        self,
        text: str = "",
        *,
        retry_after_s: float | None = None,
        is_of_all: bool = False,
        request_id: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(text, request_id=request_id, status=status)
        self.retry_after_s = retry_after_s
        self.is_of_all = is_of_all


class ProviderUnavailableError(ProviderError):
    """The provider says that it is down or in maintenance; the call was not executed."""

    code = "provider_unavailable"

    def __init__(
        self,
        text: str = "",
        *,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(text, request_id=request_id, status=status)
        self.retry_after_s = retry_after_s


class AccessExpiredError(ProviderError):
    """The access token was refused (401): refresh once, repeat once, same key (F13)."""

    code = "access_expired"


class ReconnectRequiredError(ProviderError):
    """The grant itself is gone (F17): nothing is lost, a person signs in again."""

    code = "reconnect_required"
    permanent = True


class ProviderRejectedError(ProviderError):
    """A definite refusal (F20): nothing was written; ``reason`` says what kind."""

    code = "provider_rejected"
    permanent = True

    def __init__(
        self,
        reason: Reason,
        text: str = "",
        *,
        detail: Mapping[str, object] | None = None,
        field: str | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(text, request_id=request_id, status=status)
        self.reason = reason
        self.detail: dict[str, object] = dict(detail or {})
        self.field = field
        self.provider_code = provider_code
