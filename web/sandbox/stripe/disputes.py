"""Chargebacks: opened, funds withdrawn, answered, won or lost; and inquiries that move no money."""

from web.sandbox.stripe import shapes_payment
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.ledger import fee_line, post
from web.sandbox.stripe.world import Account, Json, World

DISPUTE_FEE = 1500
COUNTERED_FEE = 1500
_CLOSED = frozenset({"won", "lost", "warning_closed", "prevented"})


def create(
    world: World,
    account: Account,
    charge: Json,
    *,
    amount: int | None = None,
    fee: int = DISPUTE_FEE,
    reason: str = "fraudulent",
    inquiry: bool = False,
    withdraw: bool = True,
) -> Json:
    """Open a dispute. An inquiry (``warning_*``) moves no money; ``withdraw=False`` leaves that for later."""
    if charge["disputed"]:
        message = f"Charge {charge['id']} is already disputed."
        raise StripeError(message)
    dispute = shapes_payment.dispute(world, account, charge, amount or charge["amount"])
    dispute["reason"] = reason
    if inquiry:
        dispute["status"] = "warning_needs_response"
        dispute["is_charge_refundable"] = True
        dispute["payment_method_details"]["card"]["case_type"] = "inquiry"
    account.add(dispute)
    charge["disputed"] = not inquiry
    emit(world, account, "charge.dispute.created", dispute)
    if not inquiry:
        emit(world, account, "charge.updated", charge, previous={"disputed": False})
        if withdraw:
            withdraw_funds(world, account, dispute, fee=fee)
    return dispute


def withdraw_funds(world: World, account: Account, dispute: Json, *, fee: int = DISPUTE_FEE) -> None:
    charge = account.shelf("charge").by_id[dispute["charge"]]
    currency = _balance_currency(account, charge)
    fees = [fee_line(fee, currency, "stripe_fee", "Dispute fee")] if fee else []
    _move(
        world,
        account,
        dispute,
        amount=-_settled(account, charge, dispute["amount"]),
        fees=fees,
        category="dispute",
        description=f"Chargeback withdrawal for {charge['id']}",
    )
    emit(world, account, "charge.dispute.funds_withdrawn", dispute)


def submit_evidence(
    world: World, account: Account, dispute: Json, *, countered_fee: int = 0, evidence: Json | None = None
) -> Json:
    """Answer a dispute. ``countered_fee`` is charged as an own row of the category ``fee``."""
    _require_open(dispute)
    before = dispute["status"]
    dispute["evidence"] = {**dispute["evidence"], **(evidence or {})}
    details = dispute["evidence_details"]
    details.update(has_evidence=True, submission_count=details["submission_count"] + 1, submission_method="manual")
    dispute["status"] = "warning_under_review" if before.startswith("warning") else "under_review"
    if countered_fee:
        _countered_row(world, account, dispute, countered_fee)
    emit(world, account, "charge.dispute.updated", dispute, previous={"status": before})
    return dispute


def close(
    world: World,
    account: Account,
    dispute: Json,
    outcome: str,
    *,
    fee_returned: int = 0,
    countered_fee_returned: int = 0,
) -> Json:
    """End a dispute: ``won``, ``lost``, ``warning_closed`` or ``prevented``."""
    _require_open(dispute)
    charge = account.shelf("charge").by_id[dispute["charge"]]
    dispute["status"] = outcome
    dispute["evidence_details"]["due_by"] = None
    if outcome == "won":
        charge["disputed"] = False
        if dispute["_rows"]:
            _reinstate(world, account, dispute, fee_returned)
            emit(world, account, "charge.dispute.funds_reinstated", dispute)
        if countered_fee_returned:
            _countered_row(world, account, dispute, -countered_fee_returned)
    emit(world, account, "charge.dispute.closed", dispute)
    return dispute


def _reinstate(world: World, account: Account, dispute: Json, fee_returned: int) -> None:
    withdrawn = account.shelf("balance_transaction").by_id[dispute["_rows"][0]]
    currency = withdrawn["currency"]
    _move(
        world,
        account,
        dispute,
        amount=-withdrawn["amount"],
        fees=[fee_line(-fee_returned, currency, "stripe_fee", "Dispute fee refund")] if fee_returned else [],
        category="dispute_reversal",
        description=f"Chargeback reversal for {dispute['charge']}",
    )


def _move(
    world: World,
    account: Account,
    dispute: Json,
    *,
    amount: int,
    fees: list[Json],
    category: str,
    description: str,
) -> None:
    charge = account.shelf("charge").by_id[dispute["charge"]]
    row = post(
        world,
        account,
        kind="adjustment",
        category=category,
        amount=amount,
        currency=_balance_currency(account, charge),
        source=dispute["id"],
        description=description,
        fees=fees,
    )
    dispute["_rows"].append(row["id"])


def _countered_row(world: World, account: Account, dispute: Json, amount: int) -> None:
    charge = account.shelf("charge").by_id[dispute["charge"]]
    post(
        world,
        account,
        kind="stripe_fee",
        amount=-amount,
        currency=_balance_currency(account, charge),
        source=None,
        description=f"Dispute countered fee{' returned' if amount < 0 else ''} ({dispute['id']})",
    )


def _balance_currency(account: Account, charge: Json) -> str:
    sale = account.get("balance_transaction", charge["balance_transaction"] or "")
    return str(sale["currency"] if sale else charge["currency"])


def _settled(account: Account, charge: Json, amount: int) -> int:
    sale = account.get("balance_transaction", charge["balance_transaction"] or "")
    if sale is None or sale["currency"] == charge["currency"]:
        return amount
    return int(sale["amount"]) * amount // int(charge["amount"])


def _require_open(dispute: Json) -> None:
    if dispute["status"] in _CLOSED:
        message = "This dispute is already closed"
        raise StripeError(message)
