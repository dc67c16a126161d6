"""Every kind of money document, in every set of books: written once, found again, told apart from what others do."""

from collections.abc import Mapping
from datetime import date

import pytest

from core.accounting.port import Posted, PreparedWrite
from core.books.documents import DocumentKind, Expense, SalesReceipt
from core.books.effects import clearing_effects, role_totals
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError
from core.reasons import Reason
from tests.contract.bench import Bench
from tests.contract.movements import CASES, DAY, Desk, a_document, freeze, furnish, kinds_together, post
from tests.core.accounting.documents import booked, sold

CLOSED = date(2026, 10, 15)


@pytest.fixture
async def desk(us_books: Bench) -> Desk:
    return await furnish(us_books)


async def balances(desk: Desk) -> Mapping[str, int]:
    found = await desk.bench.trial_balance()
    return {name: amount for name, amount in found.items() if amount}


async def moved(desk: Desk, role: str) -> int:
    return (await balances(desk)).get(desk[role].name, 0)


# -- one document


@pytest.mark.parametrize("case", CASES)
async def test_the_books_answer_the_total_of_the_document(desk: Desk, case: str) -> None:
    document = a_document(desk, case)
    (outcome,) = await post(desk, document)
    parts = {part.step: part for part in desk.bench.provider.parts(document)}
    assert {step: posted.total_minor for step, posted in outcome.items()} == {
        step: part.total_minor for step, part in parts.items()
    }
    assert all(posted.currency == desk.bench.currency for posted in outcome.values())


@pytest.mark.parametrize("case", CASES)
async def test_the_ledger_moves_as_the_document_says(desk: Desk, case: str) -> None:
    document = a_document(desk, case)
    before = await balances(desk)
    await post(desk, document)
    after = await balances(desk)
    names = {account.external_id: account.name for account in desk.accounts.values()}
    expected = {names[account]: amount for account, amount in role_totals([document]).items()}
    assert {name: after.get(name, 0) - before.get(name, 0) for name in {**before, **after}} == expected
    assert await desk.bench.is_balanced()


@pytest.mark.parametrize("case", CASES)
async def test_posting_again_does_nothing(desk: Desk, case: str) -> None:
    (first,) = await post(desk, a_document(desk, case))
    standing = await balances(desk)
    desk.bench.provider = await desk.bench.reopen()
    (again,) = await post(desk, a_document(desk, case))
    assert {step: posted.external_id for step, posted in again.items()} == {
        step: posted.external_id for step, posted in first.items()
    }
    assert await balances(desk) == standing


@pytest.mark.parametrize("case", CASES)
async def test_a_lost_answer_is_found_and_adopted(desk: Desk, case: str) -> None:
    write = await freeze(desk, a_document(desk, case))
    assert await desk.bench.provider.look_up(write) is None
    await desk.bench.lose_the_answer(write)
    standing = await balances(desk)
    found = await desk.bench.provider.look_up(write)
    assert found is not None
    assert (found.total_minor, found.party_id) == (write.total_minor, write.party_id)
    assert (await desk.bench.provider.execute(write)).external_id == found.external_id
    assert await balances(desk) == standing


@pytest.mark.parametrize("case", CASES)
async def test_prepared_bytes_do_not_depend_on_the_opening(desk: Desk, case: str) -> None:
    write = await freeze(desk, a_document(desk, case))
    desk.bench.provider = await desk.bench.reopen()
    assert (await freeze(desk, a_document(desk, case))).body == write.body


async def test_a_refund_leaves_nothing_open(desk: Desk) -> None:
    lines = (desk.sale_line("income", 40000, 3300), desk.sale_line("products", 10000))
    receipt = sold(SalesReceipt, *lines, account=desk["clearing"], **desk.header("sale"))
    refund = sold(type(a_document(desk, "refund")), *lines, account=desk["clearing"], **desk.header("refund"))
    await post(desk, receipt, refund)
    assert set((await desk.bench.balances()).values()) == {0}
    assert await moved(desk, "products") == 0


# -- what others did to it


@pytest.mark.parametrize("case", ["receipt", "expense", "deposit"])
async def test_an_edited_document_is_seen_when_it_is_looked_up_and_read_back(desk: Desk, case: str) -> None:
    document = a_document(desk, case)
    write = await freeze(desk, document)
    posted = await desk.bench.provider.execute(write)
    await desk.bench.edit(write.kind, posted.external_id)
    standing = (await desk.bench.provider.read_back(write.kind, [posted.external_id]))[posted.external_id]
    assert standing.stands
    assert standing.total_minor == document.total_minor + 100
    # The caller stops on the other total; an adapter may name the change itself.
    (found,) = await desk.bench.provider.look_up_many([write])
    assert (
        found.reason is Reason.CHANGED_IN_BOOKS
        if isinstance(found, ProviderRejectedError)
        else _said(found).total_minor == document.total_minor + 100
    )


@pytest.mark.parametrize("case", ["receipt", "expense", "deposit", "payout", "hold"])
async def test_what_stands_and_what_was_removed(desk: Desk, case: str) -> None:
    kept = await freeze(desk, a_document(desk, case, "kept"), "key-kept")
    removed = await freeze(desk, a_document(desk, case, "removed"), "key-removed")
    kept_id, removed_id = [(await desk.bench.provider.execute(write)).external_id for write in (kept, removed)]
    await desk.bench.remove(removed.kind, removed_id)
    found = await desk.bench.provider.read_back(kept.kind, [removed_id, kept_id])
    assert set(found) == {removed_id, kept_id}
    assert (found[kept_id].stands, found[removed_id].stands) == (True, False)
    assert (found[kept_id].total_minor, found[kept_id].date) == (kept.total_minor, DAY)
    assert found[kept_id].currency == desk.bench.currency
    assert found[removed_id].total_minor in (0, None)


async def test_reading_back_nothing_asks_nothing(desk: Desk) -> None:
    before = desk.bench.provider.calls
    assert await desk.bench.provider.read_back(DocumentKind.EXPENSE, []) == {}
    assert desk.bench.provider.calls == before


async def test_the_two_halves_of_a_refund_are_read_back_too(desk: Desk) -> None:
    document = a_document(desk, "refund")
    (outcome,) = await post(desk, document)
    for part in desk.bench.provider.parts(document):
        external_id = outcome[part.step].external_id
        standing = (await desk.bench.provider.read_back(part.kind, [external_id]))[external_id]
        assert (standing.stands, standing.total_minor) == (True, part.total_minor)


# -- several at once


async def test_several_travel_together_and_each_has_its_own_outcome(desk: Desk) -> None:
    provider = desk.bench.provider
    assert all(size >= 2 for size in provider.limits.together.values())
    days = (DAY, CLOSED, DAY)
    batches = {
        case: [
            await freeze(desk, a_document(desk, case, f"{case} {n}", day), f"{case}-{n}") for n, day in enumerate(days)
        ]
        for case in kinds_together(desk)
    }
    await desk.bench.close_books(CLOSED.isoformat())
    for case, writes in batches.items():
        first, refused, third = await provider.execute_many(writes, key=f"batch-{case}")
        assert isinstance(refused, ProviderRejectedError), (case, refused)
        assert refused.reason is Reason.PERIOD_CLOSED
        for write, outcome in ((writes[0], first), (writes[2], third)):
            posted = await settled(desk, write, outcome)
            found = await provider.look_up(write)
            assert found is not None
            assert (found.external_id, found.total_minor) == (posted.external_id, write.total_minor)
        assert await provider.look_up(writes[1]) is None
    written = [provider.parts(a_document(desk, case))[0] for case in batches for _ in range(2)]
    assert await moved(desk, "clearing") == role_totals(written)[desk["clearing"].external_id]


async def settled(desk: Desk, write: PreparedWrite, outcome: Posted | ProviderError) -> Posted:
    """Clear a doubt as the engine does: look first, then send anew. Xero's transfers fall together and leave one."""
    if isinstance(outcome, OutcomeUnknownError):
        return await desk.bench.provider.look_up(write) or await desk.bench.provider.execute(write, send=2)
    return _said(outcome)


async def test_several_sent_again_post_nothing_twice(desk: Desk) -> None:
    provider = desk.bench.provider
    for case in kinds_together(desk):
        writes = [await freeze(desk, a_document(desk, case, f"{case} {n}"), f"{case}-{n}") for n in range(3)]
        first = [_said(outcome) for outcome in await provider.execute_many(writes, key=f"batch-{case}")]
        standing = await balances(desk)
        again = [_said(outcome) for outcome in await provider.execute_many(writes, key=f"batch-{case}")]
        assert [posted.external_id for posted in again] == [posted.external_id for posted in first]
        assert len({posted.external_id for posted in first}) == 3
        assert await balances(desk) == standing


async def test_several_are_looked_up_at_once(desk: Desk) -> None:
    for case in CASES:
        writes = [await freeze(desk, a_document(desk, case, f"{case} {n}"), f"{case}-{n}") for n in range(3)]
        for write in (writes[0], writes[2]):
            await desk.bench.provider.execute(write)
        before = desk.bench.provider.calls
        found = await desk.bench.provider.look_up_many(writes)
        assert desk.bench.provider.calls - before <= 3
        assert [isinstance(outcome, Posted) for outcome in found] == [True, False, True], (case, found)
        assert found[1] is None
        assert _said(found[0]).total_minor == writes[0].total_minor


def _said(outcome: Posted | ProviderError | None) -> Posted:
    assert isinstance(outcome, Posted), outcome
    return outcome


# -- refusals


@pytest.mark.parametrize("case", CASES)
async def test_a_closed_day_is_refused_before_sending_and_by_the_books(desk: Desk, case: str) -> None:
    write = await freeze(desk, a_document(desk, case))
    standing = await balances(desk)
    await desk.bench.close_books(DAY.isoformat())
    with pytest.raises(ProviderRejectedError) as by_the_books:
        await desk.bench.provider.execute(write)
    desk.bench.provider = await desk.bench.reopen()
    with pytest.raises(ProviderRejectedError) as beforehand:
        await freeze(desk, a_document(desk, case))
    closed = {"date": DAY.isoformat(), "closed_to": DAY.isoformat()}
    assert [by_the_books.value.reason, beforehand.value.reason] == [Reason.PERIOD_CLOSED] * 2
    assert [by_the_books.value.detail, beforehand.value.detail] == [closed, closed]
    assert await balances(desk) == standing


@pytest.mark.parametrize(
    ("case", "role"),
    [
        ("receipt", "clearing"),
        ("expense", "fees"),
        ("expense", "clearing"),
        ("deposit", "dispute fees"),
        ("payout", "bank"),
        ("hold", "held"),
    ],
)
async def test_an_archived_account_stops_the_document_and_is_named(desk: Desk, case: str, role: str) -> None:
    write = await freeze(desk, a_document(desk, case))
    await desk.bench.archive_account(desk[role].external_id)
    with pytest.raises(ProviderRejectedError) as refused:
        await desk.bench.provider.execute(write)
    assert refused.value.reason is Reason.ACCOUNT_INACTIVE
    assert desk[role].name in str(refused.value.detail["account"])


async def test_money_cannot_leave_an_account_that_holds_none(desk: Desk) -> None:
    document = booked(
        Expense, desk.account_line("fees", 700), account=desk["income"], **desk.header("from an income account")
    )
    with pytest.raises(ProviderRejectedError) as refused:
        await desk.bench.provider.execute(await freeze(desk, document))
    assert refused.value.reason in (Reason.ACCOUNT_INACTIVE, Reason.REFUSED)
    assert await moved(desk, "fees") == 0


# -- reading for the proof


async def test_the_balance_of_clearing_is_the_sum_of_its_documents(desk: Desk) -> None:
    clearing = desk["clearing"].external_id
    assert await desk.bench.provider.read_balance(clearing) == 0
    documents = [a_document(desk, case) for case in CASES]
    await post(desk, *documents)
    expected = sum(effect.amount_minor for document in documents for effect in clearing_effects(document, clearing))
    assert await desk.bench.provider.read_balance(clearing) == expected
    assert expected == await moved(desk, "clearing")
    held = role_totals(documents)[desk["held"].external_id]
    assert await desk.bench.provider.read_balance(desk["held"].external_id) == held


async def test_sales_of_some_days_are_listed_whoever_made_them(desk: Desk) -> None:
    await desk.bench.take_number("HAND-17")
    await post(desk, a_document(desk, "receipt"), a_document(desk, "refund"), a_document(desk, "deposit"))
    found = await desk.bench.provider.list_sales(date(2026, 11, 1), DAY)
    theirs = next(sale for sale in found if sale.number == "HAND-17")
    assert (theirs.kind, theirs.date, theirs.total_minor) == (DocumentKind.INVOICE, date(2026, 11, 1), 100)
    assert theirs.customer_name == "Somebody else"
    ours = next(sale for sale in found if sale.kind is DocumentKind.SALES_RECEIPT)
    assert (ours.date, ours.total_minor, ours.currency) == (DAY, 10000, desk.bench.currency)
    assert desk.header("receipt")["reference"] in f"{ours.number} {ours.note}"
    # In Xero a deposit is money received like a receipt; what was given back is a sale nowhere.
    assert {sale.total_minor for sale in found} - {1500} == {100, 10000}
    assert await desk.bench.provider.list_sales(date(2026, 11, 2), date(2026, 11, 19)) == []


async def test_calls_are_counted(desk: Desk) -> None:
    before = desk.bench.provider.calls
    await desk.bench.provider.read_balance(desk["clearing"].external_id)
    assert desk.bench.provider.calls == before + 1
