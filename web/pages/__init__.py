"""Every page and endpoint, one line each."""

from web.pages import (
    accounts,
    connections,
    events,
    health,
    history,
    home,
    mapping,
    payments,
    payouts,
    reconciliation,
    sign_in,
    sign_out,
    sign_up,
    start,
    step_up,
    webhooks,
)

ROUTE_HANDLERS = [
    *accounts.ROUTES,
    *connections.ROUTES,
    *events.ROUTES,
    *health.ROUTES,
    *history.ROUTES,
    *home.ROUTES,
    *mapping.ROUTES,
    *payments.ROUTES,
    *payouts.ROUTES,
    *reconciliation.ROUTES,
    *sign_in.ROUTES,
    *sign_out.ROUTES,
    *sign_up.ROUTES,
    *start.ROUTES,
    *step_up.ROUTES,
    *webhooks.ROUTES,
]
