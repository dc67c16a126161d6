"""The worked examples A (sales tax on top, US) and B (GST inside the price, AU) as acts at Stripe, with their figures.

Figures in minor units; the trial balances have debits positive. Source: Tieout's bookkeeping rules, worked examples.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.play import Play

Act = Callable[["Story"], Awaitable[None]]


@dataclass
class Story:
    """One example in play: what exists at Stripe so far, by the step that made it."""

    play: Play
    products: dict[str, str] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)

    async def sell(self, step: str, *lines: dict[str, Any], **options: Any) -> None:
        """Sell through a checkout to a client of this step's own."""
        client = {"name": f"Client {step}", "email": f"{step.lower()}@example.com"}
        paid = await self.play.stripe.pay(
            self.play.business, via="checkout", lines=list(lines), new_customer=client, bt_delay_s=2.0, **options
        )
        self.made[step] = paid.payment_intent

    async def refund(self, step: str, of: str, amount: int, **options: Any) -> None:
        found = await self.play.stripe.refund(self.play.business, self.made[of], amount, **options)
        self.made[step] = found["id"]

    async def pay_out(self, step: str, **options: Any) -> None:
        """Pay out all that is unpaid; the money arrives on the day on which it leaves."""
        options = {"include_pending": True, "arrival_days": 0, "until": "paid", **options}
        found = await self.play.stripe.payout(self.play.business, **options)
        self.made[step] = found["id"]

    async def dispute(self, step: str, of: str, fee: int) -> None:
        found = await self.play.stripe.dispute(self.play.business, self.made[of], fee=fee)
        self.made[step] = found["id"]

    async def close(self, of: str, outcome: str, **options: Any) -> None:
        await self.play.stripe.close_dispute(self.play.business, self.made[of], outcome, **options)

    def line(self, product: str, amount: int, rate: float | None = None, **more: Any) -> dict[str, Any]:
        """One line of a checkout; ``rate`` in per cent, inside the price when ``inclusive``."""
        inclusive = more.pop("inclusive", False)
        tax_amount = more.pop("tax", None)
        taxes = [] if rate is None else [{"percentage": rate, "inclusive": inclusive, "amount": tax_amount}]
        return {"product": self.products[product], "unit_amount": amount, "taxes": taxes, **more}


# -- Example A

A_STRIPE_NET = {
    "A1": 42014, "A2": 146498, "A3": 32234, "A4": -10825, "A5": -209921, "A6": 20992, "A7": 17448, "A8": 51173,
    "A9": -89613, "A10": -23150, "A11": -19500, "A12": 42650, "A13": -1500, "A14": 0, "A15": 18000, "A16": 1500,
    "A17": -54750, "A18": 92215, "A19": -30000, "A20": 30000,
}  # fmt: skip
A_CLEARING = {
    "A1": 42014, "A2": 188512, "A3": 220746, "A4": 209921, "A5": 0, "A6": 20992, "A7": 38440, "A8": 89613, "A9": 0,
    "A10": -23150, "A11": -42650, "A12": 0, "A13": -1500, "A14": -1500, "A15": 16500, "A16": 18000, "A17": -36750,
    "A18": 55465, "A19": 25465, "A20": 55465,
}  # fmt: skip
A_BALANCE = {
    "Checking": 256884, "Stripe clearing": 55465, "Tax": -7178, "Session income": -200000, "Product income": -30000,
    "Coaching income": -113000, "Tips received": -4000, "Discounts given": 3000, "Chargebacks": 20000,
    "Stripe fees": 13679, "Booking platform fees": 1525, "Dispute fees": 3000, "Currency differences": 625,
}  # fmt: skip


async def open_a(play: Play, *, taxed: str, free: str | None) -> Story:
    """Make the products of example A and map them; ``taxed`` and ``free`` are names of tax codes."""
    story = Story(play)
    for name, account, tax in (
        ("Portrait session", "Session income", taxed),
        ("Wedding", "Session income", free),
        ("Album", "Product income", taxed),
        ("Coaching", "Coaching income", free),
    ):
        story.products[name] = await play.product(name, account, tax=tax)
    return story


def _a() -> dict[str, Act]:
    async def a1(s: Story) -> None:
        await s.sell("A1", s.line("Portrait session", 40000, 8.25), fee=1286)

    async def a2(s: Story) -> None:
        fees = [{"amount": 4452, "type": "stripe_fee"}, {"amount": 1525, "type": "application_fee"}]
        await s.sell("A2", s.line("Wedding", 120000), s.line("Album", 30000, 8.25), fee_details=fees)

    async def a3(s: Story) -> None:
        await s.sell("A3", s.line("Portrait session", 30000, 8.25, tax=2228, discount=3000), tip=4000, fee=994)

    async def a4(s: Story) -> None:
        await s.refund("A4", "A1", 10825)

    async def a5(s: Story) -> None:
        await s.pay_out("A5")

    async def a6(s: Story) -> None:
        await s.sell("A6", s.line("Portrait session", 20000, 8.25), fee=658)

    async def a7(s: Story) -> None:
        await s.sell("A7", s.line("Coaching", 18000), fee=552)

    async def a8(s: Story) -> None:
        await s.sell(
            "A8", s.line("Coaching", 50000), currency="eur", settled_currency="usd", settled_amount=54125,
            exchange_rate=1.0825, fee=2952,
        )  # fmt: skip

    async def a9(s: Story) -> None:
        await s.pay_out("A9")

    async def a10(s: Story) -> None:
        await s.dispute("A10", "A6", 1500)

    async def a11(s: Story) -> None:
        await s.dispute("A11", "A7", 1500)

    async def a12(s: Story) -> None:
        await s.pay_out("A12")

    async def a13(s: Story) -> None:
        await s.play.stripe.answer_dispute(s.play.business, s.made["A11"], countered_fee=1500)

    async def a14(s: Story) -> None:
        await s.close("A10", "lost")

    async def a15(s: Story) -> None:
        await s.close("A11", "won")

    async def a16(s: Story) -> None:
        description = f"Dispute countered fee returned ({s.made['A11']})"
        await s.play.stripe.add_row(s.play.business, "stripe_fee", 1500, description=description)

    async def a17(s: Story) -> None:
        await s.refund("A17", "A8", 50000, settled_amount=54750, exchange_rate=1.095)

    async def a18(s: Story) -> None:
        await s.sell("A18", s.line("Coaching", 95000), fee=2785)

    async def a19(s: Story) -> None:
        # Stripe pays out whole balance transactions by itself; a round sum like this one only by hand.
        await s.pay_out("A19", automatic=False, amount=30000)

    async def a20(s: Story) -> None:
        await s.play.stripe.move_payout(s.play.business, s.made["A19"], "fail")

    acts = (a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20)
    return {act.__name__.upper(): act for act in acts}


A_ACTS = _a()


# -- Example B

B_STRIPE_NET = {
    "B1": 43222, "B2": 27002, "B3": -11000, "B4": -59224, "B5": 21596, "B6": 16189, "B7": 29366, "B8": -67151,
    "B9": -24500, "B10": -19000, "B11": 0, "B12": 16500, "B13": -15100, "B14": 49120,
}  # fmt: skip
B_CLEARING = {
    "B1": 43222, "B2": 70224, "B3": 59224, "B4": 0, "B5": 21596, "B6": 37785, "B7": 67151, "B8": 0, "B9": -24500,
    "B10": -43500, "B11": -43500, "B12": -27000, "B13": -42100, "B14": 7020,
}  # fmt: skip
B_BALANCE = {
    "Checking": 126375, "Stripe clearing": 7020, "Tax": -8690, "Session income": -50000, "Coaching income": -103155,
    "Chargebacks": 20000, "Stripe fees": 3550, "Dispute fees": 5000, "Currency differences": -100,
}  # fmt: skip


async def open_b(play: Play, *, taxed: str, free: str) -> Story:
    """Make the products of example B and map them; ``taxed`` and ``free`` are names of tax codes."""
    story = Story(play)
    for name, account, tax in (
        ("Portrait session", "Session income", taxed),
        ("Overseas coaching", "Coaching income", free),
        ("Coaching", "Coaching income", taxed),
    ):
        story.products[name] = await play.product(name, account, tax=tax)
    return story


def _b() -> dict[str, Act]:
    def fee(amount: int, gst: int) -> list[dict[str, Any]]:
        return [{"amount": amount - gst, "type": "stripe_fee"}, {"amount": gst, "type": "tax"}]

    def inside(s: Story, product: str, amount: int) -> dict[str, Any]:
        return s.line(product, amount, 10.0, inclusive=True)

    async def b1(s: Story) -> None:
        await s.sell("B1", inside(s, "Portrait session", 44000), fee_details=fee(778, 71))

    async def b2(s: Story) -> None:
        await s.sell("B2", s.line("Overseas coaching", 27500), fee_details=fee(498, 45))

    async def b3(s: Story) -> None:
        await s.refund("B3", "B1", 11000)

    async def b4(s: Story) -> None:
        await s.pay_out("B4")

    async def b5(s: Story) -> None:
        await s.sell("B5", inside(s, "Portrait session", 22000), fee_details=fee(404, 37))

    async def b6(s: Story) -> None:
        await s.sell("B6", inside(s, "Coaching", 16500), fee_details=fee(311, 28))

    async def b7(s: Story) -> None:
        await s.sell(
            "B7", s.line("Overseas coaching", 20000), currency="usd", settled_currency="aud", settled_amount=30400,
            exchange_rate=1.52, fee_details=fee(1034, 94),
        )  # fmt: skip

    async def b8(s: Story) -> None:
        await s.pay_out("B8")

    async def b9(s: Story) -> None:
        await s.dispute("B9", "B5", 2500)

    async def b10(s: Story) -> None:
        await s.dispute("B10", "B6", 2500)

    async def b11(s: Story) -> None:
        await s.close("B9", "lost")

    async def b12(s: Story) -> None:
        await s.close("B10", "won")

    async def b13(s: Story) -> None:
        await s.refund("B13", "B7", 10000, settled_amount=15100, exchange_rate=1.51)

    async def b14(s: Story) -> None:
        await s.sell("B14", inside(s, "Coaching", 50000), fee_details=fee(880, 80))

    acts = (b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14)
    return {act.__name__.upper(): act for act in acts}


B_ACTS = _b()
