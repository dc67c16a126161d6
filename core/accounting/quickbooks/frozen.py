"""What of the frozen bytes is read back, to find a document again or to say what is wrong with it."""

from collections.abc import Iterable

import msgspec

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks import answers


class Frozen(msgspec.Struct, frozen=True, rename="pascal"):
    """The fields that a look-up or an explanation needs."""

    display_name: str = ""
    name: str = ""
    txn_date: str = ""
    private_note: str = ""
    primary_email_addr: answers.Email | None = None
    customer_ref: answers.Ref | None = None
    entity_ref: answers.Ref | None = None
    income_account_ref: answers.Ref | None = None
    account_ref: answers.Ref | None = None
    deposit_to_account_ref: answers.Ref | None = None
    from_account_ref: answers.Ref | None = None
    to_account_ref: answers.Ref | None = None
    line: tuple[answers.Line, ...] = ()

    @property
    def invoice_id(self) -> str | None:
        """The invoice that a payment was meant for."""
        return next((link.txn_id for line in self.line for link in line.linked_txn), None)

    @property
    def item_ids(self) -> list[str]:
        """The items that the lines of a sale point to."""
        details = (line.sales_item_line_detail for line in self.line)
        return _ids(detail.item_ref for detail in details if detail)

    @property
    def account_ids(self) -> list[str]:
        """The accounts that the document names: those that money moves through, then those of its lines."""
        details = (line.account_based_expense_line_detail or line.deposit_line_detail for line in self.line)
        through = (
            self.deposit_to_account_ref,
            self.income_account_ref,
            self.account_ref,
            self.from_account_ref,
            self.to_account_ref,
        )
        return _ids((*through, *(detail.account_ref for detail in details if detail)))

    @property
    def tax_code_ids(self) -> list[str]:
        """The tax codes of the lines."""
        details = (
            line.sales_item_line_detail or line.account_based_expense_line_detail or line.deposit_line_detail
            for line in self.line
        )
        return _ids(detail.tax_code_ref for detail in details if detail)

    @property
    def vendor_ids(self) -> list[str]:
        """Whom the document pays or is paid by."""
        details = (line.deposit_line_detail for line in self.line)
        return _ids((self.entity_ref, *(detail.entity for detail in details if detail)))


def frozen(write: PreparedWrite) -> Frozen:
    """Read the frozen bytes back."""
    return msgspec.json.decode(write.body, type=Frozen)


def _ids(refs: Iterable[answers.Ref | None]) -> list[str]:
    return list(dict.fromkeys(ref.value for ref in refs if ref))
