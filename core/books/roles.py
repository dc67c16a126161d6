"""Who plays which part in the books, and the tenant's settings of bookkeeping. Pure values."""

from dataclasses import dataclass
from enum import StrEnum


class AccountRole(StrEnum):
    """The accounts that every entry of ours runs through. Values are stored: never rename one.

    Source: Tieout's bookkeeping rules, the table of account roles.
    """

    CLEARING = "clearing"
    BANK = "bank"
    FEES = "fees"
    PLATFORM_FEES = "platform_fees"
    DISPUTE_FEES = "dispute_fees"
    HELD = "held"
    CHARGEBACKS = "chargebacks"
    TIPS = "tips"
    DISCOUNTS = "discounts"
    CURRENCY_DIFFERENCES = "currency_differences"
    RESERVE = "reserve"
    OPENING = "opening"


ROLE_NAMES = {
    AccountRole.CLEARING: "Stripe clearing",
    AccountRole.BANK: "payouts to your bank",
    AccountRole.FEES: "Stripe fees",
    AccountRole.PLATFORM_FEES: "booking platform fees",
    AccountRole.DISPUTE_FEES: "dispute fees",
    AccountRole.HELD: "the money of open disputes",
    AccountRole.CHARGEBACKS: "chargebacks",
    AccountRole.TIPS: "tips",
    AccountRole.DISCOUNTS: "discounts",
    AccountRole.CURRENCY_DIFFERENCES: "currency differences",
    AccountRole.RESERVE: "the reserve that Stripe holds back",
    AccountRole.OPENING: "the opening balance",
}
"""The roles in the middle of a sentence: "Which account is for Stripe fees?"."""


class SaleStyle(StrEnum):
    """How a sale is booked: as an invoice that is paid at once, or as a receipt."""

    INVOICE = "invoice"
    RECEIPT = "receipt"


class FeeStyle(StrEnum):
    """How many documents the fees make: one a day, one for each balance transaction, or one for each payout."""

    DAILY = "daily"
    PER_CHARGE = "per_charge"
    PER_PAYOUT = "per_payout"


class LostDisputeTax(StrEnum):
    """Whether the tax of a lost dispute is taken back, or left until the accountant decides (bad debt)."""

    REVERSED = "reversed"
    KEPT = "kept"


class ForeignStyle(StrEnum):
    """How a sale in another currency is booked: at the home amount that Stripe settled, or in the client's currency.

    In the client's currency the invoice stands at the rate of its own day; what the currency gained or lost until the
    money came is an exchange difference, which the books compute.
    """

    SETTLED = "settled"
    PRESENTMENT = "presentment"


@dataclass(frozen=True, slots=True)
class BookkeepingSettings:
    """A tenant's choices for one set of books; the defaults are the bookkeeping rules' own.

    Attributes:
        fee_tax_code_id: code for fees on which Stripe charged tax that can be reclaimed; None: such tax is part of
            the fee.
        foreign_style: ``PRESENTMENT`` holds for sales that are booked as invoices, never for receipts.
    """

    sale_style: SaleStyle = SaleStyle.INVOICE
    fee_style: FeeStyle = FeeStyle.DAILY
    lost_dispute_tax: LostDisputeTax = LostDisputeTax.REVERSED
    fee_tax_code_id: str | None = None
    foreign_style: ForeignStyle = ForeignStyle.SETTLED


@dataclass(frozen=True, slots=True)
class RoleChoice:
    """Which account plays a role, since which version, and who said so."""

    account_id: str
    version: int
    set_by: str
