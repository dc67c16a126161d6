"""What each Stripe event tells us to look at: one function per event, found through the registry.

A handler is pure. It reads the event's object and names what should be fetched anew; it never acts on the event's own
figures, because events come late, twice and out of order (F1, F2).
"""

# Importing a family registers its handlers; a new family is one name here.
from core.intake.handlers import access, catalogue, disputes, payments, payouts, refunds  # noqa: F401
from core.intake.handlers.registry import Target, handles, is_known, subscribed_events, targets_of

__all__ = ["Target", "handles", "is_known", "subscribed_events", "targets_of"]
