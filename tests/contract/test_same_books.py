"""The same history gives the same trial balance in all books, as invoices with payments or as receipts."""

import pytest

from core.books.effects import role_totals
from core.books.ledger_lines import RECEIVABLE, SALES_TAX
from core.books.roles import SaleStyle
from tests.contract.bench import Bench
from tests.contract.example_a import TAX, TRIAL_BALANCE, Story
from tests.contract.movements import furnish, post


@pytest.mark.parametrize("style", SaleStyle)
async def test_example_a_ends_on_its_trial_balance_in_all_books(us_books: Bench, style: SaleStyle) -> None:
    desk = await furnish(us_books)
    clearing = desk["clearing"].external_id
    predicted = []
    for step in Story(desk, style).steps():
        predicted.extend(step.documents)
        outcomes = await post(desk, *step.documents)
        assert [list(outcome.values())[-1].total_minor for outcome in outcomes] == [
            document.total_minor for document in step.documents
        ], step.name
        assert await us_books.provider.read_balance(clearing) == step.clearing_after, step.name
    found = await us_books.trial_balance()
    assert {role: found.get(desk[role].name, 0) for role in TRIAL_BALANCE} == TRIAL_BALANCE
    assert (await us_books.balances())["tax"] == TAX
    # Nothing stands anywhere else.
    assert sum(found.values()) == 0
    assert sum(map(abs, found.values())) == abs(TAX) + sum(map(abs, TRIAL_BALANCE.values()))
    totals = role_totals(predicted)
    assert {role: totals.get(desk[role].external_id, 0) for role in TRIAL_BALANCE} == TRIAL_BALANCE
    assert (totals[SALES_TAX], totals.get(RECEIVABLE, 0)) == (TAX, 0)


async def test_example_a_sent_twice_stands_once(us_books: Bench) -> None:
    desk = await furnish(us_books)
    documents = [document for step in Story(desk, SaleStyle.INVOICE).steps() for document in step.documents]
    first = await post(desk, *documents)
    standing = await us_books.trial_balance()
    us_books.provider = await us_books.reopen()
    again = await post(desk, *documents)
    assert [[posted.external_id for posted in outcome.values()] for outcome in again] == [
        [posted.external_id for posted in outcome.values()] for outcome in first
    ]
    assert await us_books.trial_balance() == standing
