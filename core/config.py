"""Settings: one field for each environment variable, strict in production.

``render.yaml`` and the table in the README list the same names; ``tests/test_docs.py`` holds the three together. The
variable of a field is the field's name in capitals. Secrets have no default; production refuses to start without them,
or with a provider address that is not the provider's own (D2, I3).
"""

import base64
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from core.errors import ConfigurationError

Doc = msgspec.Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Everything that the environment decides. Read once at start by :func:`load_settings`."""

    app_env: Annotated[
        Literal["production", "development"],
        Doc(description="`production` refuses everything unsafe; `development` is for one machine."),
    ] = "production"
    app_base_url: Annotated[
        str, Doc(description="Public address of the dashboard, such as https://books.example.com, without a path.")
    ] = "http://localhost:8000"
    allowed_hosts: Annotated[
        str,
        Doc(
            description="Host names that requests may carry, separated by commas; empty means the one of APP_BASE_URL."
        ),
    ] = ""
    host: Annotated[str, Doc(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Doc(description="Port to listen on.", ge=0, le=65535)] = 8000
    trusted_hops: Annotated[
        int, Doc(description="Number of proxies in front that append to X-Forwarded-For; 0 trusts none.", ge=0, le=10)
    ] = 0
    database_url: Annotated[
        str, Doc(description="postgresql://... in production, sqlite:///path for one process on one machine.")
    ] = "sqlite:///var/tieout.db"
    embedded_worker: Annotated[
        Literal["auto", "yes", "no"],
        Doc(description="Run the worker inside the web process; `auto` does so on SQLite only."),
    ] = "auto"
    token_keys: Annotated[
        str,
        Doc(description="Key ring for stored tokens, `id:base64 of 32 bytes`, newest first, by commas. Never lose it."),
    ] = ""
    secret_key: Annotated[
        str,
        Doc(description="Secret for form tokens, at least 32 characters. May be lost: open forms must be reloaded."),
    ] = ""
    operator_token: Annotated[
        str,
        Doc(description="Opens /metrics to whoever runs the installation, at least 32 characters. Empty: closed."),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Doc(description="Least level that is logged.")
    ] = "info"
    demo_data: Annotated[bool, Doc(description="Marks the run of `tieout demo`; refused in production.")] = False
    allow_provider_overrides: Annotated[
        bool,
        Doc(description="Let production call provider addresses other than the real ones (staging)."),
    ] = False

    stripe_mode: Annotated[
        Literal["test", "live"], Doc(description="Which Stripe mode is booked; events of the other mode are ignored.")
    ] = "test"
    stripe_connect_mode: Annotated[
        Literal["app", "connect"],
        Doc(description="OAuth by Stripe App (recommended) or by a Connect platform."),
    ] = "app"
    stripe_client_id: Annotated[str, Doc(description="Client id of the Stripe App or Connect platform.")] = ""
    stripe_secret_key: Annotated[str, Doc(description="Secret key of our own Stripe account, of the same mode.")] = ""
    stripe_webhook_secrets: Annotated[
        str,
        Doc(description="Signing secrets of the platform's webhook endpoint, separated by commas; two while rolling."),
    ] = ""
    stripe_api_base: Annotated[str, Doc(description="Address of Stripe's API.")] = "https://api.stripe.com"
    stripe_connect_base: Annotated[str, Doc(description="Address of Stripe Connect's OAuth.")] = (
        "https://connect.stripe.com"
    )
    stripe_app_authorize_url: Annotated[
        str, Doc(description="Consent page of the Stripe App; an unpublished app has its own link.")
    ] = "https://marketplace.stripe.com/oauth/v2/authorize"
    stripe_dashboard_base: Annotated[str, Doc(description="Where links to a payment in Stripe lead.")] = (
        "https://dashboard.stripe.com"
    )

    quickbooks_client_id: Annotated[str, Doc(description="Client id of the Intuit app.")] = ""
    quickbooks_client_secret: Annotated[str, Doc(description="Client secret of the Intuit app.")] = ""
    quickbooks_api_base: Annotated[
        str, Doc(description="Address of the QuickBooks API; Intuit's own sandbox has another one.")
    ] = "https://quickbooks.api.intuit.com"
    quickbooks_authorize_url: Annotated[str, Doc(description="Intuit's consent page.")] = (
        "https://appcenter.intuit.com/connect/oauth2"
    )
    quickbooks_token_url: Annotated[str, Doc(description="Intuit's token endpoint.")] = (
        "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"  # noqa: S105 - an address
    )
    quickbooks_revoke_url: Annotated[str, Doc(description="Intuit's revocation endpoint.")] = (
        "https://developer.api.intuit.com/v2/oauth2/tokens/revoke"
    )
    quickbooks_app_base: Annotated[str, Doc(description="Where links to a document in QuickBooks lead.")] = (
        "https://app.qbo.intuit.com"
    )

    xero_client_id: Annotated[
        str, Doc(description="Client id of the Xero app. Empty: Xero cannot be connected here.")
    ] = ""
    xero_client_secret: Annotated[str, Doc(description="Client secret of the Xero app.")] = ""
    xero_api_base: Annotated[str, Doc(description="Address of Xero's API.")] = "https://api.xero.com"
    xero_authorize_url: Annotated[str, Doc(description="Xero's consent page.")] = (
        "https://login.xero.com/identity/connect/authorize"
    )
    xero_token_url: Annotated[str, Doc(description="Xero's token endpoint.")] = (
        "https://identity.xero.com/connect/token"  # noqa: S105 - an address
    )
    xero_app_base: Annotated[str, Doc(description="Where links to a document in Xero lead.")] = "https://go.xero.com"

    mock_books_path: Annotated[
        str, Doc(description="File of the built-in mock books; empty hides them; refused in production.")
    ] = ""

    @property
    def is_production(self) -> bool:
        """Whether unsafe settings are refused."""
        return self.app_env == "production"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def runs_worker(self) -> bool:
        """Whether the web process also runs the worker."""
        return self.is_sqlite if self.embedded_worker == "auto" else self.embedded_worker == "yes"

    @property
    def is_https(self) -> bool:
        """Whether browsers reach us over https; decides the cookie's name and HSTS."""
        return self.app_base_url.startswith("https://")

    @property
    def is_live(self) -> bool:
        """Whether live-mode Stripe events are the ones that are booked."""
        return self.stripe_mode == "live"

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The platform endpoint's signing secrets."""
        return _split(self.stripe_webhook_secrets)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host headers that are answered (C9)."""
        return _split(self.allowed_hosts) or (urlsplit(self.app_base_url).netloc,)

    @property
    def stripe_authorize_url(self) -> str:
        """Consent page of the chosen Stripe OAuth mode."""
        if self.stripe_connect_mode == "app":
            return self.stripe_app_authorize_url
        return f"{self.stripe_connect_base}/oauth/authorize"

    @property
    def outgoing_urls(self) -> tuple[str, ...]:
        """Every address that the product may call (I3)."""
        return tuple(getattr(self, name) for name in CALLED)

    @property
    def providers(self) -> dict[str, str]:
        """Beginning of the addresses that the product may call -> the provider they belong to."""
        found = {getattr(self, name): name.partition("_")[0] for name in CALLED}
        # A sandbox may serve all of them at one address: there the path tells them apart.
        for name, path in (("stripe", "/v1/"), ("quickbooks", "/v3/"), ("xero", "/api.xro/"), ("xero", "/connections")):
            found[f"{getattr(self, f'{name}_api_base')}{path}"] = name
        return found

    @property
    def authorize_urls(self) -> tuple[str, ...]:
        """Consent pages that a form of ours may redirect to (C4 ``form-action``)."""
        always = (self.stripe_authorize_url, self.quickbooks_authorize_url)
        return (*always, self.xero_authorize_url) if self.xero_client_id else always


CALLED = (
    "stripe_api_base",
    "stripe_connect_base",
    "quickbooks_api_base",
    "quickbooks_token_url",
    "quickbooks_revoke_url",
    "xero_api_base",
    "xero_token_url",
)
"""Fields that hold an address the server calls."""

OVERRIDABLE = (
    *CALLED,
    "stripe_app_authorize_url",
    "stripe_dashboard_base",
    "quickbooks_authorize_url",
    "quickbooks_app_base",
    "xero_authorize_url",
    "xero_app_base",
)
"""Fields that hold a provider's address; production takes their defaults (or Intuit's own sandbox) only."""

_REAL_ALTERNATIVES = {
    "quickbooks_api_base": {"https://sandbox-quickbooks.api.intuit.com"},
    "quickbooks_app_base": {"https://app.sandbox.qbo.intuit.com"},
}
_SECRETS = ("secret_key", "token_keys", "stripe_secret_key", "stripe_webhook_secrets", "quickbooks_client_secret")
_FAMILIES = ("QUICKBOOKS_", "XERO_", "STRIPE_", "TOKEN_", "MOCK_BOOKS_")
_FOREIGN = {"STRIPE_SUPPRESS_NOTICES", "STRIPE_CLI", "STRIPE_API_KEY", "STRIPE_DEVICE_NAME"}


def variable_names() -> dict[str, str]:
    """Return each environment variable with its description, in the order of the fields."""
    return {field.name.upper(): _description(field.type) for field in msgspec.structs.fields(Settings)}


def _description(annotation: Any) -> str:
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    return ""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: with one line for each problem; never shows a secret's value.
    """
    settings, problems = read_settings(environ)
    if problems:
        raise ConfigurationError("Tieout cannot start:\n- " + "\n- ".join(problems))
    return settings


def read_settings(environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """Read the environment with all that is wrong in it; a value that cannot be read counts as not set."""
    environ = os.environ if environ is None else environ
    known = variable_names()
    values = {name.lower(): environ[name].strip() for name in known if name in environ and environ[name].strip()}
    if "demo_data" in values:
        values["demo_data"] = _bool_text(values["demo_data"])
    if "allow_provider_overrides" in values:
        values["allow_provider_overrides"] = _bool_text(values["allow_provider_overrides"])
    unreadable = _unreadable(values)
    settings = msgspec.convert({k: v for k, v in values.items() if k not in unreadable}, Settings, strict=False)
    unknown = sorted(
        name for name in environ if name.startswith(_FAMILIES) and name not in known and name not in _FOREIGN
    )
    problems = [f"{name} is not a variable of Tieout; is it misspelt?" for name in unknown]
    problems += unreadable.values()
    # Who mistypes APP_ENV must not be told of everything that production would need.
    problems += _always(settings) if "app_env" in unreadable else _problems(settings)
    return settings, problems


def _problems(settings: Settings) -> list[str]:
    problems = _always(settings)
    if settings.is_production:
        problems += _in_production(settings)
    return problems


def _always(settings: Settings) -> list[str]:
    problems = []
    base = urlsplit(settings.app_base_url)
    if base.scheme not in {"http", "https"} or not base.netloc or base.path.strip("/") or base.query:
        problems.append("APP_BASE_URL must look like https://books.example.com, without a path")
    if not settings.database_url.startswith(("sqlite:///", "postgresql://", "postgres://")):
        problems.append("DATABASE_URL must start with postgresql:// or sqlite:///")
    if bool(settings.xero_client_id) != bool(settings.xero_client_secret):
        problems.append("XERO_CLIENT_ID and XERO_CLIENT_SECRET belong together: set both, or neither")
    if settings.secret_key and len(settings.secret_key) < 32:
        problems.append("SECRET_KEY must have at least 32 characters")
    if settings.operator_token and len(settings.operator_token) < 32:
        problems.append("OPERATOR_TOKEN must have at least 32 characters, or be left empty")
    try:
        parse_key_ring(settings.token_keys)
    except ConfigurationError as exc:
        problems.append(str(exc))
    if not settings.is_production:
        problems += [
            f"{name.upper()} is missing" for name in ("secret_key", "token_keys") if not getattr(settings, name)
        ]
    return problems


def _in_production(settings: Settings) -> list[str]:
    problems = [f"{name.upper()} is missing" for name in _SECRETS if not getattr(settings, name)]
    problems += [
        f"{name.upper()} is missing"
        for name in ("stripe_client_id", "quickbooks_client_id")
        if not getattr(settings, name)
    ]
    if not settings.is_https:
        problems.append("APP_BASE_URL must start with https:// in production")
    if settings.demo_data:
        problems.append("DEMO_DATA is refused in production")
    if settings.mock_books_path:
        problems.append("MOCK_BOOKS_PATH is refused in production")
    if not settings.allow_provider_overrides:
        defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}
        for name in OVERRIDABLE:
            value = getattr(settings, name)
            if value != defaults[name] and value not in _REAL_ALTERNATIVES.get(name, set()):
                problems.append(
                    f"{name.upper()} is not the provider's own address (ALLOW_PROVIDER_OVERRIDES permits it)"
                )
    return problems


def parse_key_ring(text: str) -> dict[str, bytes]:
    """Read ``TOKEN_KEYS`` into key id -> 32 bytes, first one first (K2).

    Raises:
        ConfigurationError: malformed, short or duplicate keys; the text never shows one.
    """
    ring: dict[str, bytes] = {}
    for position, part in enumerate(_split(text), start=1):
        key_id, _, encoded = part.partition(":")
        if not key_id or len(key_id) > 16 or not key_id.isascii() or not key_id.isalnum():
            raise ConfigurationError(
                f"TOKEN_KEYS: key {position} needs a short id of letters and digits before the colon"
            )
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError as exc:
            raise ConfigurationError(f"TOKEN_KEYS: key {key_id} is not base64") from exc
        if len(key) != 32:
            raise ConfigurationError(f"TOKEN_KEYS: key {key_id} has {len(key)} bytes, it must have 32")
        if key_id in ring or key in ring.values():
            raise ConfigurationError(f"TOKEN_KEYS: key {key_id} is there twice")
        ring[key_id] = key
    return ring


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _bool_text(value: str) -> str:
    return {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(
        value.lower(), value.lower()
    )


def _unreadable(values: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with values that are not of their field's type; never shows the value itself."""
    problems: dict[str, str] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name not in values:
            continue
        try:
            msgspec.convert(values[field.name], field.type, strict=False)
        except msgspec.ValidationError:
            problems[field.name] = f"{field.name.upper()} must be {_kind(field.type)}"
    return problems


def _kind(annotation: Any) -> str:
    plain, meta = annotation.__origin__, annotation.__metadata__[0]
    if plain is bool:
        return "true or false"
    if plain is int:
        return f"a whole number from {meta.ge} to {meta.le}"
    return " or ".join(get_args(plain))
