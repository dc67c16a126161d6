"""Bodies that we send, in QuickBooks' own field names. Field order is the order of the bytes, so it stays as it is."""

from decimal import Decimal
from typing import Literal

import msgspec

TaxCalculation = Literal["TaxExcluded", "NotApplicable"]


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Fields with a default are left out while they have it; what must always be sent has none."""


class Ref(msgspec.Struct, frozen=True):
    """A reference by id. QuickBooks ignores a name on input, so none is sent."""

    value: str


class EmailAddress(_Body, frozen=True, kw_only=True):
    """One address."""

    address: str


class PhoneNumber(_Body, frozen=True, kw_only=True):
    """One number, as typed."""

    free_form_number: str


class CustomerBody(_Body, frozen=True, kw_only=True):
    """A client. DisplayName alone is required and unique over customers, vendors and employees."""

    display_name: str
    primary_email_addr: EmailAddress | None = None
    primary_phone: PhoneNumber | None = None
    currency_ref: Ref | None = None
    notes: str | None = None


class VendorBody(_Body, frozen=True, kw_only=True):
    """Who takes the fees. Shares one namespace of names with customers and employees."""

    display_name: str
    currency_ref: Ref | None = None


class ItemBody(_Body, frozen=True, kw_only=True):
    """A service item; the income account of a sale hangs on it."""

    name: str
    type: Literal["Service"]
    income_account_ref: Ref
    taxable: bool


class AccountBody(_Body, frozen=True, kw_only=True):
    """An account of the chart."""

    name: str
    account_type: str
    account_sub_type: str | None = None


class SalesItemLineDetail(_Body, frozen=True, kw_only=True):
    """What is sold. ``Qty`` 1 makes Amount equal Qty x UnitPrice exactly (else code 6070)."""

    item_ref: Ref
    qty: int
    unit_price: Decimal
    tax_code_ref: Ref | None = None


class SalesLine(_Body, frozen=True, kw_only=True):
    """One line of an invoice. Without an item the amount would be ignored."""

    amount: Decimal
    detail_type: Literal["SalesItemLineDetail"]
    sales_item_line_detail: SalesItemLineDetail
    description: str | None = None


class TaxLineDetail(_Body, frozen=True, kw_only=True):
    """How one tax amount came about."""

    tax_rate_ref: Ref
    percent_based: bool
    net_amount_taxable: Decimal
    tax_percent: Decimal | None = None


class TaxLine(_Body, frozen=True, kw_only=True):
    """The tax of all lines of one rate."""

    amount: Decimal
    detail_type: Literal["TaxLineDetail"]
    tax_line_detail: TaxLineDetail


class TxnTaxDetail(_Body, frozen=True, kw_only=True):
    """Tax of the whole document, as Stripe took it."""

    total_tax: Decimal
    tax_line: tuple[TaxLine, ...] = ()


class InvoiceBody(_Body, frozen=True, kw_only=True):
    """A sale. Online payment is switched off: the client has paid already."""

    customer_ref: Ref
    txn_date: str
    due_date: str
    doc_number: str
    private_note: str
    allow_online_credit_card_payment: bool
    allow_online_ach_payment: bool = msgspec.field(name="AllowOnlineACHPayment")
    line: tuple[SalesLine, ...]
    currency_ref: Ref | None = None
    exchange_rate: Decimal | None = None
    global_tax_calculation: TaxCalculation | None = None
    txn_tax_detail: TxnTaxDetail | None = None


class SalesReceiptBody(_Body, frozen=True, kw_only=True):
    """A sale and its money. Without a deposit account it would land in Undeposited Funds."""

    customer_ref: Ref
    txn_date: str
    doc_number: str
    payment_ref_num: str
    deposit_to_account_ref: Ref
    private_note: str
    line: tuple[SalesLine, ...]
    currency_ref: Ref | None = None
    global_tax_calculation: TaxCalculation | None = None
    txn_tax_detail: TxnTaxDetail | None = None


class RefundReceiptBody(_Body, frozen=True, kw_only=True):
    """Money back; it leaves ``DepositToAccountRef``. Without a print status QuickBooks overwrites the reference."""

    customer_ref: Ref
    txn_date: str
    doc_number: str
    payment_ref_num: str
    print_status: Literal["NotSet"]
    deposit_to_account_ref: Ref
    private_note: str
    line: tuple[SalesLine, ...]
    currency_ref: Ref | None = None
    global_tax_calculation: TaxCalculation | None = None
    txn_tax_detail: TxnTaxDetail | None = None


class LinkedTxn(_Body, frozen=True, kw_only=True):
    """The document that a payment pays."""

    txn_id: str
    txn_type: Literal["Invoice"]


class PaymentLine(_Body, frozen=True, kw_only=True):
    """How much of the payment goes where. Without it the payment stays unapplied."""

    amount: Decimal
    linked_txn: tuple[LinkedTxn, ...]


class PaymentBody(_Body, frozen=True, kw_only=True):
    """Money arriving. Without a deposit account it would land in Undeposited Funds."""

    customer_ref: Ref
    total_amt: Decimal
    txn_date: str
    payment_ref_num: str
    deposit_to_account_ref: Ref
    private_note: str
    line: tuple[PaymentLine, ...]
    currency_ref: Ref | None = None
    exchange_rate: Decimal | None = None


class PartyRef(msgspec.Struct, frozen=True):
    """A reference to a vendor, with its type as the surrounding object spells it."""

    value: str
    type: Literal["Vendor", "VENDOR"]


class ExpenseLineDetail(_Body, frozen=True, kw_only=True):
    """The account that a line of an expense is booked to."""

    account_ref: Ref
    tax_code_ref: Ref | None = None


class ExpenseLine(_Body, frozen=True, kw_only=True):
    """One line of an expense; never negative (code 2290)."""

    amount: Decimal
    detail_type: Literal["AccountBasedExpenseLineDetail"]
    account_based_expense_line_detail: ExpenseLineDetail
    description: str | None = None


class PurchaseBody(_Body, frozen=True, kw_only=True):
    """Money that leaves a bank account for other accounts. QuickBooks works out the total."""

    payment_type: Literal["Cash"]
    account_ref: Ref
    txn_date: str
    doc_number: str
    entity_ref: PartyRef
    private_note: str
    line: tuple[ExpenseLine, ...]
    currency_ref: Ref | None = None
    global_tax_calculation: TaxCalculation | None = None
    txn_tax_detail: TxnTaxDetail | None = None


class DepositLineDetail(_Body, frozen=True, kw_only=True):
    """The account that a line of a deposit comes from, and who paid it."""

    account_ref: Ref
    entity: PartyRef
    tax_code_ref: Ref | None = None
    tax_applicable_on: Literal["Purchase"] | None = None


class DepositLine(_Body, frozen=True, kw_only=True):
    """One direct line of a deposit: it takes nothing out of Undeposited Funds."""

    amount: Decimal
    detail_type: Literal["DepositLineDetail"]
    deposit_line_detail: DepositLineDetail
    description: str | None = None


class DepositBody(_Body, frozen=True, kw_only=True):
    """Money that arrives on an account. There is no number: our reference stands in the note alone."""

    deposit_to_account_ref: Ref
    txn_date: str
    private_note: str
    line: tuple[DepositLine, ...]
    currency_ref: Ref | None = None
    global_tax_calculation: TaxCalculation | None = None
    txn_tax_detail: TxnTaxDetail | None = None


class TransferBody(_Body, frozen=True, kw_only=True):
    """Money between two accounts of the balance sheet. There is no number here either."""

    from_account_ref: Ref
    to_account_ref: Ref
    amount: Decimal
    txn_date: str
    private_note: str
    currency_ref: Ref | None = None


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(body: msgspec.Struct) -> bytes:
    """Return the exact bytes; decimals are written as they are, digit for digit."""
    return _ENCODER.encode(body)
