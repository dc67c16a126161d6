"""Everything that this stand-in remembers: organisations, people and their tokens, idempotency keys."""

import uuid
from dataclasses import dataclass, field

import msgspec

from web.sandbox.clock import SandboxClock
from web.sandbox.routes import ControlError
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero.answers import AnswerStore
from web.sandbox.xero.limits import APP_MINUTE_LIMIT, Window
from web.sandbox.xero.oauth import Office
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.seed import COUNTRIES, CURRENCY_NAMES, new_organisation


class Platform(msgspec.Struct, kw_only=True):
    """Switches of Xero as a whole and of the app's tier."""

    bulk_connections: bool = False
    """Several organisations in one consent: a feature of the Advanced tier."""
    broad_scopes: bool = False
    """The app was made before 2 March 2026 and may ask for ``accounting.transactions``."""
    new_consent_ends_older: bool = False
    """A second consent of the same person ends the refresh tokens of the first."""
    cache_refusals: bool = True
    """A 400 is remembered under its idempotency key, too."""
    app_minute_limit: int = APP_MINUTE_LIMIT
    refresh_pause_s: float = 0.02
    """How long a refresh takes."""


@dataclass
class World:
    """The state behind all handlers of one sandbox."""

    clock: SandboxClock
    settings: SandboxSettings
    platform: Platform = field(default_factory=Platform)
    organisations: dict[str, Organisation] = field(default_factory=dict)
    answers: AnswerStore = field(default_factory=AnswerStore)
    app_minute: Window = field(default_factory=lambda: Window(60))
    office: Office = field(init=False)

    def __post_init__(self) -> None:
        self.office = Office(self.clock.new_id, self.new_id, self.settings.base_url.rstrip("/"))

    def new_id(self) -> str:
        return str(uuid.UUID(bytes=self.clock.token_bytes(16), version=4))

    def create_organisation(self, name: str, country: str = "GB", currency: str | None = None) -> Organisation:
        country = country.upper()
        if country not in COUNTRIES:
            message = f"country must be one of {', '.join(COUNTRIES)}"
            raise ControlError(message)
        if currency is not None and currency.upper() not in CURRENCY_NAMES:
            message = f"currency must be one of {', '.join(CURRENCY_NAMES)}"
            raise ControlError(message)
        if not name.strip():
            message = "an organisation needs a name"
            raise ControlError(message)
        made = new_organisation(
            self.new_id, name.strip(), country, currency.upper() if currency else None, self.clock.now()
        )
        self.organisations[made.tenant_id] = made
        return made

    def organisation(self, tenant_id: str) -> Organisation:
        found = self.organisations.get(tenant_id)
        if found is None:
            message = f"there is no organisation {tenant_id}"
            raise ControlError(message, 404)
        return found
