"""Disputes, payouts, fees and other movements one by one: what is booked, what is not, and what stops."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.books.categories import BookedBy, booked_by, movement_role
from core.books.disputes import plan_dispute
from core.books.documents import Deposit, Expense, LineKind, MoneyDocument, Refund, SalesReceipt, Transfer
from core.books.effects import role_totals
from core.books.facts import FeePart
from core.books.fees import plan_fees
from core.books.movements import plan_movement
from core.books.payouts import plan_payout
from core.books.posting import plan_sale
from core.books.profile import BooksProfile, BookTaxCode
from core.books.roles import ROLE_NAMES, AccountRole, BookkeepingSettings, LostDisputeTax, RoleChoice
from core.errors import StopError
from core.reasons import WORDING, Reason
from tests.core.books.story import DAY_1, Story, make_books, make_rules, parts, sold

CODES = (BookTaxCode("TAX", "Sales tax 8.25%", 82_500, True), BookTaxCode("IN", "Input 10%", 100_000, True))
RULES = make_rules(Session=("Session income", "TAX"), Plain=("Coaching income", None))


def make_story(**settings: object) -> Story:
    return Story(make_books(codes=CODES, settings=BookkeepingSettings(**settings)), RULES)  # type: ignore[arg-type]


def without(books: BooksProfile, *roles: AccountRole) -> BooksProfile:
    return replace(books, roles={role: choice for role, choice in books.roles.items() if role not in roles})


def stopped(documents: object) -> StopError:
    with pytest.raises(StopError) as stop:
        documents()  # type: ignore[operator]
    return stop.value


@pytest.mark.parametrize(
    ("category", "type_", "source", "who"),
    [
        ("charge", "payment", "py_1", BookedBy.SALE),
        ("charge", "charge", None, BookedBy.MOVEMENT),
        ("refund", "payment_refund", "pyr_1", BookedBy.REFUND),
        ("charge_failure", "payment_failure_refund", "pyr_1", BookedBy.REFUND),
        ("refund_failure", "refund_failure", "re_1", BookedBy.REFUND),
        ("dispute_reversal", "adjustment", "du_1", BookedBy.DISPUTE),
        ("payout_reversal", "payout_failure", "po_1", BookedBy.PAYOUT),
        ("fee", "stripe_fee", None, BookedBy.MOVEMENT),
        ("", "payout", "po_1", BookedBy.PAYOUT),
        ("brand_new_category", "charge", "ch_1", BookedBy.MOVEMENT),
    ],
)
def test_the_category_says_who_books_a_balance_transaction(
    category: str, type_: str, source: str | None, who: BookedBy
) -> None:
    assert booked_by(category, type_, source) is who


@pytest.mark.parametrize(
    ("category", "type_", "source", "role"),
    [
        ("fee", "stripe_fee", None, AccountRole.FEES),
        ("tax", "tax_fee", None, AccountRole.FEES),
        ("network_cost", "network_cost", None, AccountRole.FEES),
        ("fee", "stripe_fee", "du_1", AccountRole.DISPUTE_FEES),
        ("fee", "application_fee_refund", "fr_1", AccountRole.PLATFORM_FEES),
        ("risk_reserved_funds", "reserve_hold", None, AccountRole.RESERVE),
        ("payout_minimum_balance_release", "x", None, AccountRole.RESERVE),
        ("payment_network_reserve_hold", "x", None, AccountRole.RESERVE),
        ("connect_reserved_funds", "x", None, None),
        ("topup", "topup", "tu_1", None),
        ("other_adjustment", "adjustment", None, None),
    ],
)
def test_the_account_of_a_movement_is_known_or_asked_for(
    category: str, type_: str, source: str | None, role: AccountRole | None
) -> None:
    assert movement_role(category, type_, source) is role


def test_an_unknown_category_stops_with_its_name_and_amount_until_a_person_answers() -> None:
    story = make_story()
    moved = story.move("other_adjustment", -1234)
    stop = stopped(lambda: plan_movement(moved, story.books, reference=str))
    assert stop.reason is Reason.UNKNOWN_CATEGORY
    assert stop.detail["category"] == "other adjustment"
    assert stop.detail["reporting_category"] == "other_adjustment"
    assert "-12.34 USD" in WORDING[stop.reason].filled(stop.detail).explanation
    choice = RoleChoice("Coaching income", 2, "Anna Berg")
    answered = replace(story.books, categories={"other_adjustment": choice})
    (document,) = plan_movement(moved, answered, reference=str)
    assert isinstance(document, Expense)
    assert (document.lines[0].why.mapping_version, document.lines[0].why.set_by) == (2, "Anna Berg")


def test_money_that_a_person_sends_to_a_bank_account_is_a_transfer() -> None:
    story = make_story()
    moved = story.move("topup", 50000, source="tu_1")
    books = replace(story.books, categories={"topup": RoleChoice("Checking", 1, "Anna Berg")})
    (document,) = plan_movement(moved, books, reference=str)
    assert isinstance(document, Transfer)
    assert (document.from_account.name, document.to_account.name) == ("Checking", "Stripe clearing")


def test_a_reserve_is_moved_to_an_asset_and_back() -> None:
    story = make_story()
    story.move("risk_reserved_funds", -5000)
    story.move("risk_reserved_funds", 5000)
    story.post()
    assert all(isinstance(one, Transfer) for one in story.documents)
    assert not any(story.totals().values())


def test_money_in_another_currency_than_the_books_stops() -> None:
    story = make_story()
    moved = replace(story.move("fee", -100), currency="eur")
    stop = stopped(lambda: plan_movement(moved, story.books, reference=str))
    assert (stop.reason, stop.detail) == (Reason.SETTLED_ELSEWHERE, {"currency": "EUR", "home_currency": "USD"})


def test_a_missing_account_is_named_for_people() -> None:
    story = make_story()
    moved = story.move("fee", -100)
    books = without(story.books, AccountRole.FEES)
    stop = stopped(lambda: plan_movement(moved, books, reference=str))
    assert WORDING[stop.reason].filled(stop.detail).title == "Which account is for Stripe fees?"
    assert set(ROLE_NAMES) == set(AccountRole)


def test_nothing_is_booked_of_a_payout_before_it_arrives_nor_if_it_fails_on_its_way() -> None:
    story = make_story()
    payout = story.pay_out(30000, days=2)
    story.tell(replace(payout, status="in_transit"))
    story.post()
    assert story.documents == []
    story.payout_fails(payout, was_booked=False)
    story.post()
    assert story.documents == []
    assert sum(one.net_minor for one in story.transactions) == 0


def test_the_reversal_of_a_payout_from_before_the_first_day_comes_from_the_opening_balance() -> None:
    story = make_story()
    story.today -= timedelta(days=3)
    payout = story.pay_out(30000)
    story.today = DAY_1
    story.payout_fails(payout, was_booked=False)
    story.post()
    assert story.totals() == {"Stripe clearing": 30000, "Opening balance": -30000}


def test_a_dispute_from_before_the_first_day_that_is_won_comes_from_the_opening_balance() -> None:
    story = make_story()
    story.today -= timedelta(days=3)
    sale = story.sell(sold("Plain", 20000, has_tax=False))
    dispute = story.dispute(sale, 1500)
    story.today = DAY_1
    story.dispute_is_won(dispute, fee_returned=1500)
    story.post([dispute.source_id])
    assert story.totals() == {"Stripe clearing": 21500, "Opening balance": -20000, "Dispute fees": -1500}
    lost = story.dispute_is_lost(dispute)
    assert plan_dispute(lost, story.books, reference=str) == []


def test_tax_of_a_lost_dispute_stays_where_the_tenant_wants_it_so() -> None:
    story = make_story(lost_dispute_tax=LostDisputeTax.KEPT)
    sale = story.sell(sold("Session", 20000, 1650))
    story.dispute_is_lost(story.dispute(sale, 0))
    story.post()
    assert story.totals()["Chargebacks (contra-income)"] == 21650
    (lost,) = [one for one in story.documents if isinstance(one, Refund)]
    assert [(line.tax_minor, line.tax_code_id) for line in lost.lines] == [(0, None)]


def test_a_dispute_after_a_partial_refund_takes_back_the_rest_of_the_tax() -> None:
    story = make_story()
    sale = story.sell(sold("Session", 20000, 1650))
    story.refund(sale, 7777)
    story.dispute_is_lost(story.dispute(sale, 0))
    story.post()
    assert story.trial_balance(tax="Tax")["Tax"] == 0


def test_a_bank_that_takes_more_than_the_sale_was_makes_a_larger_loss() -> None:
    story = make_story()
    sale = story.sell(sold("Plain", 20000, has_tax=False))
    dispute = story.dispute(sale, 0, costs=20300)
    story.dispute_is_lost(replace(dispute, amount_minor=20300))
    story.post()
    assert story.totals()["Chargebacks (contra-income)"] == 20300
    assert story.totals()["Stripe disputes held"] == 0


def test_a_lost_foreign_dispute_keeps_the_rate_of_its_sale() -> None:
    story = make_story()
    sale = story.sell(sold("Plain", 50000, has_tax=False), currency="eur", settled=54125)
    story.dispute_is_lost(story.dispute(sale, 0, costs=54750))
    story.post()
    assert story.totals()["Chargebacks (contra-income)"] == 54125
    assert story.totals()["Currency differences"] == 625


def test_an_appeal_that_is_won_after_the_loss_was_booked_takes_the_loss_back() -> None:
    story = make_story()
    sale = story.sell(sold("Session", 20000, 1650))
    dispute = story.dispute_is_lost(story.dispute(sale, 1500))
    story.post()
    story.today += timedelta(days=30)
    lost_on = dispute.closed_on
    won = replace(story.dispute_is_won(dispute), is_loss_booked=True, closed_on=lost_on)
    story.plans[won.source_id] = lambda: plan_dispute(won, story.books, reference=str)
    story.post()
    totals = story.totals()
    assert (totals["Stripe disputes held"], totals["Chargebacks (contra-income)"]) == (0, 0)
    (back,) = [one for one in story.documents if isinstance(one, SalesReceipt)]
    assert back.lines[0].kind is LineKind.CHARGEBACK


def test_what_is_held_does_not_wait_for_the_payment_but_a_loss_does() -> None:
    story = make_story()
    dispute = story.dispute(story.sell(sold("Plain", 20000, has_tax=False)), 0)
    alone = replace(dispute, sale=None)
    assert [one.step for one in plan_dispute(alone, story.books, reference=str)] == ["held"]
    lost = replace(alone, status="lost", closed_on=DAY_1)
    assert stopped(lambda: plan_dispute(lost, story.books, reference=str)).reason is Reason.PAYMENT_NOT_KNOWN


def test_an_inquiry_moves_no_money() -> None:
    story = make_story()
    dispute = story.dispute(story.sell(sold("Plain", 20000, has_tax=False)), 0)
    inquiry = replace(dispute, status="warning_closed", movements=())
    assert plan_dispute(inquiry, story.books, reference=str) == []


def fee_documents(story: Story, *fees: FeePart, fee: int | None = None) -> list[MoneyDocument]:
    row = story.move("charge", 10000, tuple(fees), source="ch_1")
    row = row if fee is None else replace(row, fee_minor=fee, net_minor=row.amount_minor - fee)
    return plan_fees([row], story.books, reference=str)


def test_tax_on_a_fee_is_part_of_the_fee_unless_a_code_was_chosen_for_it() -> None:
    taxed = parts(stripe_fee=707, tax=71)
    assert role_totals(fee_documents(make_story(), *taxed))["Stripe fees"] == 778
    assert role_totals(fee_documents(make_story(fee_tax_code_id="IN"), *taxed))["Stripe fees"] == 707


def test_a_code_that_does_not_fit_the_tax_on_a_fee_stops() -> None:
    stop = stopped(lambda: fee_documents(make_story(fee_tax_code_id="IN"), *parts(stripe_fee=707, tax=140)))
    assert (stop.reason, stop.detail["charged"]) == (Reason.TAX_CODE_MISFIT, "19.80 %")
    stop = stopped(lambda: fee_documents(make_story(fee_tax_code_id="gone"), *parts(stripe_fee=707, tax=71)))
    assert stop.reason is Reason.TAX_CODE_MISFIT


def test_what_the_parts_of_a_fee_leave_unsaid_is_a_fee_all_the_same() -> None:
    assert role_totals(fee_documents(make_story(), *parts(application_fee=100), fee=350)) == {
        "Booking platform fees": 100, "Stripe fees": 250, "Stripe clearing": -350,
    }  # fmt: skip


def test_parts_of_one_fee_that_went_both_ways_are_two_documents() -> None:
    documents = fee_documents(make_story(), *parts(stripe_fee=300, application_fee=-100))
    assert [type(one) for one in documents] == [Expense, Deposit]
    assert role_totals(documents)["Stripe clearing"] == -200


def test_tips_and_discounts_follow_the_services_where_no_account_was_chosen_for_them() -> None:
    story = make_story()
    story.books = without(story.books, AccountRole.DISCOUNTS, AccountRole.TIPS)
    sale = story.sell(
        sold("Session", 10000, 825), sold("Session", -1000, -82, kind=LineKind.DISCOUNT), fees=parts(stripe_fee=1)
    )
    story.post()
    assert story.totals()["Session income"] == -9000
    tip = replace(sale.facts, lines=(sold("Tip", 9743, kind=LineKind.TIP),))
    stop = stopped(lambda: plan_sale(tip, RULES, story.books, reference="TO-1"))
    assert (stop.reason, stop.detail["service"]) == (Reason.SERVICE_NOT_MAPPED, "Tip")


def test_a_payout_returns_only_after_it_was_booked() -> None:
    story = make_story()
    payout = story.pay_out(30000)
    back = story.move("payout_reversal", 30000, source=payout.source_id, type_="payout_failure")
    failed = replace(payout, status="failed", returned=back)
    assert plan_payout(failed, story.books, reference=str) == []
    steps = [one.step for one in plan_payout(replace(failed, is_booked=True), story.books, reference=str)]
    assert steps == ["payout", "returned"]
