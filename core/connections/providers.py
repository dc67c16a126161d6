"""From a stored connection to what speaks for it: its consent flow, its opened books."""

from core.accounting import registry
from core.accounting.port import AccountingProvider, Company
from core.config import Settings
from core.connections.provider_settings import provider_settings
from core.db.models import Connection, ConnectionMode
from core.errors import NotFoundError
from core.intake.stripe_oauth import StripeOAuth
from core.oauth import OAuthFlow
from core.wiring import Wiring

STRIPE = "stripe"


def display_name(kind: str) -> str:
    """Return what people call this provider.

    Raises:
        NotFoundError: there is no such provider.
    """
    return "Stripe" if kind == STRIPE else registry.get(kind).display_name


def is_offered(settings: Settings, kind: str) -> bool:
    """Tell whether this installation can connect the provider by its own means of consent."""
    if kind == STRIPE:
        return bool(settings.stripe_client_id and settings.stripe_secret_key)
    there = provider_settings(settings, kind)
    return bool(there.client_id and there.client_secret) if registry.get(kind).uses_oauth else bool(there.data_path)


def offered_ledgers(settings: Settings) -> tuple[str, ...]:
    """Return the ledgers that the connections page shows: all with a consent, built-in ones where they are set up."""
    return tuple(p.kind for p in registry.every() if p.uses_oauth or is_offered(settings, p.kind))


def uses_consent(kind: str) -> bool:
    """Tell whether a person consents at the provider.

    Raises:
        NotFoundError: there is no such provider.
    """
    return kind == STRIPE or registry.get(kind).uses_oauth


def consent_mode(settings: Settings, kind: str) -> ConnectionMode:
    """Return the mode in which a consent at this provider is stored."""
    if kind != STRIPE:
        return ConnectionMode.OAUTH
    is_app = settings.stripe_connect_mode == "app"
    return ConnectionMode.STRIPE_APP if is_app else ConnectionMode.STRIPE_CONNECT


def consent_flow(wiring: Wiring, kind: str, mode: ConnectionMode) -> OAuthFlow:
    """Return the consent flow of a provider, for a stored connection in the mode that it was made in.

    Raises:
        NotFoundError: there is no such provider, or it has no consent.
    """
    if mode in (ConnectionMode.RESTRICTED_KEY, ConnectionMode.BUILT_IN):
        raise NotFoundError("there is no consent for this kind of access")
    if kind == STRIPE:
        is_app = mode is ConnectionMode.STRIPE_APP
        return StripeOAuth(wiring.outgoing, wiring.settings, wiring.runtime, is_app=is_app)
    provider = registry.get(kind)
    if not provider.uses_oauth:
        raise NotFoundError("this provider is opened without consent")
    return provider.oauth(wiring.outgoing, provider_settings(wiring.settings, kind))


def company_of(connection: Connection) -> Company:
    """Return what is stored about the connected company."""
    return Company(
        external_id=connection.external_id,
        name=connection.external_name,
        country=connection.country,
        home_currency=connection.currency.upper(),
        options={str(k): str(v) for k, v in connection.options.items()},
    )


def open_books(wiring: Wiring, connection: Connection, token: str) -> AccountingProvider:
    """Bind the connection's adapter to ``token``. Makes no call."""
    return registry.get(connection.kind).open(
        outgoing=wiring.outgoing,
        settings=provider_settings(wiring.settings, connection.kind),
        access_token=token,
        company=company_of(connection),
    )
