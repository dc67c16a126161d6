"""What is odd and honest all the same: events that nobody can read, and sales whose amounts do not come out even."""

import json
from typing import Any

from tests.histories import RATES, TAX
from tests.simulation.catalogue import hit
from tests.simulation.scene import Scene

ODDITIES: dict[str, dict[str, Any]] = {
    "id is a number": {"id": 5, "object": "charge"},
    "id is a list": {"id": ["a"], "object": "charge"},
    "id is missing": {"object": "charge"},
    "nothing at all": {},
    "zero byte": {"id": "ch_\0", "object": "charge", "payment_intent": "pi_\0"},
    "lone surrogate": {"id": "ch_1", "object": "charge", "payment_intent": "pi_\ud800"},
    "absurd size": {"id": "ch_" + "9" * 5000, "object": "charge", "payment_intent": "pi_" + "9" * 5000},
    "absurd number": {"id": "ch_1", "object": "charge", "payment_intent": 10**40, "amount": 10**40},
}
"""Objects of events that are no objects of Stripe's (F33)."""
_INCLUSIVE = {"percentage": TAX, "inclusive": True}
_THIRDS = [{"unit_amount": amount, "discount": amount // 3, "taxes": []} for amount in (3_333, 6_667, 10_001)]
_ODD = [{"unit_amount": 3_331, "quantity": 3, "discount": 0, "taxes": []}]
ODD_SALES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "thirds": (_THIRDS, {}),
    "inclusive": ([{**line, "taxes": [_INCLUSIVE]} for line in _THIRDS], {}),
    "fee above amount": (
        [{**_ODD[0], "unit_amount": 51, "quantity": 1}],
        {"fee_details": [{"amount": 80, "type": "stripe_fee"}]},
    ),
    "no decimals": (_ODD, {"currency": "jpy", "settled_currency": "usd", "exchange_rate": RATES["jpy"]}),
    "three decimals": (
        [{**_ODD[0], "unit_amount": 3_330}],
        {"currency": "kwd", "settled_currency": "usd", "exchange_rate": RATES["kwd"]},
    ),
}
"""Lines and options of sales that round (F25)."""


async def send_poison(scene: Scene, oddity: str) -> None:
    """Deliver an honestly signed event that nobody can read."""
    world = scene.sandbox.stripe.world
    event = {
        "id": world.new_id("evt_"), "object": "event", "type": "charge.succeeded", "created": world.now(),
        "livemode": False, "account": scene.play.business, "data": {"object": ODDITIES[oddity]},
    }  # fmt: skip
    secret = scene.theatre.settings.stripe_webhook_secrets
    url = "https://tieout.test/webhooks/stripe"
    if await world.outbox.send_raw(url, json.dumps(event).encode(), [secret]) == 200:
        hit("F33")
        hit(f"F33 {oddity}")


async def sell_oddly(scene: Scene, how: str) -> None:
    """Sell something whose amounts do not come out even (F25)."""
    history = scene.theatre.history
    lines, options = ODD_SALES[how]
    taxed, free = history.products[0], history.products[1]
    named = [{"product": taxed if line["taxes"] else free, **line} for line in lines]
    await history._pay(named, **options)
    hit("F25")
    hit(f"F25 {how}")
