"""One sale through the engine, on both databases, into real double-entry books."""

from core.db.models import (
    Attempt,
    AttemptOutcome,
    BooksDocument,
    BooksLink,
    DocumentState,
    Operation,
    OperationState,
    PaymentState,
    Service,
)
from core.reasons import Reason
from core.sync.acts import ignore_payment, reopen_for_mapping, retry_all, retry_payment
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale


async def test_a_mapped_sale_becomes_one_customer_one_invoice_and_one_payment(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale(amount=43300))
    await studio.quiet()

    payment = await studio.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.SYNCED, None)
    documents = await studio.rows(BooksDocument)
    assert sorted((d.step, d.state, d.total_minor) for d in documents) == [
        ("invoice", DocumentState.POSTED, 43300),
        ("payment", DocumentState.POSTED, 43300),
    ]
    balance = studio.ledger.books.trial_balance()
    assert balance["Session income"] == -43300
    assert balance["Stripe clearing"] == 43300
    assert sum(balance.values()) == 0
    links = await studio.rows(BooksLink)
    assert [link.kind for link in links] == ["customer"]


async def test_the_same_fact_told_many_times_posts_nothing_more(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    for _ in range(3):
        await studio.pay(sale())
        await studio.quiet()
    assert len(await studio.rows(BooksDocument)) == 2
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 43300


async def test_two_sales_of_one_client_make_one_customer(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    await studio.pay(sale(1))
    await studio.pay(sale(2, amount=10000))
    await studio.quiet()
    assert len(await studio.rows(BooksLink)) == 1
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 53300


async def test_an_unmapped_service_needs_attention_and_posts_after_the_mapping(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    payment = await studio.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.SERVICE_NOT_MAPPED)
    assert payment.reason_detail["service"] == "Portrait session"
    assert await studio.rows(Operation) == []

    service_id = await studio.map(PORTRAIT.key, "Session income")
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        reopened = await reopen_for_mapping(session, connection_id=studio.books.id, service_id=service_id, now=now)
    assert reopened == 1
    await studio.quiet()
    assert (await studio.payment(payment_id)).state is PaymentState.SYNCED


async def test_retry_of_a_synced_payment_posts_nothing(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    await studio.quiet()
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert not await retry_payment(session, payment_id, by_user_id=studio.person.user_id, now=now)
    await studio.quiet()
    assert len(await studio.rows(Operation)) == 3


async def test_five_clicks_on_retry_are_one_retry(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await studio.map(PORTRAIT.key, "Session income")
    changed = []
    for _ in range(5):
        async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
            now = await studio.wiring.db.now(session)
            changed.append(await retry_payment(session, payment_id, by_user_id=studio.person.user_id, now=now))
    assert changed == [True, False, False, False, False]
    await studio.quiet()
    asked = [a for a in await studio.rows(Attempt) if a.outcome is AttemptOutcome.RETRY_ASKED]
    assert len(asked) == 1
    assert (await studio.payment(payment_id)).state is PaymentState.SYNCED


async def test_an_archived_account_stops_before_anything_is_sent(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    studio.ledger.books.set_account_active(studio.accounts["Session income"], active=False)
    payment_id = await studio.pay(sale())
    await studio.quiet()
    payment = await studio.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.ACCOUNT_INACTIVE)
    assert studio.ledger.books.trial_balance().get("Stripe clearing", 0) == 0


async def test_a_foreign_sale_waits_for_the_settled_amount_and_books_it(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale(amount=50000, currency="eur"))
    await studio.quiet()
    payment = await studio.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.WAITING, Reason.SETTLEMENT_PENDING)
    await studio.pay(sale(amount=50000, currency="eur", movement=movement(1, 54125, 2952)))
    await studio.quiet()
    assert (await studio.payment(payment_id)).state is PaymentState.SYNCED
    assert studio.ledger.books.trial_balance()["Session income"] == -54125


async def test_parts_that_do_not_add_up_are_never_posted(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    facts = sale(amount=43300)
    payment_id = await studio.pay(sale(amount=43301, lines=facts.lines))
    await studio.quiet()
    payment = await studio.payment(payment_id)
    assert payment.reason is Reason.LINES_DO_NOT_ADD_UP
    assert await studio.rows(Operation) == []


async def test_an_ignored_payment_stays_out_until_it_is_retried(studio: Studio) -> None:
    payment_id = await studio.pay(sale())
    await studio.quiet()
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        user_id = studio.person.user_id
        assert await ignore_payment(session, payment_id, why="Entered by hand", by_user_id=user_id, now=now)
        assert not await ignore_payment(session, payment_id, why="again", by_user_id=user_id, now=now)
    await studio.map(PORTRAIT.key, "Session income")
    await studio.quiet()
    assert (await studio.payment(payment_id)).state is PaymentState.IGNORED
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await retry_payment(session, payment_id, by_user_id=studio.person.user_id, now=now)
    await studio.quiet()
    assert (await studio.payment(payment_id)).state is PaymentState.SYNCED


async def test_retry_all_takes_only_what_a_retry_can_help(studio: Studio) -> None:
    await studio.pay(sale())
    await studio.quiet()
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await retry_all(session, by_user_id=studio.person.user_id, now=now) == 0


async def test_every_operation_was_committed_with_its_bytes_before_it_was_sent(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    await studio.pay(sale())
    await studio.quiet()
    operations = await studio.rows(Operation)
    assert {o.state for o in operations} == {OperationState.CONFIRMED}
    assert all(o.body and o.key and o.reference and o.sends == 1 for o in operations)
    assert len({o.key for o in operations}) == len(operations)
    assert len(await studio.rows(Service)) == 1
