"""The balance of a business: balance transactions, what is available, and the invariants that must always hold."""

from collections import defaultdict
from typing import Any

from web.sandbox.stripe.world import Account, Json, World, public

DAY_S = 86_400

# type -> reporting_category, where it is not the same word.
_CATEGORY = {
    "payment": "charge",
    "payment_refund": "refund",
    "payment_failure_refund": "charge_failure",
    "stripe_fee": "fee",
    "tax_fee": "tax",
    "payout_cancel": "payout_reversal",
    "payout_failure": "payout_reversal",
    "reserved_funds": "risk_reserved_funds",
    "reserve_hold": "risk_reserved_funds",
    "reserve_release": "risk_reserved_funds",
    "adjustment": "other_adjustment",
    "application_fee": "platform_earning",
    "application_fee_refund": "platform_earning_refund",
}


def fee_line(amount: int, currency: str, kind: str = "stripe_fee", description: str | None = None) -> Json:
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": description or ("Stripe processing fees" if kind == "stripe_fee" else None),
        "type": kind,
    }


def post(
    world: World,
    account: Account,
    *,
    kind: str,
    amount: int,
    currency: str,
    source: str | None,
    description: str | None = None,
    category: str | None = None,
    fees: list[Json] | None = None,
    exchange_rate: float | None = None,
    available_on: int | None = None,
    created: int | None = None,
) -> Json:
    """Add one balance transaction; the only way money moves in the sandbox.

    ``amount`` and ``fees`` are in the settlement ``currency``. Without ``available_on`` the funds become available at
    midnight UTC after the account's payout delay.
    """
    made = world.now() if created is None else created
    fee_details = fees or []
    fee = sum(line["amount"] for line in fee_details)
    row: Json = {
        "id": world.new_id("txn_"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": _midnight_after(made, account.payout_delay_days) if available_on is None else available_on,
        "balance_type": "payments",
        "created": made,
        "currency": currency,
        "description": description,
        "exchange_rate": exchange_rate,
        "fee": fee,
        "fee_details": fee_details,
        "net": amount - fee,
        "reporting_category": category or _CATEGORY.get(kind, kind),
        "source": source,
        "status": "pending",
        "type": kind,
        "_payout": None,
    }
    account.add(row)
    account.posted_minor[currency] = account.posted_minor.get(currency, 0) + row["net"]
    return row


def rows(account: Account) -> list[Json]:
    """All balance transactions, oldest first."""
    return list(account.shelf("balance_transaction").oldest_first())


def refresh_status(world: World, row: Json) -> None:
    """``pending`` turns ``available`` by itself once ``available_on`` has come."""
    row["status"] = "available" if row["available_on"] <= world.now() else "pending"


def balance(world: World, account: Account) -> Json:
    """The answer of ``GET /v1/balance``."""
    sums: dict[str, dict[str, int]] = {"available": defaultdict(int), "pending": defaultdict(int)}
    for row in rows(account):
        refresh_status(world, row)
        sums[row["status"]][row["currency"]] += row["net"]
    currencies = sorted({account.currency, *sums["available"], *sums["pending"]})

    def part(name: str) -> list[Json]:
        return [{"amount": sums[name][c], "currency": c, "source_types": {"card": sums[name][c]}} for c in currencies]

    return {
        "object": "balance",
        "available": part("available"),
        "connect_reserved": [{"amount": 0, "currency": c} for c in currencies],
        "livemode": account.livemode,
        "pending": part("pending"),
        "refund_and_dispute_prefunding": {"available": [], "pending": []},
    }


def check(world: World, account: Account) -> list[str]:
    """Every broken invariant as a sentence; empty when the books of the sandbox are sound."""
    problems: list[str] = []
    every = rows(account)
    sums: dict[str, int] = defaultdict(int)
    for row in every:
        sums[row["currency"]] += row["net"]
        problems += _row_problems(row)
    for currency in set(sums) | set(account.posted_minor):
        if sums[currency] != account.posted_minor.get(currency, 0):
            problems.append(f"{currency}: sum(net) {sums[currency]} != balance {account.posted_minor.get(currency)}")
    problems += _payout_problems(account, every) + _charge_problems(account, every)
    shown = balance(world, account)
    for index, available in enumerate(shown["available"]):
        total = available["amount"] + shown["pending"][index]["amount"]
        if total != account.posted_minor.get(available["currency"], 0):
            problems.append(f"{available['currency']}: available + pending = {total} is not the balance")
    return problems


def payout_rows(account: Account, payout_id: str) -> list[Json]:
    """What one automatic payout settles, its own row included."""
    return [row for row in rows(account) if row["_payout"] == payout_id]


def _row_problems(row: Json) -> list[str]:
    problems = []
    if row["net"] != row["amount"] - row["fee"]:
        problems.append(f"{row['id']}: net is not amount - fee")
    if row["fee"] != sum(line["amount"] for line in row["fee_details"]):
        problems.append(f"{row['id']}: fee is not the sum of fee_details")
    return problems


def _payout_problems(account: Account, every: list[Json]) -> list[str]:
    per_payout: dict[str, int] = defaultdict(int)
    for row in every:
        if row["_payout"]:
            per_payout[row["_payout"]] += row["net"]
    return [
        f"{payout['id']}: its rows sum to {per_payout[payout['id']]}, not 0"
        for payout in account.shelf("payout").oldest_first()
        if payout["automatic"] and per_payout[payout["id"]] != 0
    ]


def _charge_problems(account: Account, every: list[Json]) -> list[str]:
    sales: dict[Any, int] = defaultdict(int)
    for row in every:
        if row["type"] in {"charge", "payment"}:
            sales[row["source"]] += 1
    problems = [f"{source}: sold {count} times" for source, count in sales.items() if count > 1]
    refunded: dict[str, int] = defaultdict(int)
    for refund in account.shelf("refund").oldest_first():
        if refund["status"] not in {"failed", "canceled"}:
            refunded[refund["charge"]] += refund["amount"]
    return problems + [
        f"{charge['id']}: amount_refunded is not the sum of its refunds"
        for charge in account.shelf("charge").oldest_first()
        if charge["amount_refunded"] != refunded[charge["id"]]
    ]


def ledger_rows(account: Account) -> list[Json]:
    """Balance transactions as JSON, with the payout that took each."""
    return [{**public(row), "payout": row["_payout"]} for row in rows(account)]


def _midnight_after(moment: int, days: int) -> int:
    return (moment // DAY_S + days) * DAY_S
