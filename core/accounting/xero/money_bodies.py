"""Money that moves without a document, as Xero bodies. Pure: the same document gives the same bytes.

Nothing of a bank transaction or transfer is unique in Xero, so their whole ``Reference`` is ours: by it, and by the
account, they are found again. What else there is to say stands in the lines.
"""

from collections.abc import Mapping
from dataclasses import replace

from core.accounting.xero.amounts import amount
from core.accounting.xero.bodies import described, guid, needed, sale_lines
from core.accounting.xero.schemas import AccountRef, BankTransactionBody, BankTransferBody, ContactRef, LineItem
from core.accounting.xero.taxes import account_line_tax, has_no_tax
from core.books import documents
from core.books.documents import AccountLine, Deposit, Expense, SalesReceipt, Transfer
from core.errors import ProviderRejectedError
from core.reasons import Reason


def is_between_banks(transfer: Transfer) -> bool:
    """Tell whether Xero knows this as a transfer; otherwise it is money spent or received."""
    return transfer.from_account.is_bank and transfer.to_account.is_bank


def bank_body(
    document: SalesReceipt | Expense | Deposit | Transfer, ids: Mapping[str, str], *, untaxed_type: str
) -> BankTransactionBody:
    """Return money that is spent from a bank account, or received on one."""
    match document:
        case SalesReceipt():
            return receipt_body(document, ids, untaxed_type=untaxed_type)
        case Transfer():
            return moved_body(document, ids)
        case _:
            return booked_body(document, ids, untaxed_type=untaxed_type)


def receipt_body(receipt: SalesReceipt, ids: Mapping[str, str], *, untaxed_type: str) -> BankTransactionBody:
    """Return a sale and its money in one: received from the client. The memo follows the first line's text."""
    first, *others = receipt.lines
    noted = replace(receipt, lines=(replace(first, description=f"{first.description}\n{receipt.memo}"), *others))
    return BankTransactionBody(
        type="RECEIVE",
        contact=ContactRef(contact_id=needed(ids, receipt.customer_step)),
        bank_account=_bank(receipt.account),
        date=receipt.date.isoformat(),
        reference=receipt.reference,
        currency_code=receipt.currency.upper(),
        line_amount_types="NoTax" if has_no_tax(receipt) else "Inclusive",
        line_items=sale_lines(noted, untaxed_type=untaxed_type),
    )


def booked_body(document: Expense | Deposit, ids: Mapping[str, str], *, untaxed_type: str) -> BankTransactionBody:
    """Return money that Stripe took or gave: each line to its account, with the tax inside."""
    return BankTransactionBody(
        type="SPEND" if isinstance(document, Expense) else "RECEIVE",
        contact=ContactRef(contact_id=needed(ids, document.payee_step)),
        bank_account=_bank(document.account),
        date=document.date.isoformat(),
        reference=document.reference,
        currency_code=document.currency.upper(),
        line_amount_types="NoTax" if has_no_tax(document) else "Inclusive",
        line_items=tuple(_line(line, document, untaxed_type) for line in document.lines),
    )


def moved_body(transfer: Transfer, ids: Mapping[str, str]) -> BankTransactionBody:
    """Return a transfer of which only one side is a bank account: spent there, or received, for the other side."""
    is_spent = transfer.from_account.is_bank
    bank, other = transfer.from_account, transfer.to_account
    if not is_spent:
        bank, other = other, bank
    return BankTransactionBody(
        type="SPEND" if is_spent else "RECEIVE",
        contact=ContactRef(contact_id=needed(ids, transfer.payee_step)),
        bank_account=_bank(bank),
        date=transfer.date.isoformat(),
        reference=transfer.reference,
        currency_code=transfer.currency.upper(),
        line_amount_types="NoTax",
        line_items=(
            LineItem(
                description=described(transfer.memo, other.name, "Transfer"),
                quantity=1,
                unit_amount=amount(transfer.amount_minor, transfer.currency),
                account_code=other.number,
                account_id=guid(other.external_id),
            ),
        ),
    )


def transfer_body(transfer: Transfer) -> BankTransferBody:
    """Return money from one bank account to another."""
    return BankTransferBody(
        from_bank_account=_bank(transfer.from_account),
        to_bank_account=_bank(transfer.to_account),
        amount=amount(transfer.amount_minor, transfer.currency),
        date=transfer.date.isoformat(),
        reference=transfer.reference,
    )


def _bank(account: documents.AccountRef) -> AccountRef:
    """Name the account, which Xero wants to be a bank account here."""
    if not account.is_bank:
        said = f"Xero takes this on a bank account only, and {account.name} is none"
        raise ProviderRejectedError(Reason.REFUSED, said, detail={"account": account.name})
    return AccountRef(account_id=guid(account.external_id))


def _line(line: AccountLine, document: Expense | Deposit, untaxed_type: str) -> LineItem:
    tax = account_line_tax(line, document, untaxed_type=untaxed_type)
    return LineItem(
        description=described(line.description, line.account.name, "Stripe"),
        quantity=1,
        unit_amount=amount(line.amount_minor + line.tax_minor, document.currency),
        account_code=line.account.number,
        account_id=guid(line.account.external_id),
        tax_type=tax.tax_type,
        tax_amount=tax.tax_amount,
    )
