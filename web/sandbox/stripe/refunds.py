"""Giving money back: refunds, and refunds that fail days later."""

from web.sandbox.stripe import shapes_payment
from web.sandbox.stripe.currency import convert
from web.sandbox.stripe.errors import StripeError, invalid_param
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.ledger import fee_line, post
from web.sandbox.stripe.world import Account, Json, World


def create(
    world: World,
    account: Account,
    charge: Json,
    *,
    amount: int | None = None,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
    fee: int = 0,
    settled_amount: int | None = None,
    exchange_rate: float | None = None,
    refund_application_fee: int = 0,
    pending: bool = False,
) -> Json:
    """Refund a charge, wholly or in part.

    ``settled_amount`` (positive, in the balance's currency) or ``exchange_rate`` say what it costs today when the
    charge was converted. ``fee`` is the refund's own fee; negative gives fees back.
    """
    value = _checked_amount(charge, amount)
    sale = account.get("balance_transaction", charge["balance_transaction"] or "")
    currency = sale["currency"] if sale else charge["currency"]
    cost = _cost(charge, value, currency, sale, settled_amount, exchange_rate)
    is_payment = charge["id"].startswith("py_")
    refund = shapes_payment.refund(world, account, charge, value, prefix="pyr_" if is_payment else "re_")
    refund.update(reason=reason, metadata=metadata or {}, status="pending" if pending else "succeeded")
    fees = [fee_line(fee, currency)] if fee else []
    if refund_application_fee:
        fees.append(fee_line(-refund_application_fee, currency, "application_fee", "Application fee refund"))
    row = post(
        world,
        account,
        kind="payment_refund" if is_payment else "refund",
        amount=-cost,
        currency=currency,
        source=refund["id"],
        description=f"REFUND FOR CHARGE ({charge['description']})" if charge["description"] else "REFUND FOR CHARGE",
        fees=fees,
        exchange_rate=sale["exchange_rate"] if sale and exchange_rate is None else exchange_rate,
    )
    refund["balance_transaction"] = row["id"]
    account.add(refund)
    previous = {"amount_refunded": charge["amount_refunded"]}
    charge["amount_refunded"] += value
    if charge["amount_refunded"] == charge["amount_captured"]:
        charge["refunded"] = True
        previous["refunded"] = False
    emit(world, account, "refund.created", refund)
    emit(world, account, "charge.refunded", charge, previous=previous)
    if not pending:
        _assign_reference(world, account, refund)
    return refund


def succeed(world: World, account: Account, refund: Json) -> Json:
    """A pending refund arrived at the client."""
    if refund["status"] != "pending":
        message = f"This refund is {refund['status']}, not pending."
        raise StripeError(message)
    refund["status"] = "succeeded"
    emit(world, account, "refund.updated", refund, previous={"status": "pending"})
    return refund


def fail(world: World, account: Account, refund: Json, reason: str = "expired_or_canceled_card") -> Json:
    """The client's bank sent the money back: it returns by a ``refund_failure`` row."""
    if refund["status"] in {"failed", "canceled"}:
        message = "This refund has already failed."
        raise StripeError(message)
    charge = account.shelf("charge").by_id[refund["charge"]]
    before = refund["status"]
    spent = account.shelf("balance_transaction").by_id[refund["balance_transaction"]]
    row = post(
        world,
        account,
        kind="refund_failure",
        amount=-spent["amount"],
        currency=spent["currency"],
        source=refund["id"],
        description=f"REFUND FAILURE ({charge['description'] or charge['id']})",
        exchange_rate=spent["exchange_rate"],
    )
    refund.update(status="failed", failure_reason=reason, failure_balance_transaction=row["id"])
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    emit(world, account, "refund.updated", refund, previous={"status": before})
    emit(world, account, "refund.failed", refund)
    emit(world, account, "charge.updated", charge, previous=previous)
    return refund


def _assign_reference(world: World, account: Account, refund: Json) -> None:
    """The acquirer's reference arrives a little later and makes ``refund.updated``."""

    def arrive() -> None:
        details = refund["destination_details"]
        previous = {"destination_details": {"card": {"reference_status": "pending"}}}
        details["card"] = {
            **details["card"],
            "reference": world.new_id("", 23),
            "reference_status": "available",
        }
        emit(world, account, "refund.updated", refund, previous=previous)

    least, most = world.settings.stripe_bt_delay_s
    world.scheduler.later(least + (most - least) * world.clock.random(), arrive)


def _checked_amount(charge: Json, amount: int | None) -> int:
    left = charge["amount_captured"] - charge["amount_refunded"]
    value = left if amount is None else amount
    if charge["disputed"]:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(message, code="charge_disputed")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeError(message, code="charge_already_refunded")
    if value < 1:
        message = "Invalid positive integer"
        raise StripeError(message, code="parameter_invalid_integer", param="amount")
    if value > left:
        message = f"Refund amount ({value}) is greater than unrefunded amount on charge ({left})"
        raise invalid_param("amount", message)
    return value


def _cost(
    charge: Json,
    value: int,
    currency: str,
    sale: Json | None,
    settled_amount: int | None,
    exchange_rate: float | None,
) -> int:
    if settled_amount is not None:
        return settled_amount
    if currency == charge["currency"] or sale is None:
        return value
    rate = exchange_rate if exchange_rate is not None else sale["exchange_rate"]
    return convert(value, charge["currency"], currency, rate or 1.0)
