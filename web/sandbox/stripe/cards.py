"""Stripe's published test cards: what each does when it is attached or charged."""

from web.sandbox.stripe import shapes
from web.sandbox.stripe.errors import no_such
from web.sandbox.stripe.payments import Card
from web.sandbox.stripe.world import Account, Json, World

_FOREIGN: Json = {"country": "GB", "last4": "0008"}

TEST_CARDS: dict[str, Card] = {
    "visa": Card(),
    "mastercard": Card(details={"brand": "mastercard", "display_brand": "mastercard", "last4": "4444"}),
    "gb": Card(details=_FOREIGN),
    "bypassPending": Card(available_at_once=True, details={"last4": "0077"}),
    "createDispute": Card(dispute="dispute", details={"last4": "0259"}),
    "createDisputeInquiry": Card(dispute="inquiry", details={"last4": "1976"}),
    "chargeDeclined": Card(decline_code="generic_decline", details={"last4": "0002"}),
    "visa_chargeDeclined": Card(decline_code="generic_decline", details={"last4": "0002"}),
    "chargeCustomerFail": Card(decline_code="generic_decline", details={"last4": "0341"}),
    "authenticationRequired": Card(needs_action=True, details={"last4": "3220"}),
    "threeDSecure2Required": Card(needs_action=True, details={"last4": "3220"}),
}


def make_method(world: World, account: Account, token: str, billing: Json | None = None) -> Json:
    """A payment method of a test card: ``pm_card_visa`` or ``tok_visa``."""
    name = token.removeprefix("pm_card_").removeprefix("tok_")
    card = TEST_CARDS.get(name)
    if card is None:
        raise no_such("PaymentMethod", token, "payment_method")
    method = shapes.payment_method(world, account, card.details, billing)
    method["_card"] = name
    return account.add(method)


def method_of(world: World, account: Account, token: str) -> Json:
    """A stored payment method, or a new one of a test token."""
    found = account.get("payment_method", token)
    if found is not None:
        return found
    return make_method(world, account, token)


def behaviour_of(method: Json | None) -> Card:
    return TEST_CARDS[method.get("_card", "visa")] if method else TEST_CARDS["visa"]


def other_method(
    world: World, account: Account, kind: str, details: Json | None = None, billing: Json | None = None
) -> Json:
    """A payment method that is no card (a bank debit)."""
    method = shapes.payment_method(world, account, {}, billing)
    method.pop("card")
    method["type"] = kind
    method[kind] = {"last4": "6789", "bank_name": "STRIPE TEST BANK", "country": "US", **(details or {})}
    return account.add(method)
