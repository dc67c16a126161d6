"""A stateful stand-in of Stripe: accounts, money, events, webhooks and OAuth, over the paths of the real API."""

from web.sandbox.stripe.sandbox import StripeSandbox

__all__ = ["StripeSandbox"]
