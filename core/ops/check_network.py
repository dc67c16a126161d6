"""The way out, only when asked for: are the providers there, and does Stripe's endpoint lead here."""

import asyncio

from core.clock import Runtime
from core.config import Settings
from core.errors import NotSentError, OutcomeUnknownError, TieoutError
from core.intake.handlers import subscribed_events
from core.intake.stripe_client import STRIPE_API_VERSION, make_stripe, stripe_errors
from core.ops.findings import Finding, Level
from core.outgoing import Outgoing, host_of

_WAIT_S = 10.0
_MOST_ENDPOINTS = 100


async def check_network(settings: Settings, outgoing: Outgoing, runtime: Runtime) -> list[Finding]:
    """Call each provider's host once, and ask Stripe for the endpoint."""
    hosts = {host_of(url): url for url in settings.outgoing_urls}
    found = list(await asyncio.gather(*(_host(outgoing, host, url) for host, url in sorted(hosts.items()))))
    if settings.stripe_secret_key:
        found.append(await _endpoint(settings, outgoing, runtime))
    return found


async def _host(outgoing: Outgoing, host: str, url: str) -> Finding:
    """Any answer will do: who refuses a call without a token is there."""
    try:
        await outgoing.send("GET", url, read_timeout_s=_WAIT_S)
    except NotSentError as exc:
        return Finding(
            "network",
            Level.BROKEN,
            f"{host} cannot be reached ({exc.text}): nothing gets there, and what waits for it keeps waiting.",
            "Let this machine call it on port 443, with certificates checked and no proxy in between.",
        )
    except OutcomeUnknownError:
        return Finding(
            "network",
            Level.WARNING,
            f"{host} was reached, but gave no answer within {_WAIT_S:.0f} seconds.",
            "Ask again in a minute; then look at its status page.",
        )
    return Finding("network", Level.FINE, f"{host} answers.")


async def _endpoint(settings: Settings, outgoing: Outgoing, runtime: Runtime) -> Finding:
    """Look at the platform's webhook endpoint at Stripe: there, switched on, and telling what is booked."""
    address = f"{settings.app_base_url.rstrip('/')}/webhooks/stripe"
    try:
        with stripe_errors():
            client = make_stripe(outgoing, settings, runtime, settings.stripe_secret_key)
            listed = await client.v1.webhook_endpoints.list_async({"limit": _MOST_ENDPOINTS})
    except TieoutError as exc:
        return Finding(
            "endpoint",
            Level.BROKEN,
            f"Stripe did not show the webhook endpoints ({exc.code}), so nobody knows whether events arrive.",
            "Take a secret key of your own Stripe account for STRIPE_SECRET_KEY.",
        )
    mine = [endpoint for endpoint in listed.data if endpoint.url.rstrip("/") == address]
    if not mine:
        return Finding(
            "endpoint",
            Level.BROKEN,
            f"Stripe has no webhook endpoint that leads to {address}: payments are found by the hourly catch-up only.",
            "Add one in Stripe's dashboard for events of connected accounts, and set STRIPE_WEBHOOK_SECRETS.",
        )
    if all(endpoint.status != "enabled" for endpoint in mine):
        return Finding(
            "endpoint",
            Level.BROKEN,
            "The webhook endpoint is switched off at Stripe: payments are found by the hourly catch-up only.",
            "Switch it on in Stripe's dashboard, Developers, Webhooks.",
        )
    told = {name for endpoint in mine if endpoint.status == "enabled" for name in endpoint.enabled_events}
    untold = [name for name in subscribed_events() if name not in told] if "*" not in told else []
    if untold:
        return Finding(
            "endpoint",
            Level.WARNING,
            f"The webhook endpoint does not tell of {', '.join(untold[:5])}{' and others' if untold[5:] else ''}: "
            "these are found by the hourly catch-up only.",
            "Add the events to the endpoint in Stripe's dashboard.",
        )
    versions = {endpoint.api_version or "the account's own" for endpoint in mine}
    if versions != {STRIPE_API_VERSION}:
        return Finding(
            "endpoint",
            Level.WARNING,
            f"The webhook endpoint sends API version {', '.join(sorted(versions))}, Tieout reads {STRIPE_API_VERSION}. "
            "Events are taken as hints only, so nothing is booked wrongly.",
            f"Make the endpoint anew with version {STRIPE_API_VERSION} when you next roll its secret.",
        )
    return Finding("endpoint", Level.FINE, f"Stripe's webhook endpoint leads here, with version {STRIPE_API_VERSION}.")
