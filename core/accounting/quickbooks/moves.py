"""Fees, returned fees, transfers and their payee, as QuickBooks bodies. Pure, like those of the sales."""

from collections.abc import Mapping

from core.accounting.quickbooks.amounts import amount
from core.accounting.quickbooks.bodies import MAX_TEXT, clean_text, needed, note, object_ref
from core.accounting.quickbooks.names import payee_name
from core.accounting.quickbooks.schemas import (
    DepositBody,
    DepositLine,
    DepositLineDetail,
    ExpenseLine,
    ExpenseLineDetail,
    PartyRef,
    PurchaseBody,
    Ref,
    TransferBody,
    VendorBody,
)
from core.accounting.quickbooks.taxes import TaxProfile, input_tax
from core.books.documents import AccountLine, Deposit, Expense, Payee, Transfer


def payee_body(payee: Payee, *, currency: Ref | None, revision: int) -> VendorBody:
    """Return the vendor under the ``revision``-th candidate name."""
    return VendorBody(display_name=payee_name(payee, revision), currency_ref=currency)


def expense_body(expense: Expense, ids: Mapping[str, str], *, currency: Ref | None, taxes: TaxProfile) -> PurchaseBody:
    """Return the money that leaves the account, one line per line of the document."""
    parts = input_tax(expense, taxes)
    return PurchaseBody(
        payment_type="Cash",
        account_ref=object_ref(expense.account.external_id),
        txn_date=expense.date.isoformat(),
        doc_number=expense.reference,
        entity_ref=PartyRef(needed(ids, expense.payee_step).value, "Vendor"),
        private_note=note(expense.memo, expense.reference),
        line=tuple(
            ExpenseLine(
                amount=amount(line.amount_minor, expense.currency),
                detail_type="AccountBasedExpenseLineDetail",
                account_based_expense_line_detail=ExpenseLineDetail(
                    account_ref=object_ref(line.account.external_id), tax_code_ref=code
                ),
                description=_description(line),
            )
            for line, code in zip(expense.lines, parts.line_refs, strict=True)
        ),
        currency_ref=currency,
        global_tax_calculation=parts.calculation,
        txn_tax_detail=parts.detail,
    )


def deposit_body(deposit: Deposit, ids: Mapping[str, str], *, currency: Ref | None, taxes: TaxProfile) -> DepositBody:
    """Return the money that arrives, one direct line per line of the document.

    Tax on a returned fee is tax on a purchase: it makes the reclaimed input tax smaller.
    """
    parts = input_tax(deposit, taxes)
    # Upper case here and only here.
    entity = PartyRef(needed(ids, deposit.payee_step).value, "VENDOR")
    return DepositBody(
        deposit_to_account_ref=object_ref(deposit.account.external_id),
        txn_date=deposit.date.isoformat(),
        private_note=note(deposit.memo, deposit.reference),
        line=tuple(
            DepositLine(
                amount=amount(line.amount_minor, deposit.currency),
                detail_type="DepositLineDetail",
                deposit_line_detail=DepositLineDetail(
                    account_ref=object_ref(line.account.external_id),
                    entity=entity,
                    tax_code_ref=code,
                    tax_applicable_on="Purchase" if code else None,
                ),
                description=_description(line),
            )
            for line, code in zip(deposit.lines, parts.line_refs, strict=True)
        ),
        currency_ref=currency,
        global_tax_calculation=parts.calculation,
        txn_tax_detail=parts.detail,
    )


def transfer_body(transfer: Transfer, *, currency: Ref | None) -> TransferBody:
    """Return the move between two accounts. The note is the only place for our reference, so it must be there."""
    return TransferBody(
        from_account_ref=object_ref(transfer.from_account.external_id),
        to_account_ref=object_ref(transfer.to_account.external_id),
        amount=amount(transfer.amount_minor, transfer.currency),
        txn_date=transfer.date.isoformat(),
        private_note=note(transfer.memo, transfer.reference),
        currency_ref=currency,
    )


def _description(line: AccountLine) -> str | None:
    return clean_text(line.description)[:MAX_TEXT] or None
