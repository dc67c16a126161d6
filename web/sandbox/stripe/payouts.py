"""Money to the bank: automatic payouts that settle whole rows, manual ones that do not, failures, other rows."""

from collections.abc import Sequence

from web.sandbox.stripe import shapes_payment
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.ledger import DAY_S, post, refresh_status, rows
from web.sandbox.stripe.world import Account, Json, World


def unpaid_rows(
    world: World, account: Account, currency: str, *, include_pending: bool = False, only: Sequence[str] = ()
) -> list[Json]:
    """Rows that the next automatic payout takes."""
    chosen = []
    for row in rows(account):
        refresh_status(world, row)
        # A manual payout's own row is still unpaid here: the next automatic one settles it with the rest.
        if row["currency"] != currency or row["_payout"]:
            continue
        if only and row["id"] not in only:
            continue
        if row["status"] == "available" or include_pending or only:
            chosen.append(row)
    return chosen


def create_automatic(
    world: World,
    account: Account,
    currency: str,
    *,
    include_pending: bool = False,
    only: Sequence[str] = (),
    arrival_days: int = 1,
) -> Json:
    """Pay out whole rows; a negative sum debits the bank. Pending rows become available when they are taken."""
    taken = unpaid_rows(world, account, currency, include_pending=include_pending, only=only)
    amount = sum(row["net"] for row in taken)
    if amount == 0:
        message = "There is nothing to pay out: the chosen balance transactions sum to 0."
        raise StripeError(message, code="balance_insufficient")
    payout = _new(world, account, amount, currency, arrival_days)
    now = world.now()
    for row in [*taken, account.shelf("balance_transaction").by_id[payout["balance_transaction"]]]:
        row["_payout"] = payout["id"]
        row["available_on"] = min(row["available_on"], now)
    emit(world, account, "payout.created", payout)
    return payout


def create_manual(
    world: World,
    account: Account,
    amount: int,
    currency: str,
    *,
    method: str = "standard",
    description: str | None = None,
) -> Json:
    """A payout of any amount; Stripe cannot say what it contains."""
    payout = _new(world, account, amount, currency, 1)
    payout.update(automatic=False, reconciliation_status="not_applicable", method=method)
    if description:
        payout["description"] = description
    emit(world, account, "payout.created", payout)
    return payout


def start_daily(world: World, account: Account) -> None:
    """An automatic payout at every midnight UTC from now on, paid on its arrival date."""
    midnight = (world.now() // DAY_S + 1) * DAY_S
    world.scheduler.at(midnight, lambda: _daily(world, account))


def _daily(world: World, account: Account) -> None:
    if not account.daily_payouts:
        return
    for currency in sorted(account.posted_minor):
        if sum(row["net"] for row in unpaid_rows(world, account, currency)) == 0:
            continue
        payout = advance(world, account, create_automatic(world, account, currency))
        world.scheduler.at(payout["arrival_date"], lambda due=payout: _arrive(world, account, due))  # type: ignore[misc]  # mypy cannot infer a lambda's default
    start_daily(world, account)


def _arrive(world: World, account: Account, payout: Json) -> None:
    """It may have failed or been cancelled meanwhile."""
    if payout["status"] == "in_transit":
        pay(world, account, payout)


def advance(world: World, account: Account, payout: Json) -> Json:
    """On its way: in_transit, then the reconciliation is completed (automatic only)."""
    payout["status"] = "in_transit"
    emit(world, account, "payout.updated", payout, previous={"status": "pending"})
    if payout["automatic"] and payout["reconciliation_status"] == "in_progress":
        payout["reconciliation_status"] = "completed"
        emit(world, account, "payout.reconciliation_completed", payout)
    return payout


def pay(world: World, account: Account, payout: Json) -> Json:
    """The bank has it."""
    if payout["status"] == "pending":
        advance(world, account, payout)
    if payout["status"] != "in_transit":
        message = f"Payout {payout['id']} is {payout['status']}."
        raise StripeError(message)
    payout.update(status="paid", trace_id={"status": "supported", "value": world.new_id("", 15).upper()})
    emit(world, account, "payout.paid", payout)
    return payout


def fail(world: World, account: Account, payout: Json, code: str = "account_closed") -> Json:
    """The bank refused, even days after ``paid``: the money returns by a ``payout_failure`` row."""
    _return_money(world, account, payout, "payout_failure", "STRIPE PAYOUT FAILURE")
    payout.update(
        status="failed", failure_code=code, failure_message="The bank account has been closed or is not usable."
    )
    emit(world, account, "payout.failed", payout)
    return payout


def cancel(world: World, account: Account, payout: Json) -> Json:
    if payout["status"] != "pending":
        message = "Payouts can only be canceled while they are pending."
        raise StripeError(message, code="payout_not_cancelable")
    _return_money(world, account, payout, "payout_cancel", "STRIPE PAYOUT CANCEL")
    payout["status"] = "canceled"
    emit(world, account, "payout.canceled", payout)
    return payout


def _return_money(world: World, account: Account, payout: Json, kind: str, description: str) -> None:
    if payout["failure_balance_transaction"]:
        message = f"Payout {payout['id']} has already failed."
        raise StripeError(message)
    row = post(
        world,
        account,
        kind=kind,
        amount=payout["amount"],
        currency=payout["currency"],
        source=payout["id"],
        description=description,
        available_on=world.now(),
    )
    payout["failure_balance_transaction"] = row["id"]


def _new(world: World, account: Account, amount: int, currency: str, arrival_days: int) -> Json:
    arrival = (world.now() // DAY_S + arrival_days) * DAY_S
    payout = shapes_payment.payout(world, account, amount, currency, arrival_date=arrival)
    if account.get("bank_account", payout["destination"]) is None:
        account.add(shapes_payment.bank_account(account))
    row = post(
        world,
        account,
        kind="payout",
        amount=-amount,
        currency=currency,
        source=payout["id"],
        description="STRIPE PAYOUT",
        available_on=world.now(),
    )
    payout["balance_transaction"] = row["id"]
    account.add(payout)
    return payout
