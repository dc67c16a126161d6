"""Fifty at a time against Xero's own rules: what it costs, what half a call leaves, and that nothing is doubled."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.accounting.port import Posted, PreparedWrite
from core.books.documents import Customer, MoneyDocument
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError, RateLimitedError
from core.reasons import Reason
from tests.contract.test_xero_month import BANK, CLEARING, FREE, GST, HELD, Studio
from tests.contract.xero_bench import XeroBench, xero_bench
from tests.core.accounting.documents import CUSTOMER
from web.sandbox.faults import FaultKind

FORGETS_AFTER_S = 6 * 60
Outcomes = Sequence[Posted | ProviderError | None]


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with xero_bench(tmp_path, "AU") as bench:
        made = Studio(bench)
        await made.open()
        yield made


@pytest.fixture
def bench(studio: Studio) -> XeroBench:
    return studio.bench


async def sales(s: Studio, count: int = 50) -> list[PreparedWrite]:
    documents = [s.invoice(s.line("Session income", 10000 + 10 * n, 1000 + n, GST)) for n in range(count)]
    return [s.prepared(document) for document in documents]


async def fees(s: Studio, count: int = 50) -> list[PreparedWrite]:
    documents = [s.fees("Stripe fees", (100 + n, 0)) for n in range(count)]
    await s.book(s.fees("Stripe fees", (1, 0)))
    return [s.prepared(document) for document in documents]


def payments(s: Studio, writes: Sequence[PreparedWrite], outcomes: Outcomes) -> list[PreparedWrite]:
    made = []
    for write, outcome in zip(writes, outcomes, strict=True):
        assert isinstance(outcome, Posted)
        money = s.payment(write.total_minor or 0)
        ids = {**s.ids, "invoice": outcome.external_id}
        made.append(s.bench.provider.prepare(money, key=f"pay-{write.key}", ids=ids))
    return made


def ids(outcomes: Outcomes) -> list[str]:
    assert all(isinstance(outcome, Posted) for outcome in outcomes), outcomes
    return [outcome.external_id for outcome in outcomes if isinstance(outcome, Posted)]


def classes(outcomes: Outcomes) -> set[type]:
    return {type(outcome) for outcome in outcomes}


async def test_fifty_paid_sales_are_two_calls_and_a_hundred_elements(studio: Studio, bench: XeroBench) -> None:
    writes = await sales(studio)
    await bench.control.clear_counters(bench.tenant)
    made = await bench.provider.execute_many(writes, key="batch-1")
    money = payments(studio, writes, made)
    assert len(set(ids(await bench.provider.execute_many(money, key="batch-2")))) == 50
    counted = await bench.control.counters(bench.tenant)
    assert (counted["calls"], counted["elements Invoices"], counted["elements Payments"]) == (2, 50, 50)
    balance = await bench.control.trial_balance(bench.tenant)
    assert balance[CLEARING] == sum(write.total_minor or 0 for write in writes)
    assert "Accounts Receivable" not in balance


async def test_every_kind_travels_together(studio: Studio, bench: XeroBench) -> None:
    s = studio
    await s.book(s.fees("Stripe fees", (1, 0)))
    kinds: list[list[MoneyDocument]] = [
        [s.receipt(s.line("Session income", 2000 + n, 0, FREE)) for n in range(3)],
        [s.fees("Stripe fees", (300 + n, 30)) for n in range(3)],
        [s.transfer(100 + n, CLEARING, BANK) for n in range(3)],
        [s.transfer(100 + n, CLEARING, HELD) for n in range(3)],
        [next(iter(bench.provider.parts(s.refund(s.line("Session income", 900 + n, 0, FREE))))) for n in range(3)],
    ]
    for place, documents in enumerate(kinds):
        writes = [s.prepared(document) for document in documents]
        assert await bench.provider.look_up_many(writes) == [None] * 3
        made = await bench.provider.execute_many(writes, key=f"batch-{place}")
        assert ids(await bench.provider.look_up_many(writes)) == ids(made)
    repaid = [
        bench.provider.prepare(
            bench.provider.parts(s.refund(s.line("Session income", 900 + n, 0, FREE)))[1],
            key=f"repaid-{n}",
            ids={**s.ids, "refund": external_id},
        )
        for n, external_id in enumerate(ids(made))
    ]
    outcomes = await bench.provider.execute_many(repaid, key="batch-9")
    assert ids(await bench.provider.look_up_many(repaid)) == ids(outcomes)
    assert sum((await bench.control.trial_balance(bench.tenant)).values()) == 0


async def test_clients_travel_together_and_are_found_with_two_questions(studio: Studio, bench: XeroBench) -> None:
    people = [a_client(place) for place in range(50)]
    theirs = await bench.add_customer("Client 7", "client7@example.com")
    writes = [bench.provider.prepare(person, key=f"c-{n}", ids={}) for n, person in enumerate(people)]
    before = bench.provider.calls
    found = await bench.provider.look_up_many(writes)
    assert bench.provider.calls - before <= 3
    assert [place for place, outcome in enumerate(found) if outcome] == [7]
    assert ids([found[7]]) == [theirs]
    missing = [write for write, outcome in zip(writes, found, strict=True) if outcome is None]
    made = await bench.provider.execute_many(missing, key="batch-1")
    assert len(set(ids(made))) == 49
    again = await bench.provider.look_up_many(writes)
    assert len(set(ids(again))) == 50


async def test_a_name_in_other_capitals_is_found_after_xero_refused_it(studio: Studio, bench: XeroBench) -> None:
    theirs = await bench.add_customer("CLIENT 1", "client1@example.com")
    stranger = await bench.add_customer("client 2", "somebody@example.com")
    writes = [bench.provider.prepare(a_client(n), key=f"c-{n}", ids={}) for n in range(3)]
    outcomes = await bench.provider.execute_many(writes, key="batch-1")
    assert ids(outcomes[:2])[1] == theirs
    bad = outcomes[2]
    assert isinstance(bad, ProviderRejectedError)
    assert (bad.reason, bad.detail) == (Reason.NAME_TAKEN, {"client": "Client 2"})
    assert stranger not in ids(outcomes[:2])


async def test_names_that_could_change_the_question_are_asked_for_singly(studio: Studio, bench: XeroBench) -> None:
    odd = ['Ana "the lens" Lima', "Bo\\Lima", "Zoë", 'x" OR Name!="']
    theirs = [await bench.add_customer(name, None) for name in odd]
    writes = [
        bench.provider.prepare(replace(a_client(n), name=name), key=f"c-{n}", ids={}) for n, name in enumerate(odd)
    ]
    assert ids(await bench.provider.look_up_many(writes)) == theirs


async def test_one_bad_of_fifty_falls_alone(studio: Studio, bench: XeroBench) -> None:
    writes = await sales(studio)
    await bench.archive_account(studio.accounts["Coaching income"].external_id)
    bad = studio.prepared(studio.invoice(studio.line("Coaching income", 10000, 1000, GST)))
    outcomes = list(await bench.provider.execute_many([*writes[:20], bad, *writes[20:49]], key="batch-1"))
    refused = outcomes.pop(20)
    assert isinstance(refused, ProviderRejectedError)
    assert (refused.reason, refused.detail) == (Reason.ACCOUNT_INACTIVE, {"account": "Coaching income"})
    assert len(set(ids(outcomes))) == 49
    assert await bench.count("invoice") == 49


async def test_many_refusals_are_explained_with_few_questions(studio: Studio, bench: XeroBench) -> None:
    writes = await sales(studio)
    await bench.archive_account(studio.accounts["Session income"].external_id)
    before = bench.provider.calls
    outcomes = await bench.provider.execute_many(writes, key="batch-1")
    assert classes(outcomes) == {ProviderRejectedError}
    assert bench.provider.calls - before == 3


@pytest.mark.parametrize("stored", [0, 1, 20, 50])
async def test_a_call_that_dies_in_the_middle_is_looked_up_and_finished(
    studio: Studio, bench: XeroBench, stored: int
) -> None:
    writes = await sales(studio)
    await bench.control.break_next(bench.tenant, after_elements=stored)
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError) as doubt:
            await bench.provider.execute_many(writes, key="batch-1")
        assert doubt.value.answered
    before = bench.provider.calls
    found = await bench.provider.look_up_many(writes)
    assert bench.provider.calls - before == 1
    assert [outcome is not None for outcome in found] == [place < stored for place in range(50)]
    rest = [write for write, outcome in zip(writes, found, strict=True) if outcome is None]
    if rest:
        ids(await bench.provider.execute_many(rest, key="batch-2", send=2))
    assert await bench.count("invoice") == 50


async def test_spent_money_is_never_doubled_by_a_call_that_died(studio: Studio, bench: XeroBench) -> None:
    """Nothing of it is unique in Xero: only looking first keeps the books right."""
    writes = await fees(studio)
    await bench.control.break_next(bench.tenant, after_elements=30)
    with pytest.raises(OutcomeUnknownError):
        await bench.provider.execute_many(writes, key="batch-1")
    bench.clock.advance(seconds=FORGETS_AFTER_S + 1)
    bench.tokens = await bench.control.connect(bench.tenant)
    bench.provider = await bench.reopen()
    found = await bench.provider.look_up_many(writes)
    rest = [write for write, outcome in zip(writes, found, strict=True) if outcome is None]
    assert len(rest) == 20
    ids(await bench.provider.execute_many(rest, key="batch-2"))
    assert (await bench.control.trial_balance(bench.tenant))["Stripe fees"] == 1 + sum(100 + n for n in range(50))


async def test_the_same_call_again_within_six_minutes_changes_nothing(studio: Studio, bench: XeroBench) -> None:
    writes = await fees(studio, 3)
    first = ids(await bench.provider.execute_many(writes, key="batch-1"))
    bench.clock.advance(seconds=FORGETS_AFTER_S - 10)
    assert ids(await bench.provider.execute_many(writes, key="batch-1")) == first
    assert len(await bench.control.records(bench.tenant, "BankTransaction")) == 4


async def test_after_six_minutes_what_xero_keeps_unique_is_taken_over(studio: Studio, bench: XeroBench) -> None:
    writes = await sales(studio, 5)
    made = await bench.provider.execute_many(writes, key="batch-1")
    money = payments(studio, writes, made)
    paid = await bench.provider.execute_many(money, key="batch-2")
    await bench.control.forget_idempotency()
    assert ids(await bench.provider.execute_many(writes, key="batch-1")) == ids(made)
    assert ids(await bench.provider.execute_many(money, key="batch-2")) == ids(paid)
    assert (await bench.count("invoice"), await bench.count("payment")) == (5, 5)


async def test_refunds_are_taken_over_as_well(studio: Studio, bench: XeroBench) -> None:
    note, repaid = bench.provider.parts(studio.refund(studio.line("Session income", 1000, 100, GST)))
    studio.ids["refund"] = await studio.written(studio.prepared(note))
    write = studio.prepared(repaid)
    first = await studio.written(write)
    await bench.control.forget_idempotency()
    again = await bench.provider.execute(write, send=2)
    assert again.external_id == first
    taken = await bench.provider.execute_many([studio.prepared(note)], key="batch-1")
    assert ids(taken) == [studio.ids["refund"]]
    assert (await bench.control.trial_balance(bench.tenant))[CLEARING] == -1100


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER_COMMIT, FaultKind.TRUNCATE, FaultKind.HTML_500])
async def test_an_answer_that_never_came_is_a_doubt_for_all(studio: Studio, bench: XeroBench, kind: FaultKind) -> None:
    writes = await sales(studio, 5)
    bench.fail(kind, "/Invoices")
    with pytest.raises(OutcomeUnknownError):
        await bench.provider.execute_many(writes, key="batch-1")
    found = await bench.provider.look_up_many(writes)
    assert classes(found) == ({Posted} if kind is not FaultKind.HTML_500 else {type(None)})


async def test_a_limit_writes_nothing_and_the_same_call_gets_through_later(studio: Studio, bench: XeroBench) -> None:
    writes = await sales(studio, 5)
    await bench.behave(throttle=True, minute_limit=0)
    with pytest.raises(RateLimitedError) as limited:
        await bench.provider.execute_many(writes, key="batch-1")
    assert limited.value.retry_after_s
    await bench.behave(throttle=False)
    assert len(ids(await bench.provider.execute_many(writes, key="batch-1"))) == 5


async def test_bad_transfers_do_not_take_the_good_ones_with_them(studio: Studio, bench: XeroBench) -> None:
    """Xero refuses the call as a whole here; the good ones are found by their references."""
    s = studio
    await bench.archive_account(s.accounts["Business Bank Account"].external_id)
    documents = [s.transfer(100 + n, CLEARING, BANK) for n in range(3)]
    writes = [s.prepared(document) for document in documents]
    writes.insert(1, s.prepared(s.transfer(5, CLEARING, "Business Bank Account")))
    outcomes = await bench.provider.execute_many(writes, key="batch-1")
    refused = outcomes[1]
    assert isinstance(refused, ProviderRejectedError)
    assert (refused.reason, refused.detail["account"]) == (Reason.ACCOUNT_INACTIVE, "Business Bank Account")
    assert classes([outcomes[0], *outcomes[2:]]) == {OutcomeUnknownError}
    assert len(ids(await bench.provider.look_up_many([writes[0], *writes[2:]]))) == 3


async def test_money_on_another_account_than_ours_was_changed_by_a_person(studio: Studio, bench: XeroBench) -> None:
    s = studio
    await s.book(s.fees("Stripe fees", (1, 0)))
    mine, theirs = s.fees("Stripe fees", (100, 0)), s.fees("Stripe fees", (100, 0))
    elsewhere = replace(theirs, account=s.accounts[BANK])
    await bench.provider.execute(s.prepared(elsewhere))
    await bench.provider.execute(s.prepared(mine))
    found = await bench.provider.look_up_many([s.prepared(mine), s.prepared(theirs)])
    assert isinstance(found[0], Posted)
    assert isinstance(found[1], ProviderRejectedError)
    assert found[1].reason is Reason.CHANGED_IN_BOOKS


async def test_what_a_person_deleted_is_not_there_and_can_be_made_again(studio: Studio, bench: XeroBench) -> None:
    s = studio
    for document, element in (
        (s.fees("Stripe fees", (100, 0)), "BankTransaction"),
        (s.transfer(100, CLEARING, BANK), "BankTransfer"),
    ):
        await s.book(document)
        await bench.control.act(bench.tenant, element, s.ids[document.step], "delete")
        write = s.prepared(document)
        assert await bench.provider.look_up(write) is None
        again = await bench.provider.execute(write)
        assert again.external_id != s.ids[document.step]


async def test_an_amount_that_a_person_changed_is_shown_as_it_stands(studio: Studio, bench: XeroBench) -> None:
    await studio.book(document := studio.fees("Stripe fees", (100, 0)))
    (record,) = await bench.control.records(bench.tenant, "BankTransaction")
    line = {"Description": "Changed", "Quantity": 1, "UnitAmount": 2, "AccountCode": "404"}
    await bench.control.edit_record(bench.tenant, "BankTransaction", record["BankTransactionID"], {"LineItems": [line]})
    found = await bench.provider.look_up(studio.prepared(document))
    assert found is not None
    assert found.total_minor == 200


async def test_a_large_organisation_is_asked_efficiently_for_every_kind(studio: Studio, bench: XeroBench) -> None:
    await bench.behave(large=True)
    s = studio
    await s.sell("Session income", 40000, 4000, GST, (707, 71))
    await s.book(s.refund(s.line("Session income", 10000, 1000, GST)))
    await s.book(s.transfer(300, CLEARING, BANK))
    await s.book(s.transfer(200, CLEARING, HELD))
    for kind, step in (("invoice", "invoice"), ("payment", "payment"), ("expense", "expense")):
        found = await bench.provider.read_back(
            next(k for k in s.bench.provider.limits.together if k == kind), [s.ids[step]]
        )
        assert found[s.ids[step]].stands


def a_client(place: int) -> Customer:
    return replace(
        CUSTOMER,
        customer_id=f"8d3f0000-0000-0000-0000-{place:012}",
        stripe_customer_id=f"cus_Bulk{place}",
        name=f"Client {place}",
        email=f"client{place}@example.com",
        currency="AUD",
    )
