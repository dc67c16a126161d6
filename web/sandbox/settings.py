"""What a sandbox can be told from outside. Every field has a default that works on a laptop."""

import msgspec


class SandboxSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Addresses and credentials that the application under test must be given as well."""

    base_url: str = "http://127.0.0.1:8001"
    """Where a browser reaches this sandbox; used in links only."""
    seed: int | None = None
    """Repeatable ids and delays. None = unguessable ids."""

    stripe_platform_account: str = "acct_SandboxPlatform01"
    stripe_platform_key: str = "sk_test_platform_sandbox"
    stripe_client_id: str = "ca_sandbox"
    stripe_redirect_uris: tuple[str, ...] = ()
    """Allowed callbacks of the consent page. Empty = any."""
    stripe_webhook_url: str | None = None
    """The application's intake; registered as the platform's Connect endpoint."""
    stripe_webhook_secret: str = "whsec_sandbox_connect"  # noqa: S105 - a published test value
    stripe_bt_delay_s: tuple[float, float] = (1.0, 5.0)
    """How long after a card payment its balance transaction appears (least, most)."""
    stripe_webhook_retries_s: tuple[float, ...] = (2.0, 10.0, 60.0, 600.0, 3600.0)
    """Waiting times before each further try of a failed delivery: Stripe's three days, compressed."""
    stripe_webhook_timeout_s: float = 10.0
    stripe_rate_limit: float | None = 25.0
    """Requests per second and account, and per endpoint; Stripe's sandbox figure. None = no limit."""
    stripe_app_permissions: tuple[str, ...] = (
        "balance_read",
        "balance_transaction_source_read",
        "charge_read",
        "checkout_session_read",
        "customer_read",
        "dispute_read",
        "event_read",
        "invoice_read",
        "payout_read",
        "plan_read",
        "connected_account_read",
    )
    """What the Stripe App's manifest asks for."""

    intuit_client_id: str = "intuit_sandbox_client"
    intuit_client_secret: str = "intuit_sandbox_secret"  # noqa: S105 - a published test value
    intuit_redirect_uris: tuple[str, ...] = ()

    xero_client_id: str = "xero_sandbox_client"
    xero_client_secret: str = "xero_sandbox_secret"  # noqa: S105 - a published test value
    xero_redirect_uris: tuple[str, ...] = ()
    """Allowed callbacks of the consent page. Empty = any https address, and any on this machine."""
