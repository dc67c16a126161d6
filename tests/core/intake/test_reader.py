"""Every way in which a client can pay, through the stand-in's API: lines that add up, in at most four reads."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core.books.documents import LineKind
from core.errors import NotFoundError
from core.intake.facts import PaymentFacts
from core.intake.reader import StripeReader
from core.intake.stripe_client import make_stripe
from core.wiring import Wiring
from tests.outside import BASE, Outside
from web.sandbox.client import Business, SandboxClient


class Shop:
    """A business at Stripe, and our reader of it."""

    def __init__(self, outside: Outside, http: httpx.AsyncClient, business: Business) -> None:
        self.outside = outside
        self.client = SandboxClient(BASE, http)
        self.account = business.id
        wiring = outside.wiring
        self.reader = StripeReader(make_stripe(wiring.outgoing, wiring.settings, wiring.runtime, business.secret_key))

    async def read(self, source_id: str) -> tuple[PaymentFacts, int]:
        """Return the facts and how many reads they cost."""
        await self.client.clear_log()
        facts = await self.reader.payment(source_id)
        assert facts is not None
        return facts, len([entry for entry in await self.client.log(provider="stripe") if entry.method == "GET"])


@pytest.fixture
async def shop(wiring: Wiring) -> AsyncIterator[Shop]:
    outside = Outside(wiring)
    async with httpx.AsyncClient(transport=outside.transport, base_url=BASE) as http:
        yield Shop(outside, http, await SandboxClient(BASE, http).create_account("Anna Berg Photography"))


def line(name: str, amount: int, **fields: Any) -> dict[str, Any]:
    return {"name": name, "unit_amount": amount, **fields}


def taxed(percentage: float, *, inclusive: bool = False) -> dict[str, Any]:
    return {"percentage": percentage, "inclusive": inclusive}


FULL = [
    line("Portrait session", 30000, discount=3000, taxes=[taxed(8.25)]),
    line("Album", 9999, quantity=3, taxes=[taxed(8.25)]),
    line("Travel", 2500),
]
WAYS: dict[str, dict[str, Any]] = {
    "bare": {"amount": 43300},
    "bare with tip": {"amount": 10000, "tip": 1500},
    "bare with tax": {"amount": 43300, "tax": 3300, "description": "Portrait session #12"},
    "bare with tip and shipping": {"amount": 10000, "tip": 1500, "shipping": 700},
    "bare with a slow method": {"amount": 10000, "settles_after_s": 5},
    "own lines": {
        "amount": 40000 + 3300,
        "line_items_l3": [
            {"product_name": "Portrait", "unit_cost": 20000, "quantity": 2, "tax": {"total_tax_amount": 3300}}
        ],
    },
    "checkout, everything": {"via": "checkout", "lines": FULL, "tip": 4000, "shipping": 995},
    "checkout, tax inside": {"via": "checkout", "lines": [line("Session", 44000, taxes=[taxed(10, inclusive=True)])]},
    "checkout, both taxes": {
        "via": "checkout",
        "lines": [line("Session", 44000, discount=4001, taxes=[taxed(10, inclusive=True), taxed(2.5)])],
    },
    "checkout, many lines": {"via": "checkout", "lines": [line(f"Print {n}", 1000 + n) for n in range(30)]},
    "payment link": {"via": "payment_link", "lines": FULL},
    "invoice": {"via": "invoice", "lines": FULL},
    "invoice, tax inside": {"via": "invoice", "lines": [line("Session", 22000, taxes=[taxed(10, inclusive=True)])]},
    "invoice, many lines": {"via": "invoice", "lines": [line(f"Hour {n}", 5000, discount=n) for n in range(30)]},
    "charge alone": {"via": "charge", "amount": 12345, "description": "Transfer from the booking platform"},
    "foreign": {"amount": 50000, "currency": "eur", "settled_currency": "usd", "settled_amount": 54125, "fee": 2952},
    "yen": {"amount": 5000, "currency": "jpy", "settled_currency": "usd", "settled_amount": 3300, "fee": 130},
    "fee above the amount": {"amount": 50, "fee": 31 + 50},
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_of_paying_ends_in_lines_that_add_up(shop: Shop, way: str) -> None:
    made = await shop.client.pay(shop.account, **WAYS[way], new_customer={"name": "Bo Li", "email": "bo@x.org"})
    await shop.client.advance(seconds=20)
    source_id = made.payment_intent or made.charge
    assert source_id is not None
    facts, reads = await shop.read(source_id)
    assert sum(part.amount_minor + part.tax_minor for part in facts.lines) == facts.amount_minor
    assert reads <= 4
    assert facts.source_id == source_id
    assert facts.movement is not None
    assert facts.movement.amount_minor - facts.movement.fee_minor == facts.movement.net_minor


async def test_checkout_names_its_products_and_keeps_tax_tip_shipping_and_discount_apart(shop: Shop) -> None:
    product = await shop.client.create_product(shop.account, "Wedding day", unit_amount=120000)
    made = await shop.client.pay(
        shop.account,
        via="checkout",
        lines=[{"product": product["product"], "taxes": [taxed(8.25)], "discount": 20000}],
        tip=5000,
        shipping=900,
    )
    facts, _ = await shop.read(made.payment_intent or "")
    assert [part.kind for part in facts.lines] == [
        LineKind.SERVICE,
        LineKind.DISCOUNT,
        LineKind.SHIPPING,
        LineKind.TIP,
    ]
    assert (facts.lines[0].service.key, facts.lines[0].service.name) == (product["product"], "Wedding day")
    assert sum(part.tax_minor for part in facts.lines) == 8250
    assert {part.has_tax for part in facts.lines} == {True}


async def test_a_charge_that_belongs_to_a_payment_leads_to_that_payment(shop: Shop) -> None:
    made = await shop.client.pay(shop.account, 10000)
    assert made.charge is not None
    facts, _ = await shop.read(made.charge)
    assert facts.source_id == made.payment_intent


async def test_what_has_not_succeeded_is_no_payment_yet(shop: Shop) -> None:
    declined = await shop.client.pay(shop.account, 10000, payment_method="pm_card_chargeDeclined")
    assert await shop.reader.payment(declined.payment_intent or "") is None
    slow = await shop.client.pay(shop.account, 10000, settles_after_s=3600)
    assert await shop.reader.payment(slow.payment_intent or "") is None
    held = await shop.client.pay(shop.account, 10000, capture_method="manual")
    assert await shop.reader.payment(held.payment_intent or "") is None


@pytest.mark.parametrize("source_id", ["", "pi_", "pi_1/../../accounts", "../v1/account", "ch_1?expand[]=x", "cus_1"])
async def test_what_is_no_id_is_never_put_into_an_address(shop: Shop, source_id: str) -> None:
    with pytest.raises(NotFoundError):
        await shop.reader.payment(source_id)
    assert await shop.client.log(provider="stripe") == []


async def test_a_key_without_the_right_to_see_checkout_reads_the_payments_own_words(shop: Shop) -> None:
    made = await shop.client.pay(
        shop.account, via="checkout", lines=[line("Portrait", 10000)], description="Portrait #9"
    )
    key = await shop.client.restricted_key(
        shop.account, ["payment_intent_read", "charge_read", "customer_read", "balance_read"]
    )
    wiring = shop.outside.wiring
    reader = StripeReader(make_stripe(wiring.outgoing, wiring.settings, wiring.runtime, key))
    facts = await reader.payment(made.payment_intent or "")
    assert facts is not None
    [only] = facts.lines
    assert (only.amount_minor, only.service.key) == (10000, "text:portrait")


async def test_a_long_event_list_is_read_in_passes_and_nothing_is_left_out(shop: Shop) -> None:
    """The bound of one pass is 2,000 events of a kind; here the list says where it stopped."""
    for _ in range(3):
        await shop.client.pay(shop.account, 1000)
        await shop.client.advance(seconds=60)
    found, missing_before = await shop.reader.events(0, None, ["payment_intent.succeeded"])
    assert missing_before is None
    assert len(found) == 3
    newest = found[0]["created"]
    older, _ = await shop.reader.events(0, newest - 1, ["payment_intent.succeeded"])
    assert [event["id"] for event in older] == [event["id"] for event in found if event["created"] < newest]
