"""Freezing documents into rows and thawing them again, unchanged."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from core.books.documents import (
    CreditNote,
    Deposit,
    DocumentKind,
    Expense,
    Invoice,
    MoneyDocument,
    Payment,
    Refund,
    Repayment,
    SalesReceipt,
    Transfer,
)

CUSTOMER = "customer:"
"""How the step of a customer begins; then come our id of the client, and the currency of one who pays in another."""

_SHAPES: Mapping[DocumentKind, type[MoneyDocument]] = {
    shape.kind: shape
    for shape in (Invoice, Payment, SalesReceipt, Refund, CreditNote, Repayment, Expense, Deposit, Transfer)
}


def freeze(document: MoneyDocument) -> dict[str, Any]:
    """Return the document as plain JSON data: every line with its amounts, accounts and why."""
    content: dict[str, Any] = msgspec.to_builtins(document)
    return content


def thaw(kind: DocumentKind, content: dict[str, Any]) -> MoneyDocument:
    """Return the document that :func:`freeze` was given."""
    return msgspec.convert(content, _SHAPES[kind])


def is_foreign_step(step: str) -> bool:
    """Whether a customer step is about a client in another currency than the books' own."""
    return ":" in step.removeprefix(CUSTOMER)


def step_customer_id(step: str) -> UUID:
    """Return our customer's id from a customer step."""
    return UUID(step.removeprefix(CUSTOMER).partition(":")[0])
