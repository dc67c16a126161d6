"""Everything that this stand-in remembers: companies, tokens, throttle counters."""

from dataclasses import dataclass, field

from web.sandbox.clock import SandboxClock
from web.sandbox.quickbooks.company import Company
from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.oauth import TokenOffice
from web.sandbox.quickbooks.seed import CURRENCIES, HOME, new_company
from web.sandbox.quickbooks.throttle import Throttle
from web.sandbox.settings import SandboxSettings

_FIRST_REALM = 9_130_350_000_000_000
# Companies start their transactions far apart, so that a transaction id alone finds its company in the viewer.
_TXN_STRIDE = 1_000_000


@dataclass
class World:
    """The state behind all handlers of one sandbox."""

    clock: SandboxClock
    settings: SandboxSettings
    companies: dict[str, Company] = field(default_factory=dict)
    throttle: Throttle = field(default_factory=Throttle)
    refresh_pause_s: float = 0.02
    """How long a refresh takes: a second one in that time overlaps with it."""
    office: TokenOffice = field(init=False)

    def __post_init__(self) -> None:
        self.office = TokenOffice(self.clock.new_id)

    def create_company(self, name: str, country: str = "US", home_currency: str | None = None) -> Company:
        country = country.upper()
        if country not in HOME:
            raise Refused("2170", f"country must be one of {', '.join(HOME)}")
        currency = (home_currency or HOME[country]).upper()
        if currency not in CURRENCIES:
            raise Refused("2220", f"home currency must be one of {', '.join(CURRENCIES)}")
        if not name.strip():
            raise Refused("2020", "a company needs a name")
        number = len(self.companies) + 1
        realm_id = str(_FIRST_REALM + number * 1_000_003)
        first_txn = 100 + (number - 1) * _TXN_STRIDE
        company = new_company(realm_id, name.strip(), country, currency, self.clock.now(), first_txn)
        self.companies[realm_id] = company
        return company

    def company(self, realm_id: str) -> Company:
        company = self.companies.get(realm_id)
        if company is None:
            raise Refused("610", f"no company {realm_id}", status=404)
        return company
