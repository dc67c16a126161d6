"""What holds for every history of a business, whatever happened and in whatever order it is booked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.books.documents import CreditNote, Invoice, LineKind, Refund, SaleLine, SalesReceipt, Why
from core.books.effects import clearing_effects, entries
from core.books.facts import DisputeFacts, FeePart, GivenBack, OriginalSale, PayoutFacts, RefundFacts
from core.books.fees import MAX_LINES, plan_fees
from core.books.ledger_lines import RECEIVABLE, SALES_TAX
from core.books.profile import BookTaxCode
from core.books.roles import BookkeepingSettings, LostDisputeTax, SaleStyle
from core.books.shares import lines_given_back
from tests.core.books.story import ANNA, CLEARING, DAY_1, Sale, Story, make_books, make_rules, parts, sold

CODES = (BookTaxCode("TAX", "Automatic", None, True), BookTaxCode("INPUT", "Input tax", None, True))
RULES = make_rules(
    Session=("Session income", "TAX"), Album=("Product income", "TAX"), Coaching=("Coaching income", None)
)
# What one unit of the client's money brings in cents, roughly: yen have no decimals, dinars have three.
RATES = {"eur": 1.08, "gbp": 1.27, "jpy": 0.67, "kwd": 0.325, "usd": 1.0}


@dataclass
class Told:
    """A random history, and what a person would expect of it."""

    story: Story
    payouts: list[tuple[PayoutFacts, list[int]]] = field(default_factory=list)
    open_disputes: int = 0


class Teller:
    """Makes histories from a seed: sales in five currencies, refunds, disputes, fees, reserves, payouts."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.settings = BookkeepingSettings(
            sale_style=rng.choice(list(SaleStyle)),
            lost_dispute_tax=rng.choice(list(LostDisputeTax)),
            fee_tax_code_id=rng.choice((None, "INPUT")),
        )
        self.story = Story(make_books(codes=CODES, settings=self.settings), RULES)
        self.told = Told(self.story)
        self.sales: list[Sale] = []
        self.refunds: list[tuple[Sale, RefundFacts]] = []
        self.disputes: list[DisputeFacts] = []
        self.booked_payouts: list[PayoutFacts] = []
        self.paid_out = 0

    def tell(self, payouts: int) -> Told:
        for _ in range(payouts):
            for _ in range(self.rng.randint(1, 4)):
                self.happen()
            self.pay_out()
        return self.told

    def happen(self) -> None:
        self.story.today += timedelta(days=self.rng.randint(0, 2))
        acts: list[Callable[[], None]] = [self.sell, self.sell, self.sell, self.refund, self.refund_fails]
        acts += [self.dispute, self.dispute_ends, self.charge, self.payout_fails]
        self.rng.choice(acts)()

    def cost(self, amount: int, currency: str) -> int:
        return max(1, round(amount * RATES[currency] * self.rng.uniform(0.95, 1.05)))

    def sell(self) -> None:
        rng = self.rng
        currency = rng.choice(("usd", "usd", "usd", "eur", "gbp", "jpy", "kwd"))
        lines = []
        for name in rng.sample(("Session", "Album", "Coaching"), rng.randint(1, 3)):
            net = rng.randint(50, 90_000)
            tax = round(net * 0.0825) if name != "Coaching" and rng.random() < 0.8 else 0
            lines.append(sold(name, net, tax))
            if rng.random() < 0.2:
                lines.append(sold(name, -(net // 7), -(tax // 7), kind=LineKind.DISCOUNT))
        if rng.random() < 0.3:
            lines.append(sold("Tip", rng.randint(1, 5_000), kind=LineKind.TIP))
        amount = sum(line.amount_minor + line.tax_minor for line in lines)
        settled = amount if currency == "usd" else self.cost(amount, currency)
        self.sales.append(self.story.sell(*lines, fees=self.fees(settled), currency=currency, settled=settled))

    def fees(self, amount: int) -> tuple[FeePart, ...]:
        fee = amount * 29 // 1000 + 30
        found = {"stripe_fee": fee}
        if self.rng.random() < 0.3:
            found["tax"] = fee // 10
        if self.rng.random() < 0.3:
            found["application_fee"] = amount // 100
        return parts(**found)

    def refund(self) -> None:
        able = [sale for sale in self.sales if sale.left_minor > 0]
        if able:
            sale = self.rng.choice(able)
            amount = sale.left_minor if self.rng.random() < 0.4 else self.rng.randint(1, sale.left_minor)
            currency = sale.facts.currency
            costs = amount if currency == "usd" else self.cost(amount, currency)
            self.refunds.append((sale, self.story.refund(sale, amount, costs=costs)))

    def refund_fails(self) -> None:
        if self.refunds:
            sale, refund = self.refunds.pop(self.rng.randrange(len(self.refunds)))
            assert refund.taken is not None
            home = sale.facts.currency == "usd"
            brings = -refund.taken.amount_minor if home else self.cost(refund.amount_minor, sale.facts.currency)
            self.story.refund_fails(sale, refund, brings=brings)

    def dispute(self) -> None:
        able = [sale for sale in self.sales if sale.left_minor > 0]
        if able:
            sale = self.rng.choice(able)
            self.sales.remove(sale)
            self.refunds = [(of, refund) for of, refund in self.refunds if of is not sale]
            currency = sale.facts.currency
            costs = sale.left_minor if currency == "usd" else self.cost(sale.left_minor, currency)
            self.disputes.append(self.story.dispute(sale, self.rng.choice((0, 1500)), costs=costs))
            self.told.open_disputes += costs

    def dispute_ends(self) -> None:
        if self.disputes:
            dispute = self.disputes.pop()
            self.told.open_disputes += dispute.movements[0].amount_minor
            if self.rng.random() < 0.5:
                self.story.dispute_is_lost(dispute)
            else:
                self.story.dispute_is_won(dispute, fee_returned=self.rng.choice((0, 1500)))

    def charge(self) -> None:
        amount = self.rng.randint(-4_000, 1_000)
        if amount:
            self.story.move(self.rng.choice(("fee", "tax", "risk_reserved_funds")), amount)

    def payout_fails(self) -> None:
        if self.booked_payouts:
            self.story.payout_fails(self.booked_payouts.pop(), was_booked=True)

    def pay_out(self) -> None:
        waiting = self.story.transactions[self.paid_out :]
        amount = sum(one.net_minor for one in waiting)
        names = list(range(self.paid_out, len(self.story.transactions)))
        if not amount:
            return
        payout = self.story.pay_out(amount, days=self.rng.randint(0, 3))
        self.paid_out = len(self.story.transactions)
        self.told.payouts.append((payout, [*names, self.paid_out - 1]))
        if self.rng.random() < 0.2:
            self.booked_payouts.append(payout)


def by_transaction(story: Story) -> dict[str, int]:
    """What reaches the clearing account for each balance transaction; a sale's money belongs to its charge."""
    charges = {one.source_id: one.stripe_id for one in story.transactions if one.reporting_category == "charge"}
    found: dict[str, int] = {}
    for (source, _), document in story.posted.items():
        for effect in clearing_effects(document, CLEARING):
            name = effect.balance_transaction_id or charges[f"ch{source[2:]}"]
            found[name] = found.get(name, 0) + effect.amount_minor
    return found


seeds = st.integers(0, 2**40)


@given(seeds)
@settings(max_examples=120, deadline=None)
def test_every_balance_transaction_is_booked_with_its_net_in_any_order_and_again(seed: int) -> None:
    story = Teller(seed).tell(6).story
    names = list(story.plans)
    Random(seed).shuffle(names)
    story.post(names)
    before = story.totals()
    Random(seed + 1).shuffle(names)
    story.post(names)
    assert story.totals() == before
    assert by_transaction(story) == {one.stripe_id: one.net_minor for one in story.transactions if one.net_minor} | {
        name: 0 for name, amount in by_transaction(story).items() if not amount
    }
    for document in story.documents:
        assert sum(entry.amount_minor for entry in entries(document)) == 0


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_at_any_day_clearing_is_what_stripe_holds_and_what_is_in_transit(seed: int) -> None:
    told = Teller(seed).tell(6)
    story = told.story
    story.post()
    last = story.today + timedelta(days=5)
    day = DAY_1
    while day <= last:
        clearing = sum(
            effect.amount_minor
            for document in story.documents
            if document.date <= day
            for effect in clearing_effects(document, CLEARING)
        )
        stripe = sum(one.net_minor for one in story.transactions if one.book_date <= day)
        transit = sum(
            payout.amount_minor
            for payout, _ in told.payouts
            if payout.left is not None and payout.left.book_date <= day < payout.arrival_date
        )
        assert clearing == stripe + transit, day
        day += timedelta(days=1)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_held_is_what_is_disputed_and_tax_moves_only_with_its_lines(seed: int) -> None:
    told = Teller(seed).tell(6)
    told.story.post()
    totals = told.story.totals()
    assert totals.get("Stripe disputes held", 0) == told.open_disputes
    assert totals.get(RECEIVABLE, 0) == 0
    tax = 0
    for document in told.story.documents:
        match document:
            case Invoice() | SalesReceipt():
                tax -= document.tax_minor
            case Refund() | CreditNote():
                tax += document.tax_minor
    on_fees = sum(
        entry.amount_minor
        for document in told.story.documents
        if document.step.startswith("fee")
        for entry in entries(document)
        if entry.account_id == SALES_TAX
    )
    assert totals.get(SALES_TAX, 0) == tax + on_fees
    gross = sum(one.amount_minor for one in told.story.transactions if one.reporting_category == "charge")
    sales = [one for (source, _), one in told.story.posted.items() if source.startswith("pi_")]
    assert sum(one.total_minor for one in sales if isinstance(one, Invoice | SalesReceipt)) == gross


def test_ten_thousand_payouts_tie_to_the_cent() -> None:
    """Each automatic payout and all that is in it leave nothing on clearing once it has arrived."""
    tied = currencies = 0
    for seed in range(100):
        teller = Teller(seed)
        told = teller.tell(110)
        told.story.post()
        booked = by_transaction(told.story)
        for payout, positions in told.payouts:
            rows = [told.story.transactions[position] for position in positions]
            assert sum(booked.get(row.stripe_id, 0) for row in rows) == 0, (seed, payout.source_id)
            tied += 1
        currencies += len({sale.facts.currency for sale in teller.sales})
    assert tied >= 10_000
    assert currencies > 400


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_giving_everything_back_leaves_no_income_and_no_tax(seed: int) -> None:
    """Every sale is refunded in parts, at other rates than it was sold at: only differences and fees are left."""
    teller = Teller(seed)
    for _ in range(4):
        teller.sell()
    for _ in range(8):
        teller.refund()
        if teller.rng.random() < 0.3:
            teller.refund_fails()
    for sale in teller.sales:
        if sale.left_minor:
            teller.story.refund(sale, sale.left_minor, costs=teller.cost(sale.left_minor, sale.facts.currency))
    teller.story.post([name for name in teller.story.plans if not name.startswith("fees")])
    totals = teller.story.totals()
    own = ("Session income", "Product income", "Coaching income", "Tips received", "Discounts given", RECEIVABLE)
    assert not any(totals.get(name, 0) for name in (*own, SALES_TAX))
    assert totals[CLEARING] == -totals.get("Currency differences", 0)


def line(net: int, tax: int) -> SaleLine:
    why = Why("line.amount", "1", "rule")
    return SaleLine(LineKind.SERVICE, "s", "S", "S", net, tax, "4000", "Income", "TAX", "Tax", None, why)


@st.composite
def sales_given_back(draw: st.DrawFn) -> tuple[OriginalSale, list[int]]:
    amounts = draw(st.lists(st.tuples(st.integers(1, 50_000), st.integers(0, 9_000)), min_size=1, max_size=5))
    lines = [line(net, min(tax, net)) for net, tax in amounts]
    if draw(st.booleans()):
        first = lines[0]
        lines.append(line(-(first.amount_minor // 3), -(first.tax_minor // 3)))
    total = sum(one.amount_minor + one.tax_minor for one in lines)
    paid = total if draw(st.booleans()) else draw(st.integers(1, 10**7))
    cuts = sorted(draw(st.sets(st.integers(1, max(paid - 1, 1)), max_size=6)) if paid > 1 else set())
    steps = [after - before for before, after in zip([0, *cuts], [*cuts, paid], strict=True)]
    return OriginalSale("pi_1", ANNA, tuple(lines), total, paid, "eur"), [step for step in steps if step]


@given(sales_given_back(), st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_parts_of_a_sale_given_back_are_never_negative_and_leave_nothing(
    case: tuple[OriginalSale, list[int]], rng: Random
) -> None:
    sale, steps = case
    history: list[GivenBack] = []
    given = {"net": 0, "tax": 0}
    for number, amount in enumerate(steps):
        if rng.random() < 0.3:
            # The same refund failed once before it went through.
            history += [GivenBack(f"failed_{number}", amount), GivenBack(f"failed_{number}", -amount)]
        shares = lines_given_back(sale, history, amount)
        history.append(GivenBack(f"re_{number}", amount))
        for share in shares:
            signs = {value > 0 for value in (share.amount_minor, share.tax_minor) if value}
            assert len(signs) == 1
        given["net"] += sum(share.amount_minor for share in shares)
        given["tax"] += sum(share.tax_minor for share in shares)
    assert given["net"] == sum(one.amount_minor for one in sale.lines)
    assert given["tax"] == sum(one.tax_minor for one in sale.lines)


def test_many_fees_of_one_day_make_several_documents() -> None:
    story = Story(make_books(), make_rules(Session=("Session income", None)))
    for _ in range(MAX_LINES + 1):
        story.sell(sold("Session", 1000, has_tax=False), fees=parts(stripe_fee=59))
    documents = plan_fees(story.transactions, story.books, reference=str)
    assert [(one.step, one.total_minor) for one in documents] == [("fees", 59 * MAX_LINES), ("fees:2", 59)]


@pytest.mark.parametrize("currency", ["usd", "jpy", "kwd"])
def test_a_sale_in_any_currency_settled_at_home_is_refunded_to_nothing(currency: str) -> None:
    story = Story(make_books(codes=CODES), RULES)
    settled = None if currency == "usd" else 3_333
    sale = story.sell(sold("Session", 10_000, 825), sold("Album", 17, 1), currency=currency, settled=settled)
    for amount in (1, 999, 9_842, 1):
        story.refund(sale, amount, costs=amount if settled is None else max(amount * 3_500 // 10_843, 1))
    story.post()
    assert not any(story.totals()[name] for name in ("Session income", "Product income", SALES_TAX))
