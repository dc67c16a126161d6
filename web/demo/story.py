"""Four weeks of a studio at Stripe: what clients pay, what is given back, what a bank disputes, what Stripe pays out.

It is played on the stand-in's own clock, which begins in the past and is led to the present, so that balance
transactions, payouts and disputes have the days and the order that they have at Stripe.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from web.demo import cast
from web.sandbox.client import Payment, SandboxClient
from web.sandbox.stripe.inputs import LineInput

HISTORY_DAYS = 24
"""How long before today the studio's first payment is."""

POSTED_DAYS = 21
"""How long before today the posting begins: what Stripe holds from the days before is the opening balance."""

_UNMAPPED = next(service for service in cast.SERVICES if service.account is None)
_MAPPED = tuple(service for service in cast.SERVICES if service.account is not None)
_WEIGHTS = (3, 3, 3, 3, 4, 5, 2, 2, 3)
_PAYMENTS_A_DAY = (0, 1, 1, 2)

Act = Callable[[], Awaitable[object]]


class Story:
    """The studio at Stripe: its account, what it sells, who has paid so far."""

    def __init__(self, stripe: SandboxClient) -> None:
        self.stripe = stripe
        self.account = ""
        self.products: dict[str, str] = {}
        self._clients: dict[str, str] = {}
        self._dice = random.Random(7)  # noqa: S311 - the same month for every visitor

    async def open(self) -> None:
        """Begin the business and what it sells. Stripe pays out every night."""
        self.account = (await self.stripe.create_account(cast.BUSINESS, daily_payouts=True)).id
        for service in cast.SERVICES:
            product = await self.stripe.create_product(self.account, service.name, unit_amount=service.price)
            self.products[service.name] = product["product"]

    async def play(self, now: datetime) -> None:
        """Let the weeks until ``now`` happen, everything at its own moment; nobody hears of it yet."""
        await self.stripe.set_knobs(drop=".")
        for moment, act in sorted(self._acts(now), key=lambda due: due[0]):
            await self._go_to(moment)
            await act()
        await self._go_to(now)
        await self.stripe.set_knobs()

    async def pay_once(self) -> None:
        """Let some client pay for something now."""
        service = self._dice.choices(cast.SERVICES, weights=(*_WEIGHTS, 1))[0]
        await self._pay(service, self._dice.choice((*cast.CLIENTS, cast.INACTIVE_CLIENT)))

    async def _go_to(self, moment: datetime) -> None:
        clock = await self.stripe.clock()
        ahead = moment.timestamp() - datetime.fromisoformat(clock["iso"]).timestamp()
        await self.stripe.advance(seconds=max(ahead, 0.0))

    def _acts(self, now: datetime) -> list[tuple[datetime, Act]]:
        return [*self._ordinary(now), *self._trouble(now), *self._returns(now), *self._chargebacks(now)]

    def _ordinary(self, now: datetime) -> list[tuple[datetime, Act]]:
        """Clients who pay and are happy."""
        acts: list[tuple[datetime, Act]] = []
        for day in range(HISTORY_DAYS, 0, -1):
            for _ in range(self._dice.choice(_PAYMENTS_A_DAY)):
                service = self._dice.choices(_MAPPED, weights=_WEIGHTS)[0]
                client = self._dice.choice(cast.CLIENTS)
                acts.append((_moment(now, day, self._dice.randrange(600)), self._paying(service, client)))
        # Stripe still holds the first one when the posting begins.
        held = self._paying(cast.SERVICES[0], "Keiko Tanaka")
        return [*acts, (_moment(now, POSTED_DAYS + 1, 470), held)]

    def _trouble(self, now: datetime) -> list[tuple[datetime, Act]]:
        """What needs the visitor: a service without an account, a client who is archived in the books.

        Both are so young that no payout holds them yet.
        """
        return [
            (_moment(now, 1, 552), self._paying(_UNMAPPED, cast.CLIENTS[2])),
            (_moment(now, 1, 410), self._paying(cast.SERVICES[5], cast.INACTIVE_CLIENT)),
        ]

    def _returns(self, now: datetime) -> list[tuple[datetime, Act]]:
        """One sale given back in whole, one in part, and what Stripe itself charges."""
        whole, part = _Later(), _Later()
        return [
            (_moment(now, 13, 90), self._paying(cast.SERVICES[5], "Grace Kim", keep=whole)),
            (_moment(now, 8, 30), lambda: self.stripe.refund(self.account, whole.payment)),
            (_moment(now, 11, 240), self._paying(cast.SERVICES[6], "Marcus Bell", keep=part)),
            (_moment(now, 5, 330), lambda: self.stripe.refund(self.account, part.payment, 14500)),
            (_moment(now, 6, 5), lambda: self.stripe.add_row(
                self.account, "stripe_fee", -690, description="Radar for Fraud Teams"
            )),
        ]  # fmt: skip

    def _chargebacks(self, now: datetime) -> list[tuple[datetime, Act]]:
        """One dispute that was lost, one that is answered and still open."""
        lost, open_ = _Later(), _Later()
        return [
            (_moment(now, 18, 150), self._paying(cast.SERVICES[3], "Tomás Herrera", keep=lost)),
            (_moment(now, 15, 60), self._disputing(lost)),
            (_moment(now, 7, 20), lambda: self.stripe.close_dispute(self.account, lost.dispute, "lost")),
            (_moment(now, 12, 300), self._paying(cast.SERVICES[4], "Beatrix Vos", keep=open_)),
            (_moment(now, 4, 120), self._disputing(open_)),
        ]

    def _paying(self, service: cast.Service, client: str, *, keep: "_Later | None" = None, **options: Any) -> Act:
        async def pay() -> None:
            made = await self._pay(service, client, **options)
            if keep is not None:
                keep.payment = made.payment_intent or ""

        return pay

    def _disputing(self, about: "_Later") -> Act:
        async def dispute() -> None:
            made = await self.stripe.dispute(self.account, about.payment, reason="product_not_received")
            about.dispute = made["id"]

        return dispute

    async def _pay(self, service: cast.Service, client: str, **options: Any) -> Payment:
        if client not in self._clients:
            email = "".join(c for c in client.split(maxsplit=1)[0].casefold() if c.isascii()) + "@example.com"
            self._clients[client] = (await self.stripe.create_customer(self.account, name=client, email=email))["id"]
        line = LineInput(product=self.products[service.name])
        return await self.stripe.pay(
            self.account, via="checkout", customer=self._clients[client], lines=[line], **options
        )


@dataclass(slots=True)
class _Later:
    """Ids that are known once it has happened."""

    payment: str = ""
    dispute: str = ""


def _moment(now: datetime, days_ago: int, minute: int) -> datetime:
    """Return a moment of the studio's working day, which begins at nine."""
    midnight = now.astimezone(ZoneInfo(cast.TIME_ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days_ago) + timedelta(hours=9, minutes=minute)
