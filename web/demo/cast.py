"""Who and what the demo workspace is about. All of it is invented."""

from dataclasses import dataclass

from core.books.roles import AccountRole

BUSINESS = "Juniper Lane Photography"
COMPANY = "Juniper Lane Photography LLC"
EMAIL = "demo@tieout.example"
PASSWORD = "a studio full of light"  # noqa: S105 - printed on start, valid on this machine only
OPERATOR_TOKEN = "the operator of this demo"  # noqa: S105 - as above
TIME_ZONE = "America/Los_Angeles"


@dataclass(frozen=True, slots=True)
class Service:
    """A product at Stripe and the account its income goes to; no account: left for the visitor to map."""

    name: str
    price: int
    account: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account in the company's books, and which role it plays for Tieout."""

    number: str
    name: str
    type: str
    subtype: str | None = None
    role: AccountRole | None = None


SERVICES = (
    Service("Wedding retainer", 95000, "Wedding photography"),
    Service("Wedding, second instalment", 245000, "Wedding photography"),
    Service("Wedding, final balance", 210000, "Wedding photography"),
    Service("Engagement session", 57500, "Portraits and minis"),
    Service("Portrait session", 42000, "Portraits and minis"),
    Service("Mini session", 22500, "Portraits and minis"),
    Service("Heirloom album", 89000, "Albums and prints"),
    Service("Print credit", 15000, "Albums and prints"),
    Service("Mentor hour", 18500, "Mentoring"),
    Service("Second photographer", 60000, None),
)

ACCOUNTS = (
    Account("4010", "Wedding photography", "Income"),
    Account("4020", "Portraits and minis", "Income"),
    Account("4030", "Albums and prints", "Income"),
    Account("4040", "Mentoring", "Income"),
    Account("4050", "Tips Received", "Income", role=AccountRole.TIPS),
    Account("4060", "Discounts Given", "Income", role=AccountRole.DISCOUNTS),
    Account("4090", "Chargebacks", "Income", role=AccountRole.CHARGEBACKS),
    Account("1010", "Checking", "Bank", "Checking", AccountRole.BANK),
    Account("1150", "Stripe clearing", "Bank", "Checking", AccountRole.CLEARING),
    Account("1160", "Stripe disputes held", "Other Current Asset", role=AccountRole.HELD),
    Account("1170", "Stripe reserve", "Other Current Asset", role=AccountRole.RESERVE),
    Account("3100", "Stripe opening balance", "Equity", role=AccountRole.OPENING),
    Account("6110", "Stripe fees", "Expense", role=AccountRole.FEES),
    Account("6120", "Booking platform fees", "Expense", role=AccountRole.PLATFORM_FEES),
    Account("6130", "Dispute fees", "Expense", role=AccountRole.DISPUTE_FEES),
    Account("8100", "Currency differences", "Other Expense", role=AccountRole.CURRENCY_DIFFERENCES),
)

CLIENTS = (
    "Priya Raman",
    "Lucía Fernández & Tom Adler",
    "Maya Lindqvist & Owen Park",
    "Grace Kim",
    "Łukasz & Ewa Nowak",
    "Amara Okafor & James Whitfield",
    "Chloe Beaumont",
    "Nadia Haddad & Elliot Shaw",
    "Jonah & Ruth Feldman",
    "Siobhán Murphy",
    "Marcus Bell",
    "Beatrix Vos",
    "Inês & Rafael Costa",
    "Tomás Herrera",
    "Keiko Tanaka",
)

INACTIVE_CLIENT = "Hannah Bergström"
"""Archived in the demo's QuickBooks, so that one payment needs a person."""
