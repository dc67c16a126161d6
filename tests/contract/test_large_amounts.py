"""The largest amounts that a sale may have, and larger ones: written, answered, found and read back to the cent.

A number of JSON that went through a float would lose its cents above 2^53 of them: 90071992547409.93 would be .92.
"""

from collections.abc import Sequence

import pytest

from core.books.documents import DocumentKind
from tests.contract.bench import Bench
from tests.contract.test_contract import client, frozen, receipt, sale
from tests.core.accounting.documents import CUSTOMER

LARGEST = 99_999_999
"""What Stripe takes in one payment in most currencies. Source: https://docs.stripe.com/currencies"""

LARGEST_OF_TWELVE_DIGITS = 999_999_999_999
"""In currencies of small units, such as the rupiah."""

BEYOND_FLOATS = 2**53 + 1
PARTS = [
    pytest.param([(LARGEST, 0)], id="Stripe's largest"),
    pytest.param([(LARGEST_OF_TWELVE_DIGITS, 0)], id="twelve digits"),
    pytest.param([(BEYOND_FLOATS, 0)], id="beyond floats"),
    pytest.param([(LARGEST - 7_621_247, 7_621_247)], id="with tax"),
    pytest.param([(BEYOND_FLOATS + 1, 0), (2, 0), (-3, 0)], id="in lines, with a discount"),
]


@pytest.mark.parametrize("parts", PARTS)
async def test_a_large_sale_is_answered_found_and_read_back_to_the_cent(
    us_books: Bench, parts: Sequence[tuple[int, int]]
) -> None:
    books, total = us_books, sum(net + tax for net, tax in parts)
    write = await frozen(books, sale(books, *parts))
    assert write.total_minor == total
    assert await books.provider.look_up(write) is None
    posted = await books.provider.execute(write)
    assert (posted.total_minor, posted.currency) == (total, "USD")
    found = await books.provider.look_up(write)
    assert found is not None
    assert (found.external_id, found.total_minor) == (posted.external_id, total)

    ids = {CUSTOMER.step: await books.provider.sync_customer(client(books)), "invoice": posted.external_id}
    paying = books.provider.prepare(receipt(books, total), key="key-payment", ids=ids)
    await books.lose_the_answer(paying)
    paid = await books.provider.look_up(paying)
    assert paid is not None
    assert paid.total_minor == total

    invoices = await books.provider.read_back(DocumentKind.INVOICE, [posted.external_id])
    assert (invoices[posted.external_id].total_minor, invoices[posted.external_id].open_minor) == (total, 0)
    payments = await books.provider.read_back(DocumentKind.PAYMENT, [paid.external_id])
    assert payments[paid.external_id].total_minor == total
    assert await books.provider.read_balance(books.clearing_account) == total
    tax = sum(tax for _, tax in parts)
    assert await books.balances() == {"clearing": total, "income": tax - total, "tax": -tax, "receivable": 0}


async def test_one_unit_more_is_seen_in_a_large_document(us_books: Bench) -> None:
    books = us_books
    posted = await books.provider.execute(await frozen(books, sale(books, (LARGEST_OF_TWELVE_DIGITS, 0))))
    await books.edit(DocumentKind.INVOICE, posted.external_id)
    [standing] = (await books.provider.read_back(DocumentKind.INVOICE, [posted.external_id])).values()
    assert standing.total_minor == LARGEST_OF_TWELVE_DIGITS + 100
