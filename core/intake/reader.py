"""Fetching the state of one payment from Stripe: at most four reads, everything as plain dictionaries."""

from collections.abc import Mapping
from typing import Any

from core.errors import NotFoundError, ProviderRejectedError, ReconnectRequiredError
from core.intake.facts import PaidInvoice, PaymentFacts, Sources
from core.intake.handlers.registry import id_of, is_payment_id, is_product_id
from core.intake.loose import rows_of
from core.intake.pages import MAX_PAGES, PAGE
from core.intake.read_facts import payment_facts
from core.intake.reader_movements import MovementReader

_EXPAND_INTENT = ["latest_charge.balance_transaction", "customer"]


class StripeReader(MovementReader):
    """Reads one tenant's Stripe account.

    Args:
        client: acts with the tenant's own token.
    """

    async def payment(self, source_id: str) -> PaymentFacts | None:
        """Return the facts of a payment, or None while it has not succeeded.

        Raises:
            NotFoundError: Stripe has no such object. Provider errors as they come.
        """
        if not is_payment_id(source_id):
            raise NotFoundError("not the id of a payment")
        if source_id.startswith("pi_"):
            return await self._by_intent(source_id)
        charge = await self._get(f"/v1/charges/{source_id}", expand=["balance_transaction", "customer"])
        intent_id = id_of(charge.get("payment_intent"))
        if intent_id is not None and is_payment_id(intent_id):
            # One sum of money is one payment, under whichever of its ids somebody told of it.
            return await self._by_intent(intent_id)
        return bare_charge_facts(charge)

    async def _by_intent(self, intent_id: str) -> PaymentFacts | None:
        intent = await self._get(f"/v1/payment_intents/{intent_id}", expand=_EXPAND_INTENT)
        if not is_paid(intent):
            return None
        session = await self._session(intent_id)
        invoices = await self._invoices(intent_id) if session is None else ()
        return await self._facts(intent, session, invoices)

    async def _facts(
        self, intent: dict[str, Any], session: dict[str, Any] | None, invoices: tuple[PaidInvoice, ...]
    ) -> PaymentFacts:
        """Put together what was read of a paid intent: its checkout, else its invoices, else its own line items."""
        charge, customer = intent["latest_charge"], _expanded(intent.get("customer"))
        if session is not None:
            items = await self._session_items(session)
            return payment_facts(Sources(intent, charge, session=session, session_items=items, customer=customer))
        if invoices:
            return payment_facts(Sources(intent, charge, invoices=invoices, customer=customer))
        details = await self._detail_lines(intent)
        return payment_facts(Sources(intent, charge, detail_lines=details, customer=customer))

    async def _detail_lines(self, intent: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
        """Read the payment's own line items; nothing on the payment tells whether it has any."""
        if not isinstance(intent.get("amount_details"), dict):
            return ()
        shown = intent["amount_details"].get("line_items")
        if isinstance(shown, dict) and not shown.get("has_more"):
            return tuple(rows_of(shown.get("data")))
        path = f"/v1/payment_intents/{intent['id']}/amount_details_line_items"
        try:
            return tuple([line async for line in self._pages(path)])
        except (ReconnectRequiredError, NotFoundError, ProviderRejectedError):
            # Not every account may ask for them; the payment's own words must do.
            return ()

    async def _session(self, intent_id: str) -> dict[str, Any] | None:
        found = await self._optional(
            "/v1/checkout/sessions", payment_intent=intent_id, limit=1, expand=["data.line_items"]
        )
        return found[0] if found else None

    async def _session_items(self, session: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        items = session.get("line_items")
        if not isinstance(items, dict):
            return ()
        if not items.get("has_more"):
            return tuple(items.get("data") or ())
        return tuple([item async for item in self._pages(f"/v1/checkout/sessions/{session['id']}/line_items")])

    async def _invoices(self, intent_id: str) -> tuple[PaidInvoice, ...]:
        """Read what the payment paid: usually one invoice, in whole; at times several, or a part of one."""
        found = await self._optional(
            "/v1/invoice_payments",
            payment={"type": "payment_intent", "payment_intent": intent_id},
            limit=PAGE,
            expand=["data.invoice"],
        )
        paid = [await self._paid_invoice(row) for row in found]
        return tuple(one for one in paid if one is not None)

    async def _paid_invoice(self, row: dict[str, Any]) -> PaidInvoice | None:
        invoice, amount = row.get("invoice"), row.get("amount_paid")
        if not isinstance(invoice, dict) or row.get("status") == "canceled":
            return None
        lines = await self._invoice_lines(invoice)
        return PaidInvoice(invoice, lines, amount if isinstance(amount, int) else None)

    async def _invoice_lines(self, invoice: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        lines = invoice.get("lines")
        if not isinstance(lines, dict):
            return ()
        if not lines.get("has_more"):
            return tuple(lines.get("data") or ())
        return tuple([line async for line in self._pages(f"/v1/invoices/{invoice['id']}/lines")])

    async def product(self, product_id: str) -> dict[str, Any]:
        """Return a product with its default price."""
        if not is_product_id(product_id):
            raise NotFoundError("not the id of a product")
        return await self._get(f"/v1/products/{product_id}", expand=["default_price"])

    async def products(self) -> list[dict[str, Any]]:
        """Return every active product, at most 2,000."""
        pages = self._pages("/v1/products", active=True, expand=["data.default_price"])
        return [product async for product in pages]

    async def account(self) -> dict[str, Any]:
        """Return the connected account itself: the cheapest proof that access holds."""
        return await self._get("/v1/account")

    async def events(self, since: int, until: int | None, types: list[str]) -> tuple[list[dict[str, Any]], int | None]:
        """Return the account's events within ``since`` and ``until`` (Unix seconds, both included), newest first.

        Stripe keeps 30 days of them. The second value is None when these are all; otherwise some are missing before
        that second, or within it.
        """
        found: list[dict[str, Any]] = []
        missing_before: int | None = None
        for start in range(0, len(types), 20):
            created = {"gte": since} if until is None else {"gte": since, "lte": until}
            page = [
                event async for event in self._pages("/v1/events", created=created, types=types[start : start + 20])
            ]
            found += page
            if len(page) >= MAX_PAGES * PAGE:
                missing_before = max(missing_before or 0, int(page[-1].get("created") or 0))
        return found, missing_before


def is_paid(intent: Mapping[str, Any]) -> bool:
    """Say whether a payment intent has become a payment, and its charge was shown beside it."""
    return intent.get("status") == "succeeded" and isinstance(intent.get("latest_charge"), dict)


def bare_charge_facts(charge: Mapping[str, Any]) -> PaymentFacts | None:
    """Return the facts of a charge that no intent made, or None while it has not succeeded."""
    if charge.get("status") != "succeeded" or charge.get("captured") is False:
        return None
    return payment_facts(Sources(intent=None, charge=charge, customer=_expanded(charge.get("customer"))))


def _expanded(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
