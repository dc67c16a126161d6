"""Local stand-ins of Stripe, Intuit and Xero, for the demo and the tests.

Nothing else in ``core`` or ``web`` imports this package, and it imports nothing of theirs but the clock and money.
"""
