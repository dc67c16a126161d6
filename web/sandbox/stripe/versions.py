"""Older API versions: what an object looked like to an endpoint that was created years ago.

Only the differences that break integrations are made (see the version history in Stripe's changelog).
"""

from web.sandbox.stripe.shapes import list_object
from web.sandbox.stripe.world import Account, Json, public

_NO_CHARGES_SINCE = "2022-11-15"
_NO_INVOICE_SINCE = "2025-03-31"


def shown_at(account: Account, body: Json, version: str) -> Json:
    """``body`` as an endpoint or client of ``version`` sees it."""
    day = version[:10]
    if day >= _NO_INVOICE_SINCE:
        return body
    kind = body.get("object")
    older = dict(body)
    if kind in {"payment_intent", "charge"}:
        older.setdefault("invoice", _invoice_of(account, body))
    if day < _NO_CHARGES_SINCE:
        if kind == "payment_intent":
            charge = account.get("charge", str(older.pop("latest_charge", "")))
            older["charges"] = list_object(
                f"/v1/charges?payment_intent={body['id']}", [public(charge)] if charge else []
            )
        if kind == "charge":
            refunds = [public(r) for r in account.shelf("refund").newest_first() if r["charge"] == body["id"]]
            older["refunds"] = list_object(f"/v1/charges/{body['id']}/refunds", refunds)
    return older


def _invoice_of(account: Account, body: Json) -> str | None:
    intent = body["id"] if body["object"] == "payment_intent" else body.get("payment_intent")
    for row in account.shelf("invoice_payment").newest_first():
        if row["payment"].get("payment_intent") == intent:
            return str(row["invoice"])
    return None
