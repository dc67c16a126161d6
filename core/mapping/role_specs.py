"""What each role wants of its account: the name that we would create, the types it may have, and whether all need it.

Source: Tieout's bookkeeping rules, the table of account roles.
"""

from dataclasses import dataclass

from core.accounting.port import AccountType
from core.books.roles import AccountRole


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """One role.

    Attributes:
        name: for people, and of the account that we create.
        purpose: one sentence for the page.
        types: account types that may play it, the one that we create first.
        creatable: whether we offer to create it; the bank account is the tenant's own.
        is_optional: whether everything can be booked without it.
    """

    role: AccountRole
    name: str
    purpose: str
    types: tuple[AccountType, ...]
    creatable: bool = True
    is_optional: bool = False


_EXPENSES = (AccountType.EXPENSE, AccountType.OTHER_EXPENSE)
_INCOMES = (AccountType.INCOME, AccountType.OTHER_INCOME)

SPECS: dict[AccountRole, RoleSpec] = {
    spec.role: spec
    for spec in (
        RoleSpec(
            AccountRole.CLEARING,
            "Stripe clearing",
            "Holds money between a payment and its payout.",
            (AccountType.BANK,),
        ),
        RoleSpec(
            AccountRole.BANK,
            "Bank account for payouts",
            "Where Stripe pays out to. Choose the account that your bank feed fills.",
            (AccountType.BANK,),
            creatable=False,
        ),
        RoleSpec(AccountRole.FEES, "Stripe fees", "What Stripe keeps of each payment.", _EXPENSES),
        RoleSpec(AccountRole.PLATFORM_FEES, "Booking platform fees", "What your booking platform keeps.", _EXPENSES),
        RoleSpec(AccountRole.DISPUTE_FEES, "Dispute fees", "What Stripe charges for a dispute.", _EXPENSES),
        RoleSpec(
            AccountRole.HELD,
            "Stripe disputes held",
            "Money of open disputes. It stays yours until a dispute is lost.",
            (AccountType.CURRENT_ASSET,),
        ),
        RoleSpec(AccountRole.CHARGEBACKS, "Chargebacks", "Income that a lost dispute took back.", _INCOMES),
        RoleSpec(
            AccountRole.CURRENCY_DIFFERENCES,
            "Currency differences",
            "What a refund in another currency costs more or less than the sale brought.",
            (AccountType.OTHER_EXPENSE, AccountType.EXPENSE),
        ),
        RoleSpec(
            AccountRole.OPENING,
            "Opening balance",
            "The other side of what Stripe held on your first day. Used once.",
            (AccountType.EQUITY,),
        ),
        RoleSpec(
            AccountRole.RESERVE,
            "Stripe reserve",
            "Money that Stripe holds back for a while.",
            (AccountType.CURRENT_ASSET, AccountType.OTHER_ASSET),
        ),
        RoleSpec(
            AccountRole.TIPS,
            "Tips received",
            "Where tips go. Without it they follow the mapping of services.",
            (*_INCOMES, AccountType.CURRENT_LIABILITY),
            is_optional=True,
        ),
        RoleSpec(
            AccountRole.DISCOUNTS,
            "Discounts given",
            "Where discounts are shown. Without it they lower the income of the service.",
            _INCOMES,
            is_optional=True,
        ),
    )
}
"""Every role in the order in which the page shows them."""
