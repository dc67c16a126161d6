"""For what a password is asked again, in words, told from where the person goes afterwards (S6)."""

import re

from web.facts import Visitor
from web.views import StepUpView

_NAMES = {"stripe": "Stripe", "quickbooks": "QuickBooks", "xero": "Xero", "mock": "the practice books"}
_DISCONNECT = re.compile(r"/connections/([a-z]+)/disconnect")


def step_up_view(visitor: Visitor, following: str, *, error: str = "") -> StepUpView:
    """Return the view of the page that asks for the password."""
    return StepUpView(email=visitor.user_email, purpose=purpose_of(following), next=following, error=error)


def purpose_of(following: str) -> str:
    """Complete the sentence "To ..., please confirm that it is you"."""
    path = following.partition("?")[0]
    disconnects = _DISCONNECT.fullmatch(path)
    if disconnects:
        return f"disconnect {_NAMES.get(disconnects[1], 'your books')}"
    if path.startswith("/connections"):
        return "connect or disconnect an account"
    return "go on"
