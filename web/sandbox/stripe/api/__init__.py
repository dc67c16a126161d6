"""The API operations, one module per family."""

from web.sandbox.stripe.api import balance, catalog, charges, checkout, customers, intents, invoices, platform
from web.sandbox.stripe.operations import Table


def all_operations() -> Table:
    """Every operation of the stand-in."""
    return Table(
        balance.TABLE,
        catalog.TABLE,
        charges.TABLE,
        checkout.TABLE,
        customers.TABLE,
        intents.TABLE,
        invoices.TABLE,
        platform.TABLE,
    )
