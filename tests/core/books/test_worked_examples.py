"""The worked examples of Tieout's bookkeeping rules, planned event by event: every balance to the cent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import pytest

from core.books.documents import AccountLine, Deposit, Expense, LineKind, Refund, SalesReceipt, Transfer
from core.books.ledger_lines import SALES_TAX
from core.books.opening import plan_opening
from core.books.profile import BooksProfile, BookTaxCode
from core.books.refunds import plan_refund
from core.books.roles import BookkeepingSettings, SaleStyle
from tests.core.books.story import DAY_1, Story, make_books, make_rules, parts, sold

US_CODES = (BookTaxCode("TAX", "Sales tax 8.25%", 82_500, True), BookTaxCode("NON", "Non-taxable", 0, True))
US_RULES = make_rules(
    Session=("Session income", "TAX"),
    Wedding=("Session income", "NON"),
    Album=("Product income", "TAX"),
    Coaching=("Coaching income", None),
)
AU_CODES = (
    BookTaxCode("GST", "GST on Income", 100_000, True),
    BookTaxCode("FREE", "GST Free", 0, True),
    BookTaxCode("INPUT", "GST on Expenses", 100_000, True),
)
AU_RULES = make_rules(
    Session=("Session income", "GST"), Coaching=("Coaching income", "GST"), Overseas=("Coaching income", "FREE")
)


class Example:
    """Runs steps and compares Stripe's net and the clearing account after each."""

    def __init__(self, books: BooksProfile, rules: object) -> None:
        self.story = Story(books, rules)  # type: ignore[arg-type]
        self.nets: dict[str, int] = {}
        self.clearing: dict[str, int] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[Story]:
        before = len(self.story.transactions)
        yield self.story
        self.story.post()
        self.nets[name] = sum(one.net_minor for one in self.story.transactions[before:])
        self.clearing[name] = self.story.clearing()
        # Each step on its own day: fees are booked by day, and what stands must not change.
        self.story.today += timedelta(days=1)


def example_a(style: SaleStyle) -> Example:
    run = Example(make_books("usd", codes=US_CODES, settings=BookkeepingSettings(sale_style=style)), US_RULES)
    with run.step("A1") as s:
        a1 = s.sell(sold("Session", 40000, 3300), fees=parts(stripe_fee=1286))
    with run.step("A2") as s:
        s.sell(sold("Wedding", 120000), sold("Album", 30000, 2475), fees=parts(stripe_fee=4452, application_fee=1525))
    with run.step("A3") as s:
        s.sell(
            sold("Session", 30000, 2476),
            sold("Session", -3000, -248, kind=LineKind.DISCOUNT),
            sold("Tip", 4000, kind=LineKind.TIP),
            fees=parts(stripe_fee=994),
        )
    with run.step("A4") as s:
        s.refund(a1, 10825)
    with run.step("A5") as s:
        s.pay_out(209921)
    with run.step("A6") as s:
        a6 = s.sell(sold("Session", 20000, 1650), fees=parts(stripe_fee=658))
    with run.step("A7") as s:
        a7 = s.sell(sold("Coaching", 18000, has_tax=False), fees=parts(stripe_fee=552))
    with run.step("A8") as s:
        eur = sold("Coaching", 50000, has_tax=False)
        a8 = s.sell(eur, fees=parts(stripe_fee=2952), currency="eur", settled=54125)
    with run.step("A9") as s:
        s.pay_out(89613)
    with run.step("A10") as s:
        first = s.dispute(a6, 1500)
    with run.step("A11") as s:
        second = s.dispute(a7, 1500)
    with run.step("A12") as s:
        s.pay_out(-42650)
    with run.step("A13") as s:
        s.move("fee", -1500, source=second.source_id, type_="stripe_fee")
    with run.step("A14") as s:
        s.dispute_is_lost(first)
    with run.step("A15") as s:
        s.dispute_is_won(second)
    with run.step("A16") as s:
        s.move("fee", 1500, source=second.source_id, type_="stripe_fee")
    with run.step("A17") as s:
        s.refund(a8, 50000, costs=54750)
    with run.step("A18") as s:
        s.sell(sold("Coaching", 95000, has_tax=False), fees=parts(stripe_fee=2785))
    with run.step("A19") as s:
        payout = s.pay_out(30000)
    with run.step("A20") as s:
        s.payout_fails(payout, was_booked=True)
    return run


def example_b() -> Example:
    settings = BookkeepingSettings(fee_tax_code_id="INPUT")
    run = Example(make_books("aud", bank="Business account", codes=AU_CODES, settings=settings), AU_RULES)
    with run.step("B1") as s:
        b1 = s.sell(sold("Session", 44000, has_tax=False), fees=parts(stripe_fee=707, tax=71))
    with run.step("B2") as s:
        s.sell(sold("Overseas", 27500, has_tax=False), fees=parts(stripe_fee=453, tax=45))
    with run.step("B3") as s:
        s.refund(b1, 11000)
    with run.step("B4") as s:
        s.pay_out(59224)
    with run.step("B5") as s:
        b5 = s.sell(sold("Session", 20000, 2000), fees=parts(stripe_fee=367, tax=37))
    with run.step("B6") as s:
        b6 = s.sell(sold("Coaching", 16500, has_tax=False), fees=parts(stripe_fee=283, tax=28))
    with run.step("B7") as s:
        usd = sold("Overseas", 20000, has_tax=False)
        b7 = s.sell(usd, fees=parts(stripe_fee=940, tax=94), currency="usd", settled=30400)
    with run.step("B8") as s:
        s.pay_out(67151)
    with run.step("B9") as s:
        first = s.dispute(b5, 2500)
    with run.step("B10") as s:
        second = s.dispute(b6, 2500)
    with run.step("B11") as s:
        s.dispute_is_lost(first)
    with run.step("B12") as s:
        s.dispute_is_won(second)
    with run.step("B13") as s:
        s.refund(b7, 10000, costs=15100)
    with run.step("B14") as s:
        s.sell(sold("Coaching", 50000, has_tax=False), fees=parts(stripe_fee=800, tax=80))
    return run


def numbered(letter: str, *amounts: int) -> dict[str, int]:
    return {f"{letter}{number}": amount for number, amount in enumerate(amounts, 1)}


A_NET = numbered(
    "A", 42014, 146498, 32234, -10825, -209921, 20992, 17448, 51173, -89613, -23150,
    -19500, 42650, -1500, 0, 18000, 1500, -54750, 92215, -30000, 30000,
)  # fmt: skip
A_CLEARING = numbered(
    "A", 42014, 188512, 220746, 209921, 0, 20992, 38440, 89613, 0, -23150,
    -42650, 0, -1500, -1500, 16500, 18000, -36750, 55465, 25465, 55465,
)  # fmt: skip
A_CLOSING = {
    "Checking": 256884, "Stripe clearing": 55465, "Accounts receivable": 0, "Stripe disputes held": 0,
    "Sales tax payable": -7178, "Session income": -200000, "Product income": -30000, "Coaching income": -113000,
    "Tips received": -4000, "Discounts given": 3000, "Chargebacks (contra-income)": 20000, "Stripe fees": 13679,
    "Booking platform fees": 1525, "Dispute fees": 3000, "Currency differences": 625,
}  # fmt: skip
B_NET = numbered(
    "B", 43222, 27002, -11000, -59224, 21596, 16189, 29366, -67151, -24500, -19000, 0, 16500, -15100, 49120
)
B_CLEARING = numbered("B", 43222, 70224, 59224, 0, 21596, 37785, 67151, 0, -24500, -43500, -43500, -27000, -42100, 7020)
B_CLOSING = {
    "Business account": 126375, "Stripe clearing": 7020, "Accounts receivable": 0, "Stripe disputes held": 0,
    "GST": -8690, "Session income": -50000, "Coaching income": -103155, "Chargebacks (contra-income)": 20000,
    "Stripe fees": 3550, "Dispute fees": 5000, "Currency differences": -100,
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "net", "clearing", "closing", "tax"),
    [
        pytest.param(lambda: example_a(SaleStyle.INVOICE), A_NET, A_CLEARING, A_CLOSING, "Sales tax payable", id="A"),
        pytest.param(example_b, B_NET, B_CLEARING, B_CLOSING, "GST", id="B"),
    ],
)
def test_every_step_and_the_closing_trial_balance_are_those_of_the_example(
    make: Callable[[], Example], net: dict[str, int], clearing: dict[str, int], closing: dict[str, int], tax: str
) -> None:
    run = make()
    assert run.nets == net
    assert run.clearing == clearing
    assert run.story.trial_balance(tax=tax) == closing


def test_receipts_lead_to_the_same_trial_balance_without_a_receivable() -> None:
    run = example_a(SaleStyle.RECEIPT)
    assert run.clearing == A_CLEARING
    closing = {name: amount for name, amount in A_CLOSING.items() if name != "Accounts receivable"}
    assert run.story.trial_balance(tax="Sales tax payable") == closing


def test_the_gross_charges_are_those_of_the_yearly_form() -> None:
    for run, gross in ((example_a(SaleStyle.INVOICE), 417778), (example_b(), 190400)):
        charges = [one for one in run.story.transactions if one.reporting_category == "charge"]
        assert sum(one.amount_minor for one in charges) == gross


def test_a_foreign_refund_takes_back_income_at_the_rate_of_the_sale_and_the_rest_is_a_difference() -> None:
    documents = [one for one in example_a(SaleStyle.INVOICE).story.documents if isinstance(one, Refund)]
    lines = [(line.kind, line.amount_minor, line.tax_code_id) for line in documents[-1].lines]
    assert lines == [(LineKind.SERVICE, 54125, None), (LineKind.DIFFERENCE, 625, None)]
    documents = [one for one in example_b().story.documents if isinstance(one, Refund)]
    assert [line.amount_minor for line in documents[-1].lines] == [15200, -100]


def test_a_dispute_of_a_taxed_sale_is_one_chargeback_line_with_its_tax_code() -> None:
    lost = next(one for one in example_b().story.documents if isinstance(one, Refund) and one.step == "lost")
    (line,) = lost.lines
    assert (line.kind, line.amount_minor, line.tax_minor, line.tax_code_id) == (LineKind.CHARGEBACK, 20000, 2000, "GST")
    assert lost.account.external_id == "Stripe disputes held"


def test_the_fee_of_a_dispute_carries_no_tax() -> None:
    fees = [one for one in example_b().story.documents if isinstance(one, Expense) and one.step == "fee"]
    assert [(line.amount_minor, line.tax_minor, line.tax_code_id) for one in fees for line in one.lines] == [
        (2500, 0, None),
        (2500, 0, None),
    ]


def test_a_retainer_is_a_liability_where_its_service_is_mapped_to_one() -> None:
    story = Story(make_books(), make_rules(Retainer=("Client deposits", None)))
    story.sell(sold("Retainer", 50000, has_tax=False), fees=parts(stripe_fee=1480))
    story.post()
    assert story.trial_balance(tax="tax") == {
        "Accounts receivable": 0, "Client deposits": -50000, "Stripe clearing": 48520, "Stripe fees": 1480,
    }  # fmt: skip


def test_starting_in_mid_stream_sets_clearing_to_what_stripe_held() -> None:
    story = Story(make_books(), make_rules())
    story.plans["opening"] = lambda: plan_opening(84217, "usd", DAY_1, story.books, reference=str)
    story.pay_out(60000)
    story.post()
    assert story.trial_balance(tax="tax") == {"Stripe clearing": 24217, "Opening balance": -84217, "Checking": 60000}


def test_a_negative_opening_balance_is_an_expense_the_other_way_round() -> None:
    books = make_books()
    (document,) = plan_opening(-500, "usd", DAY_1, books, reference=str)
    assert isinstance(document, Expense)
    assert plan_opening(0, "eur", DAY_1, books, reference=str) == []


def test_a_payout_that_left_before_the_first_day_is_out_of_scope() -> None:
    story = Story(make_books(), make_rules())
    story.today = DAY_1 - timedelta(days=1)
    story.pay_out(60000, days=3)
    story.post()
    assert story.documents == []


def test_at_month_end_what_is_in_transit_is_still_on_clearing() -> None:
    story = Story(make_books(), make_rules(Session=("Session income", None)))
    story.today = date(2026, 11, 30)
    story.sell(sold("Session", 55465, has_tax=False))
    story.pay_out(30000, days=2)
    story.post()
    (transfer,) = [one for one in story.documents if isinstance(one, Transfer)]
    assert transfer.date == date(2026, 12, 2)
    stripe = sum(one.net_minor for one in story.transactions)
    assert (stripe, stripe + transfer.amount_minor) == (25465, 55465)
    assert story.clearing() == stripe


def test_a_failed_refund_comes_back_as_its_exact_opposite_on_its_own_day() -> None:
    story = Story(make_books(codes=US_CODES), US_RULES)
    sale = story.sell(sold("Wedding", 120000), sold("Album", 30000, 2475))
    refund = story.refund(sale, 33333)
    story.today += timedelta(days=4)
    story.refund_fails(sale, refund)
    story.post()
    (taken,) = [one for one in story.documents if isinstance(one, Refund)]
    (back,) = [one for one in story.documents if isinstance(one, SalesReceipt)]
    assert back.lines == taken.lines
    assert back.date == taken.date + timedelta(days=4)
    story.refund(sale, 152475)
    story.post()
    assert not any(story.totals()[name] for name in ("Session income", "Product income", SALES_TAX))


def test_a_pending_refund_and_one_that_failed_at_once_book_nothing() -> None:
    story = Story(make_books(codes=US_CODES), US_RULES)
    refund = story.refund(story.sell(sold("Session", 40000, 3300)), 43300)
    del story.plans[refund.source_id]
    pending = replace(refund, status="pending", taken=None)
    assert plan_refund(pending, story.books, reference=str) == []


def lines_of(story: Story, kind: type) -> list[AccountLine]:
    return [line for one in story.documents if isinstance(one, kind) for line in one.lines]


def test_fees_that_come_back_are_a_deposit_of_their_own() -> None:
    story = Story(make_books(), make_rules(Session=("Session income", None)))
    story.sell(sold("Session", 10000, has_tax=False), fees=parts(stripe_fee=320))
    story.move("partial_capture_reversal", -2000, parts(stripe_fee=-58), source="re_1")
    story.post([name for name in story.plans if name.startswith("fees")])
    assert [line.amount_minor for line in lines_of(story, Expense)] == [320]
    assert [line.amount_minor for line in lines_of(story, Deposit)] == [58]
