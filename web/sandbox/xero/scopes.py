"""The scopes of March 2026, and the broad ones that only older apps may still ask for."""

_GRANULAR = (
    "accounting.invoices",
    "accounting.payments",
    "accounting.banktransactions",
    "accounting.manualjournals",
    "accounting.contacts",
    "accounting.settings",
    "accounting.attachments",
)
_REPORTS = (
    "aged",
    "balancesheet",
    "banksummary",
    "budgetsummary",
    "executivesummary",
    "profitandloss",
    "trialbalance",
    "taxreports",
)
SCOPES = frozenset(
    [
        "openid",
        "profile",
        "email",
        "offline_access",
        "accounting.journals.read",
        *_GRANULAR,
        *(f"{scope}.read" for scope in _GRANULAR),
        *(f"accounting.reports.{report}.read" for report in _REPORTS),
    ]
)
BROAD_SCOPES = frozenset(["accounting.transactions", "accounting.transactions.read", "accounting.reports.read"])
