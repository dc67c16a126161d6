"""Who and what the demo workspace is about. All of it is invented."""

from dataclasses import dataclass

BUSINESS = "Juniper Lane Photography"
COMPANY = "Juniper Lane Photography LLC"
EMAIL = "demo@tieout.example"
PASSWORD = "a studio full of light"  # noqa: S105 - printed on start, valid on this machine only
TIME_ZONE = "America/Los_Angeles"


@dataclass(frozen=True, slots=True)
class Service:
    """A product at Stripe and the account its income goes to; no account: left for the visitor to map."""

    name: str
    price: int
    account: str | None


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
    ("4010", "Wedding photography"),
    ("4020", "Portraits and minis"),
    ("4030", "Albums and prints"),
    ("4040", "Mentoring"),
)

CLIENTS = (
    "Priya Raman",
    "Lucía Fernández & Tom Adler",
    "Maya Lindqvist & Owen Park",
    "Grace Kim",
    "Łukasz & Ewa Nowak",
    "Hannah Bergström",
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
