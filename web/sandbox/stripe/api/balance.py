"""Balance, balance transactions, payouts, top-ups, transfers, application fees."""

from typing import Any

from web.sandbox.stripe import ledger, payments, payouts, shapes, shapes_payment
from web.sandbox.stripe.api.common import metadata_of, texts, update
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, resource
from web.sandbox.stripe.params import integer, required_integer, required_text, text
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.world import Json

TABLE = Table()


def _in_payout(call: Call, row: Json, value: Any) -> bool:
    payout = call.load("payout", str(value), param="payout")
    if not payout["automatic"]:
        message = (
            "Balance transaction history can only be filtered on automatic transfers, not manual. "
            f"{payout['id']} is a manual payout."
        )
        raise StripeError(message, param="payout")
    return bool(row["_payout"] == value)


resource(
    TABLE,
    "/v1/balance_transactions",
    "balance_transaction",
    filters={
        "payout": _in_payout,
        "source": field("source"),
        "type": field("type"),
        "currency": field("currency"),
        "reporting_category": field("reporting_category"),
    },
)
resource(TABLE, "/v1/payouts", "payout", filters={"status": field("status"), "destination": field("destination")})
resource(
    TABLE,
    "/v1/transfers",
    "transfer",
    filters={"destination": field("destination"), "transfer_group": field("transfer_group")},
)
resource(TABLE, "/v1/topups", "topup")
resource(TABLE, "/v1/application_fees", "application_fee", filters={"charge": field("charge")})


@TABLE.get("/v1/balance", "balance_read")
def balance(call: Call) -> Json:
    return ledger.balance(call.world, call.account)


@TABLE.post("/v1/payouts", "payout_write")
def create_payout(call: Call) -> Json:
    currency = required_text(call.params, "currency").lower()
    amount = required_integer(call.params, "amount")
    shown = ledger.balance(call.world, call.account)
    available = sum(part["amount"] for part in shown["available"] if part["currency"] == currency)
    if amount > available:
        message = "You have insufficient funds in your Stripe account for this transfer."
        raise StripeError(message, code="balance_insufficient")
    payout = payouts.create_manual(
        call.world,
        call.account,
        amount,
        currency,
        method=text(call.params, "method") or "standard",
        description=text(call.params, "description"),
    )
    payout["metadata"] = metadata_of(call)
    return payout


@TABLE.post("/v1/payouts/{id}", "payout_write")
def change_payout(call: Call) -> Json:
    return update(call, "payout", {})


@TABLE.post("/v1/payouts/{id}/cancel", "payout_write")
def cancel_payout(call: Call) -> Json:
    return payouts.cancel(call.world, call.account, call.load("payout"))


@TABLE.post("/v1/topups", "topup_write")
def create_topup(call: Call) -> Json:
    world, account = call.world, call.account
    amount = required_integer(call.params, "amount")
    currency = required_text(call.params, "currency").lower()
    topup: Json = {
        **shapes.base(world, account, "topup", "tu_"),
        "amount": amount,
        "balance_transaction": None,
        "currency": currency,
        "description": text(call.params, "description"),
        "expected_availability_date": world.now(),
        "failure_code": None,
        "failure_message": None,
        "source": None,
        "statement_descriptor": None,
        "status": "succeeded",
        "transfer_group": None,
    }
    row = ledger.post(
        world,
        account,
        kind="topup",
        amount=amount,
        currency=currency,
        source=topup["id"],
        available_on=world.now(),
    )
    topup["balance_transaction"] = row["id"]
    account.add(topup)
    emit(world, account, "topup.created", topup)
    emit(world, account, "topup.succeeded", topup)
    return topup


@TABLE.post("/v1/transfers", "transfer_write")
def create_transfer(call: Call) -> Json:
    """Money to a connected account; there it arrives as a ``py_`` charge without an intent."""
    world, account = call.world, call.account
    destination = required_text(call.params, "destination")
    receiver = world.accounts.get(destination)
    if receiver is None:
        message = f"No such destination: '{destination}'"
        raise StripeError(message, code="resource_missing", param="destination")
    amount = required_integer(call.params, "amount")
    currency = required_text(call.params, "currency").lower()
    transfer = shapes_payment.transfer(world, account, amount, currency, destination)
    transfer.update(description=text(call.params, "description"), metadata=metadata_of(call))
    row = ledger.post(
        world,
        account,
        kind="transfer",
        amount=-amount,
        currency=currency,
        source=transfer["id"],
        available_on=world.now(),
    )
    transfer["balance_transaction"] = row["id"]
    charge = shapes_payment.charge(world, receiver, amount, currency, prefix="py_")
    charge.update(source_transfer=transfer["id"], description=transfer["description"])
    transfer["destination_payment"] = charge["id"]
    account.add(transfer)
    emit(world, account, "transfer.created", transfer)
    payments.direct_charge(world, receiver, charge, Settlement(fee=0))
    return transfer


@TABLE.post("/v1/transfers/{id}", "transfer_write")
def change_transfer(call: Call) -> Json:
    return update(call, "transfer", texts("description"))


@TABLE.post("/v1/transfers/{id}/reversals", "transfer_write")
def reverse_transfer(call: Call) -> Json:
    world, account = call.world, call.account
    transfer = call.load("transfer")
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = integer(call.params, "amount") or left
    reversal: Json = {
        **shapes.base(world, account, "transfer_reversal", "trr_"),
        "amount": amount,
        "balance_transaction": None,
        "currency": transfer["currency"],
        "destination_payment_refund": None,
        "source_refund": None,
        "transfer": transfer["id"],
    }
    reversal.pop("livemode")
    row = ledger.post(
        world,
        account,
        kind="transfer_refund",
        amount=amount,
        currency=transfer["currency"],
        source=reversal["id"],
        available_on=world.now(),
    )
    reversal["balance_transaction"] = row["id"]
    account.add(reversal)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    emit(world, account, "transfer.reversed", transfer)
    return reversal
