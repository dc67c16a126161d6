"""The practice books, opened in a new file."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from core.accounting import registry
from core.accounting.mock.books import RECEIVABLE, SALES_TAX, MockBooks
from core.accounting.port import AccountingProvider, AccountType, Company, PreparedWrite
from core.accounting.settings import ProviderSettings
from core.books.documents import DocumentKind
from core.outgoing import Outgoing
from tests.practice_hand import OwnersHand

RATES: dict[str, Mapping[str, int | None]] = {
    "US": {"Taxable": None, "Non-taxable": 0},
    "GB": {"20.0% S": 200_000, "0.0% Z": 0, "Exempt": 0},
    "AU": {"GST 10 %": 100_000, "GST free": 0},
}
HOME = {"US": "USD", "GB": "GBP", "JP": "JPY", "AU": "AUD", "NZ": "NZD", "CA": "CAD"}
AT = datetime(2026, 11, 21, tzinfo=UTC)


class MockBench:
    def __init__(self, folder: Path, country: str) -> None:
        self._settings = ProviderSettings(data_path=str(folder / "books.sqlite"))
        self._company = Company("practice", "Practice", country, HOME[country], {})
        self.books = MockBooks(self._settings.data_path, self._company)
        self.hand = OwnersHand(self.books)
        self.currency = HOME[country]
        self.tax_codes = RATES.get(country, {})
        self.income_account = self.books.account_named("Session income")
        self.clearing_account = self.books.add_account("Stripe clearing", AccountType.BANK)
        self.provider = self._opened(self._company)

    def line_tax(self, *, taxed: bool) -> dict[str, Any]:
        code = self.books.tax_codes()[0 if taxed else 1] if self.books.tax_codes() else None
        if code is None:
            return {}
        return {"tax_code_id": code.external_id, "tax_code_name": code.name, "tax_rate_ppm": code.rate_ppm}

    async def reopen(self) -> AccountingProvider:
        return self._opened(await self.provider.read_company())

    async def lose_the_answer(self, write: PreparedWrite) -> None:
        await self.provider.execute(write)

    async def add_customer(self, name: str, email: str | None) -> str:
        return self.books.add_customer(name, email)

    async def archive_customer(self, external_id: str) -> None:
        self.books.set_customer_active(external_id, active=False)

    async def archive_account(self, external_id: str) -> None:
        self.books.set_account_active(external_id, active=False)

    async def take_number(self, reference: str) -> None:
        self.hand.add_sale(DocumentKind.INVOICE, date(2026, 11, 1), 100, number=reference)

    async def close_books(self, day: str) -> None:
        self.books.close_to(day)

    async def names(self) -> list[str]:
        return [row.name for row in self.books.customers()]

    async def count(self, kind: str) -> int:
        return len(self.books.documents(kind))

    async def balances(self) -> Mapping[str, int]:
        found = await self.trial_balance()
        roles = {
            "clearing": "Stripe clearing",
            "income": "Session income",
            "tax": SALES_TAX,
            "receivable": RECEIVABLE,
        }
        return {role: found.get(name, 0) for role, name in roles.items()}

    async def trial_balance(self) -> Mapping[str, int]:
        return self.books.trial_balance()

    async def edit(self, kind: DocumentKind, external_id: str) -> None:
        row = self.books.document_of_id(kind.value, external_id)
        assert row is not None
        self.hand.edit_total(kind, external_id, row.total_minor + 100, at=AT)

    async def remove(self, kind: DocumentKind, external_id: str) -> None:
        self.hand.delete(kind, external_id)

    async def now(self) -> datetime:
        return AT

    async def pass_time(self, *, minutes: float) -> None:
        """These books have no clock."""

    async def is_balanced(self) -> bool:
        return sum(self.books.trial_balance().values()) == 0

    def _opened(self, company: Company) -> AccountingProvider:
        return registry.get("mock").open(
            outgoing=Outgoing([]), settings=self._settings, access_token="", company=company
        )


@asynccontextmanager
async def mock_bench(folder: Path, country: str) -> AsyncIterator[MockBench]:
    yield MockBench(folder, country)
