"""Refunds that become known in another order than they were made: together they still take back the sale, no more."""

from datetime import timedelta
from itertools import permutations

import pytest

from core.books.documents import DocumentKind, SalesReceipt
from core.books.documents import Refund as RefundDocument
from core.db.models import BooksDocument
from core.sync.documents import thaw
from tests.core.sync.conftest import Studio, sale
from tests.core.sync.test_attack_movements import NOON, ON_SQLITE, balance, settle, shop, tell
from tests.core.sync.test_planners import moved, refund_row

__all__ = ["shop"]


@pytest.mark.parametrize("order", list(permutations((1, 2, 3)))[1:])
@ON_SQLITE
async def test_refunds_that_are_told_in_any_order_take_back_the_whole_sale_and_its_tax(
    shop: Studio, order: tuple[int, ...]
) -> None:
    payment_id = await shop.pay(sale(amount=10100, tax=100))
    await settle(shop)
    amounts = {1: 3367, 2: 3367, 3: 3366}
    for number in order:
        name, amount = f"re_{number}", amounts[number]
        at = NOON + timedelta(hours=number)
        await tell(
            shop, moved(shop, number, "refund", -amount, source=name, at=at),
            refunds=(refund_row(shop, name, amount, payment_id),),
        )  # fmt: skip
        await settle(shop)
    rows = [row for row in await shop.rows(BooksDocument) if row.kind is DocumentKind.REFUND]
    documents = [thaw(row.kind, row.content) for row in rows]
    lines = [line for one in documents if isinstance(one, RefundDocument) for line in one.lines]
    assert balance(shop) == 0
    assert (sum(line.amount_minor for line in lines), sum(line.tax_minor for line in lines)) == (10000, 100)


@ON_SQLITE
async def test_a_refund_that_fails_is_undone_line_by_line_whatever_became_known_since(shop: Studio) -> None:
    payment_id = await shop.pay(sale(amount=10100, tax=100))
    await settle(shop)
    for number, amount in ((3, 3366), (2, 3367)):
        name, at = f"re_{number}", NOON + timedelta(hours=number)
        refunds = (refund_row(shop, name, amount, payment_id),)
        await tell(shop, moved(shop, number, "refund", -amount, source=name, at=at), refunds=refunds)
        await settle(shop)
    failed = moved(shop, 9, "refund_failure", 3366, source="re_3", at=NOON + timedelta(days=3))
    await tell(shop, failed)
    await settle(shop)
    documents = {row.step: thaw(row.kind, row.content) for row in await shop.rows(BooksDocument)}
    refund = next(
        one for row in await shop.rows(BooksDocument)
        if row.kind is DocumentKind.REFUND and row.total_minor == 3366
        for one in [thaw(row.kind, row.content)]
    )  # fmt: skip
    undone = documents["refund_failed"]
    assert isinstance(refund, RefundDocument)
    assert isinstance(undone, SalesReceipt)
    assert [(line.amount_minor, line.tax_minor) for line in undone.lines] == [
        (line.amount_minor, line.tax_minor) for line in refund.lines
    ]
    assert balance(shop) == 10100 - 3367
    for number, amount in ((4, 3367), (5, 3366)):
        name, at = f"re_{number}", NOON + timedelta(days=number)
        refunds = (refund_row(shop, name, amount, payment_id),)
        await tell(shop, moved(shop, number, "refund", -amount, source=name, at=at), refunds=refunds)
        await settle(shop)
    assert (balance(shop), await total_of_tax(shop)) == (0, 100)


async def total_of_tax(studio: Studio) -> int:
    """Return the tax that refunds have taken back, less that of refunds that failed."""
    rows = [row for row in await studio.rows(BooksDocument) if row.kind in _SIGNS]
    return sum(_SIGNS[row.kind] * line["tax_minor"] for row in rows for line in row.content["lines"])


_SIGNS = {DocumentKind.REFUND: 1, DocumentKind.SALES_RECEIPT: -1}
