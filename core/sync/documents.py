"""Freezing documents into rows and thawing them again, unchanged."""

from typing import Any, TypeVar
from uuid import UUID

import msgspec

from core.books.documents import Invoice, Payment

D = TypeVar("D", Invoice, Payment)


def freeze(document: Invoice | Payment) -> dict[str, Any]:
    """Return the document as plain JSON data: every line with its amounts, accounts and why."""
    content: dict[str, Any] = msgspec.to_builtins(document)
    return content


def thaw(content: dict[str, Any], shape: type[D]) -> D:
    """Return the document that :func:`freeze` was given."""
    return msgspec.convert(content, shape)


def step_customer_id(step: str) -> UUID:
    """Return our customer's id from a customer step."""
    return UUID(step.removeprefix("customer:"))
