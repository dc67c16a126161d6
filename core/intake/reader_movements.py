"""Fetching refunds, disputes, payouts and the ledger behind them: one read each, lists by the hundred."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from core.errors import NotFoundError, ProviderRejectedError, ReconnectRequiredError
from core.intake.facts_movements import (
    FetchedBalance,
    FetchedDispute,
    FetchedPayout,
    FetchedRefund,
    FetchedTransaction,
)
from core.intake.handlers.registry import is_dispute_id, is_payout_id, is_refund_id
from core.intake.loose import dig, integer
from core.intake.pages import Page, StripePages
from core.intake.read_movements import (
    moves_the_balance,
    read_balance,
    read_dispute,
    read_payout,
    read_refund,
    read_transaction,
)

SWEEP_PAGES = 5
"""Pages of Stripe's ledger in one pass; the next pass goes on from there."""

PAYOUT_PAGES = 500
"""Bound of one payout: 50,000 balance transactions."""

_MONEY = ["balance_transaction", "failure_balance_transaction"]


class MovementReader(StripePages):
    """The part of the reader that sees everything beside the payments."""

    async def refund(self, refund_id: str) -> FetchedRefund:
        """Return one refund with its balance transactions.

        Raises:
            NotFoundError: Stripe has no such refund. Provider errors as they come.
        """
        if not is_refund_id(refund_id):
            raise NotFoundError("not the id of a refund")
        return read_refund(await self._get(f"/v1/refunds/{refund_id}", expand=[*_MONEY, "charge"]))

    async def dispute(self, dispute_id: str) -> FetchedDispute:
        """Return one dispute with its balance transactions.

        Raises:
            NotFoundError: Stripe has no such dispute. Provider errors as they come.
        """
        if not is_dispute_id(dispute_id):
            raise NotFoundError("not the id of a dispute")
        return read_dispute(await self._get(f"/v1/disputes/{dispute_id}"))

    async def dispute_closed_at(self, dispute_id: str, since: datetime) -> datetime | None:
        """Return when a dispute ended, by Stripe's list of events; None where that does not reach back so far.

        The dispute itself does not say: a lost one moves no money at its end.
        """
        closed = self._pages("/v1/events", type="charge.dispute.closed", created={"gte": int(since.timestamp())})
        async for event in closed:
            if dig(event, "data", "object", "id") == dispute_id:
                return datetime.fromtimestamp(integer(event.get("created")), UTC)
        return None

    async def payout(self, payout_id: str) -> FetchedPayout:
        """Return one payout with its balance transactions, and the bank account where the key may see it.

        Raises:
            NotFoundError: Stripe has no such payout. Provider errors as they come.
        """
        if not is_payout_id(payout_id):
            raise NotFoundError("not the id of a payout")
        path = f"/v1/payouts/{payout_id}"
        try:
            return read_payout(await self._get(path, expand=[*_MONEY, "destination"]))
        except (ReconnectRequiredError, ProviderRejectedError):
            # Bank accounts have a right of their own, and one that was removed cannot be shown at all.
            return read_payout(await self._get(path, expand=_MONEY))

    async def payout_transactions(self, payout_id: str) -> AsyncIterator[list[FetchedTransaction]]:
        """Yield everything that an automatic payout settles, its own row included, a page at a time."""
        if not is_payout_id(payout_id):
            raise NotFoundError("not the id of a payout")
        after: str | None = None
        for _ in range(PAYOUT_PAGES):
            page = await self._ledger_page(after, payout=payout_id)
            yield [read_transaction(row) for row in page.rows if moves_the_balance(row)]
            after = page.after
            if after is None:
                return

    async def balance_transactions(
        self, since: int, until: int | None, *, pages: int = SWEEP_PAGES
    ) -> tuple[list[FetchedTransaction], int | None]:
        """Return Stripe's ledger within ``since`` and ``until`` (Unix seconds, both included), newest first.

        The second value is None when these are all; otherwise some are missing before that second, or within it.
        """
        created: dict[str, Any] = {"gte": since} if until is None else {"gte": since, "lte": until}
        found: list[FetchedTransaction] = []
        after: str | None = None
        for _ in range(pages):
            page = await self._ledger_page(after, created=created)
            found += [read_transaction(row) for row in page.rows if moves_the_balance(row)]
            after = page.after
            if after is None:
                return found, None
        return found, integer(page.rows[-1].get("created"))

    async def _ledger_page(self, after: str | None, **wanted: Any) -> Page:
        """Read one page of Stripe's ledger with what lies behind each row, where the key may see that."""
        try:
            return await self._page("/v1/balance_transactions", after, **wanted, expand=["data.source"])
        except (ReconnectRequiredError, ProviderRejectedError):
            # Seeing the sources is a right of its own; keys from before they were needed may lack it.
            return await self._page("/v1/balance_transactions", after, **wanted)

    async def balance(self) -> tuple[FetchedBalance, ...]:
        """Return what Stripe holds now, by currency."""
        return read_balance(await self._get("/v1/balance"))
