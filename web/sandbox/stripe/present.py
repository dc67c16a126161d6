"""What the outside sees of a stored object."""

from web.sandbox.stripe.world import Account, Json, World, public


def shown(world: World, account: Account, item: Json) -> Json:
    """A copy as the API returns it without ``expand``: private fields gone, derived ones up to date."""
    body = public(item)
    if body["object"] == "balance_transaction":
        body["status"] = "available" if body["available_on"] <= world.now() else "pending"
    if body["object"] == "dispute":
        rows = (account.get("balance_transaction", row_id) for row_id in item["_rows"])
        body["balance_transactions"] = [shown(world, account, row) for row in rows if row]
    return body
