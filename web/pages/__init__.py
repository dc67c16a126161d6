"""Every page and endpoint, one line each."""

from web.pages import events, health, home, payments, sign_in, sign_out, sign_up, step_up, webhooks

ROUTE_HANDLERS = [
    *events.ROUTES,
    *health.ROUTES,
    *home.ROUTES,
    *payments.ROUTES,
    *sign_in.ROUTES,
    *sign_out.ROUTES,
    *sign_up.ROUTES,
    *step_up.ROUTES,
    *webhooks.ROUTES,
]
