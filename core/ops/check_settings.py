"""What the environment says: missing, malformed, left from an example, or at odds with itself. No secret is shown."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from core.accounting import registry
from core.config import Settings, parse_key_ring, variable_names
from core.connections.consent import callback_url
from core.errors import ConfigurationError
from core.ops.findings import Finding, Level

_EXAMPLE = re.compile(
    r"<.*>|\.\.\.|change.?me|replace.?me|your[-_ ].+|to.?do|x{4,}|placeholder|secret|password|example|dummy|none|null",
    re.I,
)
"""What people leave where a value should have come; only whole values and known beginnings count."""

_SECRET_FIELDS = (
    "secret_key", "operator_token", "stripe_client_id", "stripe_secret_key", "stripe_webhook_secrets",
    "quickbooks_client_id", "quickbooks_client_secret", "xero_client_id", "xero_client_secret",
)  # fmt: skip
_MISSING = " is missing"
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def check_settings(settings: Settings, problems: list[str]) -> list[Finding]:
    """Judge the settings.

    Args:
        settings: what could be read.
        problems: what could not, from :func:`core.config.read_settings`.
    """
    missing = [problem.removesuffix(_MISSING) for problem in problems if problem.endswith(_MISSING)]
    found = [_missing(missing)] if missing else []
    found += [_problem(problem) for problem in problems if not problem.endswith(_MISSING)]
    found += [*_placeholders(settings), *_modes(settings), *_address(settings), *_token_keys(settings)]
    if not any(finding.about == "settings" for finding in found):
        found.insert(0, Finding("settings", Level.FINE, f"Every variable that {settings.app_env} needs is there."))
    return found


def _missing(names: list[str]) -> Finding:
    return Finding(
        "settings",
        Level.BROKEN,
        f"Not set: {', '.join(names)}. Tieout does not start like this, so nothing is booked.",
        "Set them in every process, as the table in the README says, and start the processes again.",
    )


def _problem(problem: str) -> Finding:
    name = re.match(r"[A-Z_]+", problem)
    return Finding(
        "settings",
        Level.BROKEN,
        f"{problem}. Tieout does not start like this, so nothing is booked.".replace("?.", "?"),
        f"Correct {name[0] if name else 'it'} in every process, and start the processes again.",
    )


def _placeholders(settings: Settings) -> Iterator[Finding]:
    for field in _SECRET_FIELDS:
        values = [part.strip() for part in str(getattr(settings, field)).split(",") if part.strip()]
        if any(_is_placeholder(value) for value in values):
            yield Finding(
                "placeholder",
                Level.BROKEN,
                f"{field.upper()} still holds a placeholder: whatever needs it is refused.",
                f"Put the real value into {field.upper()}: {variable_names()[field.upper()]}",
            )


def _is_placeholder(value: str) -> bool:
    bare = re.sub(r"^(sk_test_|sk_live_|rk_live_|rk_test_|whsec_|ca_)", "", value)
    return _EXAMPLE.fullmatch(bare) is not None or len(set(bare)) < 3


def _modes(settings: Settings) -> Iterator[Finding]:
    """Yield what would book play money as real money, or refuse the real."""
    key = settings.stripe_secret_key
    if key and not key.startswith(("sk_", "rk_")):
        yield Finding(
            "stripe",
            Level.BROKEN,
            "STRIPE_SECRET_KEY is no secret key of Stripe's: it must begin with sk_ or rk_. Nobody can connect Stripe.",
            "Copy the secret key from Stripe's dashboard, Developers, API keys.",
        )
    elif key and ("_live_" in key) != settings.is_live:
        yield Finding(
            "stripe",
            Level.BROKEN,
            f"STRIPE_MODE is {settings.stripe_mode}, but STRIPE_SECRET_KEY is a key of the other mode: "
            "Stripe refuses to connect.",
            "Set STRIPE_MODE to what you mean, and take the key of that mode.",
        )
    if any(not secret.startswith("whsec_") for secret in settings.webhook_secrets):
        yield Finding(
            "webhook",
            Level.BROKEN,
            "STRIPE_WEBHOOK_SECRETS holds something that is no signing secret: those begin with whsec_. "
            "Events it should have signed are refused with 400.",
            "Copy the signing secret of the endpoint from Stripe's dashboard, Developers, Webhooks.",
        )
    if settings.is_live and "sandbox" in settings.quickbooks_api_base:
        yield Finding(
            "quickbooks",
            Level.WARNING,
            "Live payments of Stripe would go into Intuit's sandbox companies, which are no real books.",
            "Set QUICKBOOKS_API_BASE to https://quickbooks.api.intuit.com, or STRIPE_MODE to test.",
        )


def _address(settings: Settings) -> Iterator[Finding]:
    base = urlsplit(settings.app_base_url)
    if base.netloc.lower() not in settings.hosts:
        yield Finding(
            "address",
            Level.BROKEN,
            "ALLOWED_HOSTS does not name the host of APP_BASE_URL: every page there answers 400.",
            f"Add {base.netloc} to ALLOWED_HOSTS, or leave it empty.",
        )
    if base.scheme == "http" and base.hostname not in _LOCAL:
        yield Finding(
            "address",
            Level.WARNING,
            "APP_BASE_URL is plain http beyond this machine: sign-ins and cookies can be read on their way, and "
            "Stripe and Intuit take no such address in live mode.",
            "Put a proxy that speaks TLS in front, and begin APP_BASE_URL with https://.",
        )
    if settings.is_https and settings.trusted_hops == 0:
        yield Finding(
            "proxy",
            Level.WARNING,
            "APP_BASE_URL is https, which a proxy must speak, but TRUSTED_HOPS is 0: everybody seems to come from the "
            "proxy's address, so wrong sign-ins of one slow down all.",
            "Set TRUSTED_HOPS to the number of proxies in front; 2 on Render.",
        )
    yield Finding("register", Level.FINE, _to_register(settings))


def _to_register(settings: Settings) -> str:
    """Name the addresses that the providers must know, as they follow from the settings."""
    base = settings.app_base_url.rstrip("/")
    said = [f"{base}/webhooks/stripe as the webhook endpoint, {callback_url(settings, 'stripe')} at Stripe"]
    said += [
        f"{callback_url(settings, provider.kind)} at {provider.display_name}"
        for provider in registry.every()
        if provider.uses_oauth and getattr(settings, f"{provider.kind}_client_id", None)
    ]
    return f"To be registered with the providers: {', '.join(said)}."


def _token_keys(settings: Settings) -> Iterator[Finding]:
    try:
        ring = parse_key_ring(settings.token_keys)
    except ConfigurationError:
        return  # Among the problems already.
    weak = [key_id for key_id, key in ring.items() if len(set(key)) < 8]
    if weak:
        yield Finding(
            "keys",
            Level.WARNING,
            f"TOKEN_KEYS: key {weak[0]} is not random. Who guesses it can open every stored token in a backup.",
            'Make one with `echo "k2:$(openssl rand -base64 32)"`, and rotate as the runbook says.',
        )
