"""A small Stripe that knows one story's last word: its objects as they stand when all of its events have happened."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

Json = dict[str, Any]


class StoryStripe(httpx.AsyncBaseTransport):
    """Answers the product's reads from a story; counts them; refuses every write.

    Args:
        story: ``events``, ``balance_transactions`` and ``checkout_line_items``.
    """

    def __init__(self, story: Json) -> None:
        self._objects: dict[str, Json] = {}
        for event in story["events"]:
            # Later events carry newer states, in the order of the story.
            found = event["data"]["object"]
            self._objects[found["id"]] = found
        self._objects |= {row["id"]: row for row in story["balance_transactions"]}
        self._line_items: dict[str, list[Json]] = story["checkout_line_items"]
        self._account: str = story["account"]
        self.calls: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        parts = urlsplit(str(request.url))
        self.calls.append(parts.path)
        assert request.method == "GET", f"{request.method} {parts.path}"
        answer = self._answer(parts.path.removeprefix("/v1/"), dict(parse_qsl(parts.query)))
        if answer is None:
            return httpx.Response(404, json={"error": {"type": "invalid_request_error", "code": "resource_missing"}})
        return httpx.Response(200, json=answer)

    def _answer(self, path: str, query: dict[str, str]) -> Json | None:
        kind, _, object_id = path.partition("/")
        if path == "account":
            return {"id": self._account, "object": "account"}
        if path == "checkout/sessions":
            return _list([self._session(query["payment_intent"])])
        if path == "products":
            return _list([found for found in self._objects.values() if found.get("object") == "product"])
        if path in {"events", "invoice_payments"} or path.endswith("/amount_details_line_items"):
            return _list([])
        if path == "balance":
            held = [{"amount": sum(row["net"] for row in self._ledger()), "currency": "usd"}]
            return {"object": "balance", "available": held, "pending": []}
        if path == "balance_transactions":
            # Its one payout settles the whole story.
            return _list([{**row, "source": self._objects[row["source"]]} for row in self._ledger()])
        found = self._objects.get(object_id)
        match kind:
            case "payment_intents" if found:
                return {**found, "latest_charge": self._charge(found["latest_charge"]), **self._customer(found)}
            case "charges" if found:
                return {**self._charge(object_id), **self._customer(found)}
            case "refunds" | "payouts" if found:
                return {**found, "balance_transaction": self._objects[found["balance_transaction"]]}
        return found

    def _ledger(self) -> list[Json]:
        rows = [found for found in self._objects.values() if found.get("object") == "balance_transaction"]
        return sorted(rows, key=lambda row: row["created"], reverse=True)

    def _charge(self, charge_id: str) -> Json:
        charge = self._objects[charge_id]
        return {**charge, "balance_transaction": self._objects.get(charge["balance_transaction"])}

    def _customer(self, owner: Json) -> Json:
        return {"customer": self._objects.get(owner["customer"])}

    def _session(self, intent_id: str) -> Json | None:
        for found in self._objects.values():
            if found.get("object") == "checkout.session" and found["payment_intent"] == intent_id:
                return {**found, "line_items": _list(list(self._line_items[found["id"]]))}
        return None


def _list(rows: list[Any]) -> Json:
    return {"object": "list", "data": [row for row in rows if row is not None], "has_more": False}
