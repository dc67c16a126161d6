"""Settings are strict: what is missing, unknown or unsafe does not start (D2, K2, A11, I3)."""

import base64

import pytest

from core.config import Settings, load_settings, variable_names
from core.errors import ConfigurationError

KEY = base64.b64encode(bytes(range(32))).decode()
PRODUCTION = {
    "APP_ENV": "production",
    "APP_BASE_URL": "https://books.example.com",
    "DATABASE_URL": "postgresql://tieout@db/tieout",
    "TOKEN_KEYS": f"k1:{KEY}",
    "SECRET_KEY": "s" * 32,
    "STRIPE_CLIENT_ID": "ca_1",
    "STRIPE_SECRET_KEY": "sk_live_canary",
    "STRIPE_WEBHOOK_SECRETS": "whsec_canary, whsec_other",
    "STRIPE_MODE": "live",
    "QUICKBOOKS_CLIENT_ID": "client",
    "QUICKBOOKS_CLIENT_SECRET": "qb_canary",
}
SECRETS = ("TOKEN_KEYS", "SECRET_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "QUICKBOOKS_CLIENT_SECRET")


def test_a_complete_production_environment_starts() -> None:
    settings = load_settings(PRODUCTION)
    assert settings.is_production
    assert settings.hosts == ("books.example.com",)
    assert settings.webhook_secrets == ("whsec_canary", "whsec_other")


def test_xero_is_optional() -> None:
    assert load_settings(PRODUCTION).xero_client_id == ""
    settings = load_settings({**PRODUCTION, "XERO_CLIENT_ID": "id", "XERO_CLIENT_SECRET": "secret"})
    assert (settings.xero_client_id, settings.xero_client_secret) == ("id", "secret")


def test_production_is_what_one_gets_without_saying_so() -> None:
    environ = {name: value for name, value in PRODUCTION.items() if name != "APP_ENV"}
    assert load_settings(environ).is_production
    assert Settings().is_production


@pytest.mark.parametrize("name", [*SECRETS, "STRIPE_CLIENT_ID", "QUICKBOOKS_CLIENT_ID"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_production_refuses_to_start_without_a_secret(name: str, value: str | None) -> None:
    environ = {key: text for key, text in PRODUCTION.items() if key != name}
    if value is not None:
        environ[name] = value
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        load_settings(environ)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"APP_BASE_URL": "http://books.example.com"}, "https://"),
        ({"APP_BASE_URL": "https://books.example.com/path"}, "without a path"),
        ({"APP_BASE_URL": "books.example.com"}, "APP_BASE_URL"),
        ({"SECRET_KEY": "short"}, "at least 32"),
        ({"TOKEN_KEYS": f"k1:{KEY[:-4]}"}, "TOKEN_KEYS"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"DEMO_DATA": "true"}, "DEMO_DATA is refused"),
        ({"MOCK_BOOKS_PATH": "x.db"}, "MOCK_BOOKS_PATH is refused"),
        ({"STRIPE_API_BASE": "http://localhost:9000"}, "STRIPE_API_BASE"),
        ({"QUICKBOOKS_TOKEN_URL": "https://evil.example"}, "QUICKBOOKS_TOKEN_URL"),
        ({"QUICKBOOKS_AUTHORIZE_URL": "https://evil.example"}, "QUICKBOOKS_AUTHORIZE_URL"),
        ({"PORT": "http"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"TRUSTED_HOPS": "-1"}, "TRUSTED_HOPS"),
        ({"APP_ENV": "prod"}, "APP_ENV"),
        ({"XERO_TOKEN_URL": "https://evil.example"}, "XERO_TOKEN_URL"),
        ({"XERO_CLIENT_ID": "x"}, "belong together"),
        ({"XERO_CLIENT_SECRET": "canary"}, "belong together"),
        ({"QUICKBOOKS_CLIENTID": "x"}, "misspelt"),
        ({"XERO_REVOKE_URL": "x"}, "misspelt"),
        ({"STRIPE_SECRET": "x"}, "misspelt"),
    ],
)
def test_production_refuses_what_is_unsafe_or_unknown(change: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        load_settings({**PRODUCTION, **change})


def test_no_complaint_shows_a_secret() -> None:
    for name in SECRETS:
        environ = {**PRODUCTION, name: "canary-of-a-secret", "STRIPE_TYPO": "canary-of-a-secret"}
        with pytest.raises(ConfigurationError) as caught:
            load_settings(environ)
        assert "canary" not in str(caught.value), name


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({})
    for name in SECRETS:
        assert name in str(caught.value)


def test_intuits_own_sandbox_is_allowed_and_staging_can_ask_for_more() -> None:
    sandbox = {**PRODUCTION, "QUICKBOOKS_API_BASE": "https://sandbox-quickbooks.api.intuit.com"}
    assert load_settings(sandbox).quickbooks_api_base.startswith("https://sandbox-")
    staging = {**PRODUCTION, "STRIPE_API_BASE": "https://stand-in.example", "ALLOW_PROVIDER_OVERRIDES": "yes"}
    assert load_settings(staging).stripe_api_base == "https://stand-in.example"


def test_development_needs_keys_of_its_own_but_no_provider() -> None:
    settings = load_settings({"APP_ENV": "development", "TOKEN_KEYS": f"k1:{KEY}", "SECRET_KEY": "s" * 32})
    assert settings.is_sqlite
    assert settings.runs_worker
    with pytest.raises(ConfigurationError, match="TOKEN_KEYS is missing"):
        load_settings({"APP_ENV": "development"})


def test_every_variable_is_described() -> None:
    for name, description in variable_names().items():
        assert len(description) > 15, name


def test_whose_an_address_is_can_be_told_even_where_one_host_serves_all() -> None:
    base = "http://127.0.0.1:8001"
    shared = dict.fromkeys(("STRIPE_API_BASE", "QUICKBOOKS_API_BASE", "XERO_API_BASE"), base)
    known = load_settings({**PRODUCTION, **shared, "ALLOW_PROVIDER_OVERRIDES": "true"}).providers
    for path, provider in (("/v1/", "stripe"), ("/v3/", "quickbooks"), ("/api.xro/", "xero"), ("/connections", "xero")):
        assert known[base + path] == provider
    real = load_settings(PRODUCTION).providers
    assert real["https://api.stripe.com"] == "stripe"
    assert real["https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"] == "quickbooks"
