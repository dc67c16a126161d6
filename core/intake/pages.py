"""One read of Stripe's, and lists of any length: a page at a time, never without a bound."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import stripe as stripe_lib

from core.errors import NotFoundError, ReconnectRequiredError
from core.intake.handlers.registry import id_of
from core.intake.stripe_client import stripe_errors

MAX_PAGES = 20
PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, newest first; ``after`` is where the next one starts, None when this was the last."""

    rows: list[dict[str, Any]]
    after: str | None


class StripePages:
    """Reads of one tenant's Stripe account.

    Args:
        client: acts with the tenant's own token.
    """

    def __init__(self, client: stripe_lib.StripeClient) -> None:
        self._client = client

    async def _pages(self, path: str, *, at_most: int = MAX_PAGES, **params: Any) -> AsyncIterator[dict[str, Any]]:
        after: str | None = None
        for _ in range(at_most):
            page = await self._page(path, after, **params)
            for row in page.rows:
                yield row
            after = page.after
            if after is None:
                return

    async def _page(self, path: str, after: str | None, *, limit: int = PAGE, **params: Any) -> Page:
        cursor = {"starting_after": after} if after else {}
        page = await self._get(path, limit=limit, **params, **cursor)
        rows = [row for row in page.get("data") or () if isinstance(row, dict)]
        last = id_of(rows[-1]) if rows else None
        return Page(rows, last if page.get("has_more") else None)

    async def _optional(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Read a list that a restricted key may not open: then the payment's own words must do."""
        try:
            page = await self._get(path, **params)
        except (ReconnectRequiredError, NotFoundError):
            return []
        return [row for row in page.get("data") or () if isinstance(row, dict)]

    async def _get(self, path: str, **params: Any) -> dict[str, Any]:
        with stripe_errors():
            response = await self._client.raw_request_async("get", path, **params)
        data: dict[str, Any] = response.data
        return data
