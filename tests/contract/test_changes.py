"""What changed in the books, in every set of them: what others did is told, with what it does to clearing."""

from datetime import UTC, datetime

import pytest

from core.accounting.port import Change, Changes
from core.books.documents import DocumentKind
from core.books.effects import clearing_effects
from core.errors import ProviderRejectedError
from core.reasons import Reason
from tests.contract.bench import Bench
from tests.contract.movements import CASES, Desk, a_document, freeze, furnish, post

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
async def desk(us_books: Bench) -> Desk:
    return await furnish(us_books)


async def ask(desk: Desk, mark: str) -> Changes:
    return await desk.bench.provider.list_changes(mark, now=await desk.bench.now())


async def begin(desk: Desk) -> str:
    before = desk.bench.provider.calls
    begun = await ask(desk, "")
    assert (begun.rows, begun.is_whole, desk.bench.provider.calls) == ((), True, before)
    return begun.mark


def of(changes: Changes, external_id: str) -> Change:
    (found,) = [row for row in changes.rows if row.standing.external_id == external_id]
    return found


async def test_nothing_happened_and_nothing_is_told(desk: Desk) -> None:
    mark = await begin(desk)
    await desk.bench.pass_time(minutes=10)
    before = desk.bench.provider.calls
    changes = await ask(desk, mark)
    assert (changes.rows, changes.is_whole) == ((), True)
    assert desk.bench.provider.calls - before <= 5
    assert (await ask(desk, changes.mark)).rows == ()


@pytest.mark.parametrize("case", CASES)
async def test_what_we_wrote_is_told_with_what_it_does_to_clearing(desk: Desk, case: str) -> None:
    mark = await begin(desk)
    document = a_document(desk, case)
    (outcome,) = await post(desk, document)
    changes = await ask(desk, mark)
    clearing = desk["clearing"].external_id
    for part in desk.bench.provider.parts(document):
        change = of(changes, outcome[part.step].external_id)
        standing = change.standing
        assert part.kind in change.kinds
        assert (standing.stands, standing.total_minor, standing.date) == (True, part.total_minor, part.date)
        expected = sum(effect.amount_minor for effect in clearing_effects(part, clearing))
        assert standing.effects is not None
        assert standing.effects.get(clearing, 0) == expected
        read = await desk.bench.provider.read_back(part.kind, [standing.external_id])
        assert read[standing.external_id] == standing


@pytest.mark.parametrize("case", ["receipt", "expense", "deposit"])
async def test_an_edited_document_is_told_anew(desk: Desk, case: str) -> None:
    document = a_document(desk, case)
    write = await freeze(desk, document)
    posted = await desk.bench.provider.execute(write)
    await desk.bench.pass_time(minutes=10)
    mark = (await ask(desk, await begin(desk))).mark
    await desk.bench.edit(write.kind, posted.external_id)
    standing = of(await ask(desk, mark), posted.external_id).standing
    assert (standing.stands, standing.total_minor) == (True, document.total_minor + 100)


@pytest.mark.parametrize("case", ["receipt", "expense", "deposit", "payout", "hold"])
async def test_a_removed_document_is_told_as_gone(desk: Desk, case: str) -> None:
    write = await freeze(desk, a_document(desk, case))
    posted = await desk.bench.provider.execute(write)
    await desk.bench.pass_time(minutes=10)
    mark = (await ask(desk, await begin(desk))).mark
    await desk.bench.remove(write.kind, posted.external_id)
    change = of(await ask(desk, mark), posted.external_id)
    assert not change.standing.stands
    assert change.kinds == frozenset() or write.kind in change.kinds
    assert change.standing.total_minor in (0, None)


async def test_what_somebody_else_wrote_is_told_with_their_words(desk: Desk) -> None:
    mark = await begin(desk)
    await desk.bench.take_number("HAND-17")
    (change,) = (await ask(desk, mark)).rows
    assert (change.word, change.kinds) == ("Invoice", frozenset({DocumentKind.INVOICE}))
    assert any("HAND-17" in text for text in change.texts)
    assert change.standing.open_minor == change.standing.total_minor == 100


async def test_a_mark_of_other_books_is_refused(desk: Desk) -> None:
    with pytest.raises(ProviderRejectedError) as refused:
        await ask(desk, "no mark")
    assert refused.value.reason is Reason.OUR_FAULT
