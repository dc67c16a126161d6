"""Why a connection was not made, in the reader's words. Each says that nothing was changed."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.connections.providers import display_name
from core.errors import (
    InputError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitedError,
)

_PASSING = (RateLimitedError, ProviderUnavailableError, NotSentError, OutcomeUnknownError)


class ConnectError(InputError):
    """A connection was not made. ``title`` is the short form; ``message`` explains; ``kind`` is the provider asked."""

    code = "connect"

    def __init__(self, kind: str, title: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.title = title


def link_is_spent(kind: str) -> ConnectError:
    """State unknown, used, too old, or begun by another browser, person or workspace (O1): the same for all."""
    return ConnectError(
        kind,
        "That sign-in can no longer be used",
        f"It was begun elsewhere, took longer than ten minutes, or was used already. Nothing was changed. "
        f"Please connect {display_name(kind)} again from here.",
    )


def consent_refused(kind: str) -> ConnectError:
    """The person said no, or the provider did. Its own words are never shown (O10)."""
    name = display_name(kind)
    return ConnectError(kind, f"{name} was not connected", f"You, or {name}, declined. Nothing was changed.")


def not_completed(kind: str) -> ConnectError:
    """The provider answered, but not with access that can be used."""
    name = display_name(kind)
    return ConnectError(
        kind, f"{name} was not connected", f"{name} did not confirm the sign-in. Nothing was changed. Please try again."
    )


def not_answering(kind: str) -> ConnectError:
    """The provider did not answer."""
    name = display_name(kind)
    return ConnectError(
        kind, f"{name} is not answering", "Nothing was changed. Please try again in a few minutes from here."
    )


def other_company(kind: str, *, signed_in: str, ours: str) -> ConnectError:
    """Reconnecting led to another company; a wrong one does real damage (F23)."""
    what = "your account" if kind == "stripe" else "your books"
    are = "is" if kind == "stripe" else "are"
    title = "That is a different account" if kind == "stripe" else "That is a different company"
    return ConnectError(
        kind, title, f"You signed in to “{signed_in}”; {what} here {are} “{ours}”. Nothing was changed."
    )


def other_books(kind: str, *, other: str) -> ConnectError:
    """Another ledger is connected; two would book every payment twice."""
    return ConnectError(
        kind,
        f"Your books are in {other}",
        f"To move them to {display_name(kind)}, disconnect {other} first, so that no payment is posted twice.",
    )


def taken_elsewhere(kind: str) -> ConnectError:
    """Active in another workspace, which is not named (T9)."""
    what = "Stripe account" if kind == "stripe" else f"{display_name(kind)} company"
    return ConnectError(
        kind,
        f"This {what} is in use",
        "It is connected to another workspace, and would be booked twice. Disconnect it there first. "
        "Nothing was changed.",
    )


def not_offered(kind: str) -> ConnectError:
    """This installation has no credentials for the provider."""
    name = display_name(kind)
    return ConnectError(
        kind, f"{name} cannot be connected here", f"Whoever runs this installation has not set {name} up yet."
    )


@contextmanager
def in_words(kind: str) -> Iterator[None]:
    """Turn whatever a provider answers to questions about a consent into words for the person who gave it."""
    try:
        yield
    except _PASSING:
        raise not_answering(kind) from None
    except ProviderError:
        raise not_completed(kind) from None
    except InputError as exc:
        raise ConnectError(kind, not_completed(kind).title, exc.message) from None
