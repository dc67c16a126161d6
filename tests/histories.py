"""Histories that nobody made up: a seed decides what clients, banks and Stripe do, and how its webhooks go astray.

The same seed does the same at Stripe whatever the books are, so that the books of all providers can be compared.
"""

import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from core.books.roles import FeeStyle, SaleStyle
from core.sync.worker import Worker
from tests.play import Death, Play
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.stripe.currency import convert

RATES = {"eur": 1.0825, "jpy": 0.006712, "kwd": 3.2541, "gbp": 1.27}
"""Home units for one unit of what a foreign client pays in: two, no and three decimals."""

TAX = 8.25
MOST_LINES = 3
SLOW_MONEY_S = 3 * 86_400
_GAPS_H = (1, 3, 7, 11, 26)
_FAULTS = (
    FaultKind.DROP_BEFORE_COMMIT, FaultKind.DROP_AFTER_COMMIT, FaultKind.STATUS, FaultKind.RATE_LIMIT, FaultKind.JUNK,
    FaultKind.TRUNCATE, FaultKind.HTML_500,
)  # fmt: skip


@dataclass
class Sold:
    """One payment, as far as it can still be given back, in the client's currency; ``tax`` is in that of the books."""

    payment: str
    paid: int
    currency: str
    tax: Fraction
    back: int = 0
    is_disputed: bool = False

    @property
    def left(self) -> int:
        return self.paid - self.back


@dataclass
class History:
    """One seed at play."""

    play: Play
    seed: int
    products: list[str] = field(default_factory=list)
    sold: list[Sold] = field(default_factory=list)
    refunds: list[tuple[str, Sold, int]] = field(default_factory=list)
    disputes: list[tuple[str, Sold]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)
    is_unlucky: bool = False
    """Whether calls break on the way, and the worker dies in the middle of its work."""
    tax: Fraction = Fraction(0)
    """Tax that should be owed, before each document rounds its own share."""
    roundings: int = 0
    """How many lines may have been rounded on the way."""
    styles: tuple[SaleStyle, FeeStyle] = (SaleStyle.INVOICE, FeeStyle.DAILY)

    @property
    def can_be_given_back(self) -> list[Sold]:
        return [one for one in self.sold if one.left and not one.is_disputed]

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        # Bad luck throws dice of its own, so that the same things happen to the lucky and the unlucky.
        self.fate = random.Random(self.seed)

    async def happen(self, deeds: int) -> None:
        """Let so many things happen, one after the other; the worker sees some at once, others much later."""
        moment = self.play.runtime.now()
        for _ in range(deeds):
            await self._spoil_webhooks()
            if self.is_unlucky:
                await self._break_something()
            kind = self.dice.choice(_KINDS)
            self.deeds.append(kind.__name__)
            await kind(self)
            moment += timedelta(hours=self.dice.choice(_GAPS_H))
            await self._work(self.dice.random())
            await self._go_on_to(moment)

    async def end(self) -> None:
        """Let Stripe deliver honestly again, and everything that is still on its way arrive."""
        await self.play.stripe.set_knobs()
        await self.play.stripe.clear_faults()
        await self.play.pass_time(hours=125, stride_hours=25)

    async def _spoil_webhooks(self) -> None:
        knobs: dict[str, Any] = self.dice.choice(
            (
                {},
                {},
                {"shuffle": True, "shuffle_window_s": 7200.0},
                {"duplicates": 2},
                {"twin": True},
                {"drop": self.dice.choice(("charge", "refund", "dispute", "payout", "payment_intent|checkout", "."))},
            )
        )
        await self.play.stripe.set_knobs(**knobs)

    async def _break_something(self) -> None:
        """Let some of the next calls break, on either side of the work; or let the worker die on one of them."""
        provider = self.fate.choice(("stripe", self.play.kind, self.play.kind))
        rule = FaultRule(
            kind=self.fate.choice(_FAULTS),
            provider=provider,
            method={"stripe": "GET", "quickbooks": "POST"}.get(provider, "PUT"),
            # A refresh of access whose answer is lost needs a person to sign in again: that is told elsewhere.
            path=r"^/v1/|/v3/company/|/api\.xro/",
            skip=self.fate.randint(0, 3),
            count=self.fate.randint(1, 2),
            status=self.fate.choice((500, 503)),
            after_commit=self.fate.random() < 0.5,
        )
        await self.play.stripe.add_fault(rule)
        if self.fate.random() < 0.4:
            await self._die(calls=self.fate.randint(0, 6), after=self.fate.random() < 0.5)

    async def _die(self, *, calls: int, after: bool) -> None:
        """Let the worker work until it dies, and another one take over once the lease of the dead one is over."""
        self.play.outside.dies_in, self.play.outside.after = calls, after
        with contextlib.suppress(Death):
            await self.play.worker.step()
        self.play.outside.dies_in = None
        self.play.worker = Worker(self.play.wiring)
        self.play.runtime.forward(seconds=120)

    async def _work(self, chance: float) -> None:
        if chance < 0.3:
            await self.play.sandbox.flush()
        elif chance < 0.6:
            await self.play.sandbox.flush()
            await self.play.worker.step()
        elif chance < 0.9:
            self.play.runtime.forward(seconds=90)
            await self.play.quiet()

    async def _go_on_to(self, moment: datetime) -> None:
        """Make it this late, unless slow books have made it later."""
        late = (moment - self.play.runtime.now()).total_seconds()
        self.play.runtime.forward(seconds=max(late, 0))

    # -- What may happen. What cannot happen just now is passed over.

    async def sell(self) -> None:
        lines = [self._line() for _ in range(self.dice.choice((1, 1, 2, 3)))]
        tip = self.dice.choice((0, 0, 0, self.dice.randint(100, 5000)))
        await self._pay(lines, tip=tip, fee_details=self.dice.choice((None, self._fees())))

    async def sell_abroad(self) -> None:
        currency = self.dice.choice(sorted(RATES))
        lines = [self._line(unit=10 if currency == "kwd" else 1) for _ in range(self.dice.choice((1, 2)))]
        await self._pay(lines, currency=currency, settled_currency=self.play.currency, exchange_rate=RATES[currency])

    async def sell_slowly(self) -> None:
        await self._pay([self._line()], settles_after_s=float(SLOW_MONEY_S), is_slow=True)

    async def refund(self) -> None:
        found = self.can_be_given_back
        if not found:
            return
        sold = self.dice.choice(found)
        unit = 10 if sold.currency == "kwd" else 1
        part = self.dice.choice((sold.left, max(self.dice.randint(1, sold.left) // unit * unit, unit)))
        options: dict[str, Any] = {"refund_application_fee": self.dice.choice((0, 0, 25))}
        options["fee"] = self.dice.choice((0, 0, 35))
        if sold.currency != self.play.currency:
            rate = RATES[sold.currency] * self.dice.choice((0.97, 1.0, 1.04))
            cost = convert(part, sold.currency, self.play.currency, rate)
            options |= {"exchange_rate": rate, "settled_amount": max(cost, 1)}
        made = await self.play.stripe.refund(self.play.business, sold.payment, part, **options)
        sold.back += part
        self._tax(sold, -part)
        self.refunds.append((made["id"], sold, part))

    async def fail_refund(self) -> None:
        if not self.refunds:
            return
        position = self.dice.randrange(len(self.refunds))
        if self.refunds[position][1].is_disputed:
            return
        refund, sold, part = self.refunds.pop(position)
        await self.play.stripe.fail_refund(self.play.business, refund)
        sold.back -= part
        self._tax(sold, part)

    async def dispute(self) -> None:
        found = self.can_be_given_back
        if not found:
            return
        sold = self.dice.choice(found)
        # A bank may take back the whole, although a part was given back before.
        amount = self.dice.choice((sold.left, sold.left, sold.paid))
        made = await self.play.stripe.dispute(self.play.business, sold.payment, amount=amount, fee=1500)
        sold.is_disputed = True
        self.disputes.append((made["id"], sold))

    async def ask_about(self) -> None:
        """A bank only asks: no money moves."""
        found = self.can_be_given_back
        if found:
            made = await self.play.stripe.dispute(
                self.play.business, self.dice.choice(found).payment, inquiry=True, fee=0
            )
            await self.play.stripe.close_dispute(self.play.business, made["id"], "warning_closed")

    async def answer(self) -> None:
        if self.disputes:
            dispute = self.dice.choice(self.disputes)[0]
            await self.play.stripe.answer_dispute(self.play.business, dispute, countered_fee=1500)

    async def close(self) -> None:
        if not self.disputes:
            return
        dispute, sold = self.disputes.pop(self.dice.randrange(len(self.disputes)))
        outcome = self.dice.choice(("won", "lost"))
        back = self.dice.choice((0, 1500)) if outcome == "won" else 0
        await self.play.stripe.close_dispute(self.play.business, dispute, outcome, fee_returned=back)
        sold.is_disputed = outcome == "lost"
        if sold.is_disputed:
            self._tax(sold, -sold.left)

    async def pay_out(self) -> None:
        held = await self.play.stripe_balance()
        unpaid = [row for row in (await self.play.stripe.ledger(self.play.business)).rows if not row["payout"]]
        is_manual = held > 2000 and self.dice.random() < 0.25
        if not is_manual and sum(row["net"] for row in unpaid if row["currency"] == self.play.currency) == 0:
            return
        amount = self.dice.randint(1000, held - 500) if is_manual else None
        until = self.dice.choice(("pending", "in_transit", "paid", "paid"))
        made = await self.play.stripe.payout(
            self.play.business, automatic=not is_manual, amount=amount, include_pending=True,
            arrival_days=self.dice.choice((0, 1, 2)), until=until,
        )  # fmt: skip
        self.payouts.append({"id": made["id"], "status": until})

    async def move_payout(self) -> None:
        moves = {"pending": ("advance", "pay", "cancel", "fail"), "in_transit": ("pay", "fail"), "paid": ("fail",)}
        found = [one for one in self.payouts if one["status"] in moves]
        if found:
            payout = self.dice.choice(found)
            step = self.dice.choice(moves[payout["status"]])
            await self.play.stripe.move_payout(self.play.business, payout["id"], step)
            payout["status"] = {"advance": "in_transit", "pay": "paid"}.get(step, "over")

    async def charge_of_stripes_own(self) -> None:
        await self.play.stripe.add_row(
            self.play.business, "stripe_fee", -self.dice.randint(50, 900), description="Radar for fraud teams"
        )

    async def hold_back(self) -> None:
        amount = self.dice.randint(100, 4000)
        await self.play.stripe.add_row(self.play.business, "reserve_hold", -amount)
        if self.dice.random() < 0.5:
            await self.play.stripe.add_row(self.play.business, "reserve_release", amount)

    async def _pay(self, lines: list[dict[str, Any]], *, is_slow: bool = False, **options: Any) -> None:
        number = len(self.sold) + self.dice.randint(0, 3)
        client = {"name": f"Client {number % 7}", "email": f"client{number % 7}@example.com"}
        wish = {name: value for name, value in options.items() if value is not None}
        currency = str(wish.get("currency", self.play.currency))
        made = await self.play.stripe.pay(
            self.play.business, via="checkout", lines=lines, new_customer=client, bt_delay_s=2.0, **wish
        )
        # Stripe has made the balance transaction long before anybody could give the money back.
        self.play.runtime.forward(seconds=3)
        await self.play.sandbox.flush()
        session = await self.play.stripe.stripe_object(self.play.business, str(made.checkout_session))
        paid, tax = session["amount_total"], session["total_details"]["amount_tax"]
        settled = convert(paid, currency, self.play.currency, RATES.get(currency, 1.0))
        sold = Sold(str(made.payment_intent), paid, currency, Fraction(tax * settled, paid))
        self._tax(sold, paid)
        if not is_slow:
            # Nobody can give back what has not arrived yet.
            self.sold.append(sold)

    def _tax(self, sold: Sold, moved: int) -> None:
        self.tax += sold.tax * Fraction(moved, sold.paid)
        is_exact = moved == sold.paid and sold.currency == self.play.currency
        self.roundings += 0 if is_exact or not sold.tax else MOST_LINES

    def _line(self, unit: int = 1) -> dict[str, Any]:
        amount = self.dice.randint(900, 250_000) // unit * unit
        discount = self.dice.choice((0, 0, amount // 10 // unit * unit))
        is_taxed = self.dice.random() < 0.5 and unit == 1
        taxes = [{"percentage": TAX, "inclusive": self.dice.random() < 0.3}] if is_taxed else []
        product = self.products[0] if is_taxed else self.dice.choice(self.products[1:])
        return {"product": product, "unit_amount": amount, "discount": discount, "taxes": taxes}

    def _fees(self) -> list[dict[str, Any]]:
        parts = (("stripe_fee", 300), ("application_fee", 60), ("payment_method_passthrough_fee", 11))
        return [{"amount": self.dice.randint(5, most), "type": kind} for kind, most in parts]


_KINDS: tuple[Callable[[History], Awaitable[None]], ...] = (
    *[History.sell] * 5, *[History.sell_abroad] * 3, History.sell_slowly, *[History.refund] * 4, History.fail_refund,
    *[History.dispute] * 2, History.ask_about, History.answer, *[History.close] * 2, *[History.pay_out] * 3,
    *[History.move_payout] * 2, History.charge_of_stripes_own, History.hold_back,
)  # fmt: skip


async def open_history(play: Play, seed: int, *, taxed: str, free: str) -> History:
    """Make the products of a history and map them: the first one is taxed, the others are not."""
    history = History(play, seed)
    for name, account, tax in (
        ("Portrait session", "Session income", taxed),
        ("Wedding", "Session income", free),
        ("Coaching", "Coaching income", free),
    ):
        history.products.append(await play.product(name, account, tax=tax))
    return history
