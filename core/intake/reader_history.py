"""Reading everything since a first day: lists by the hundred, each row as if it had been fetched alone."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from core.errors import NotFoundError, ProviderRejectedError, ReconnectRequiredError
from core.intake.facts import PaidInvoice, PaymentFacts
from core.intake.facts_movements import FetchedDispute, FetchedPayout, FetchedRefund, FetchedTransaction
from core.intake.handlers.registry import id_of, is_payment_id
from core.intake.loose import dig, integer
from core.intake.pages import PAGE, Page
from core.intake.read_movements import moves_the_balance, read_dispute, read_payout, read_refund, read_transaction
from core.intake.reader import StripeReader, bare_charge_facts, is_paid

T = TypeVar("T")

PAYOUTS_AT_ONCE = 20
"""Payouts of one page: each has a list of its own behind it."""

_BEFORE_PAID = timedelta(hours=25)
"""A checkout ends within a day of its beginning, so its payment is at most that much younger."""

_AROUND = timedelta(days=1)
_DRAFTED = timedelta(days=35)

_INTENT = ["data.latest_charge.balance_transaction", "data.customer"]
_INTENT_LINES = "data.amount_details.line_items"
_MONEY = ["data.balance_transaction", "data.failure_balance_transaction"]


@dataclass(frozen=True, slots=True)
class HistoryPage(Generic[T]):
    """One page of a list. ``listed`` counts Stripe's rows; ``after`` is where the next begins, None at the end."""

    found: list[T]
    listed: int
    after: str | None


class HistoryReader(StripeReader):
    """The reader of whole lists since a moment, newest first."""

    async def payments_page(self, since: datetime, after: str | None) -> HistoryPage[PaymentFacts]:
        """Return the payments of one page of intents, with the checkouts and invoices of those days beside them."""
        page = await self._intents(since, after)
        paid = [intent for intent in page.rows if is_paid(intent)]
        if not paid:
            return HistoryPage([], len(page.rows), page.after)
        sessions, invoices = await self._sessions_of(paid), await self._invoice_payments_of(paid)
        found = []
        for intent in paid:
            session = sessions.get(str(intent["id"]))
            rows = invoices.get(str(intent["id"]), []) if session is None else []
            read = [await self._paid_invoice(row) for row in rows]
            found.append(await self._facts(intent, session, _some(read)))
        return HistoryPage(found, len(page.rows), page.after)

    async def charges_page(self, since: datetime, after: str | None) -> HistoryPage[PaymentFacts]:
        """Return those charges of one page that no intent made."""
        page = await self._list("/v1/charges", since, after, ["data.balance_transaction", "data.customer"])
        bare = [bare_charge_facts(row) for row in page.rows if row.get("payment_intent") is None]
        return HistoryPage([facts for facts in bare if facts is not None], len(page.rows), page.after)

    async def invoice_payments_page(self, since: datetime, after: str | None) -> HistoryPage[str]:
        """Return the intents that paid the invoices of one page, drafts of weeks before included."""
        try:
            page = await self._list("/v1/invoice_payments", since - _DRAFTED, after, [])
        except (ReconnectRequiredError, NotFoundError):
            return HistoryPage([], 0, None)
        intents = [id_of(dig(row, "payment", "payment_intent")) for row in page.rows if row.get("status") == "paid"]
        return HistoryPage([one for one in intents if one and is_payment_id(one)], len(page.rows), page.after)

    async def refunds_page(self, since: datetime, after: str | None) -> HistoryPage[FetchedRefund]:
        """Return one page of refunds with their balance transactions."""
        page = await self._list("/v1/refunds", since, after, [*_MONEY, "data.charge"])
        return HistoryPage([read_refund(row) for row in page.rows], len(page.rows), page.after)

    async def disputes_page(self, since: datetime, after: str | None) -> HistoryPage[FetchedDispute]:
        """Return one page of disputes with their balance transactions."""
        page = await self._list("/v1/disputes", since, after, [])
        return HistoryPage([read_dispute(row) for row in page.rows], len(page.rows), page.after)

    async def payouts_page(self, since: datetime, after: str | None) -> HistoryPage[FetchedPayout]:
        """Return some payouts with their own balance transactions, and their bank where the key may see it."""
        try:
            page = await self._list("/v1/payouts", since, after, [*_MONEY, "data.destination"], limit=PAYOUTS_AT_ONCE)
        except (ReconnectRequiredError, ProviderRejectedError):
            page = await self._list("/v1/payouts", since, after, _MONEY, limit=PAYOUTS_AT_ONCE)
        return HistoryPage([read_payout(row) for row in page.rows], len(page.rows), page.after)

    async def ledger_page(self, since: datetime, after: str | None) -> HistoryPage[FetchedTransaction]:
        """Return one page of Stripe's own ledger."""
        page = await self._ledger_page(after, created={"gte": int(since.timestamp())})
        found = [read_transaction(row) for row in page.rows if moves_the_balance(row)]
        return HistoryPage(found, len(page.rows), page.after)

    async def _list(
        self, path: str, since: datetime, after: str | None, expand: list[str], *, limit: int = PAGE
    ) -> Page:
        wanted: dict[str, Any] = {"expand": expand} if expand else {}
        return await self._page(path, after, limit=limit, created={"gte": int(since.timestamp())}, **wanted)

    async def _intents(self, since: datetime, after: str | None) -> Page:
        try:
            return await self._list("/v1/payment_intents", since, after, [*_INTENT, _INTENT_LINES])
        except (ReconnectRequiredError, ProviderRejectedError):
            # Not every account may ask for line items so; then each payment is asked for its own.
            return await self._list("/v1/payment_intents", since, after, _INTENT)

    async def _sessions_of(self, intents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the newest checkout of each intent."""
        newest: dict[str, dict[str, Any]] = {}
        for row in await self._around("/v1/checkout/sessions", intents, _BEFORE_PAID, ["data.line_items"]):
            intent_id = id_of(row.get("payment_intent"))
            if intent_id is not None:
                newest.setdefault(intent_id, row)
        return newest

    async def _invoice_payments_of(self, intents: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in await self._around("/v1/invoice_payments", intents, _AROUND, ["data.invoice"]):
            intent_id = id_of(dig(row, "payment", "payment_intent"))
            if intent_id is not None:
                found[intent_id].append(row)
        return found

    async def _around(
        self, path: str, intents: list[dict[str, Any]], before: timedelta, expand: list[str]
    ) -> list[dict[str, Any]]:
        """List what was made in the time of these intents; nothing where a restricted key may not open the list."""
        moments = [integer(intent.get("created")) for intent in intents]
        since, until = min(moments) - int(before.total_seconds()), max(moments) + int(_AROUND.total_seconds())
        created = {"gte": since, "lte": until}
        try:
            return [row async for row in self._pages(path, at_most=200, created=created, expand=expand)]
        except (ReconnectRequiredError, NotFoundError):
            return []


def _some(read: list[PaidInvoice | None]) -> tuple[PaidInvoice, ...]:
    return tuple(one for one in read if one is not None)
