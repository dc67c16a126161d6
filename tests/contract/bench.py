"""What a contract test needs to know about a set of books besides the port: the owner's hand, and a look inside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from core.accounting.port import AccountingProvider, PreparedWrite
from core.books.documents import DocumentKind


class Bench(Protocol):
    """One fresh set of books of one provider, with a Stripe clearing account."""

    provider: AccountingProvider
    income_account: str
    clearing_account: str
    currency: str
    tax_codes: Mapping[str, int | None]
    """Codes that may stand on a sale in these books, with their rates; British books may have more."""

    def line_tax(self, *, taxed: bool) -> dict[str, Any]:
        """Return the tax fields of a sale line as the mapping of these books would fill them."""
        ...

    async def reopen(self) -> AccountingProvider:
        """Open the books again as the product does after its daily reading of the company."""
        ...

    async def lose_the_answer(self, write: PreparedWrite) -> None:
        """Send the write so that it is done, and its answer is lost."""
        ...

    async def add_customer(self, name: str, email: str | None) -> str:
        """The owner adds a client by hand."""
        ...

    async def archive_customer(self, external_id: str) -> None:
        """The owner archives a client."""
        ...

    async def archive_account(self, external_id: str) -> None:
        """The owner archives an account."""
        ...

    async def take_number(self, reference: str) -> None:
        """The owner writes an invoice of another client under this number."""
        ...

    async def close_books(self, day: str) -> None:
        """The owner closes the books up to and with this day."""
        ...

    async def names(self) -> list[str]:
        """Names of all clients, archived ones included."""
        ...

    async def count(self, kind: str) -> int:
        """How many invoices or payments there are."""
        ...

    async def balances(self) -> Mapping[str, int]:
        """Balances by role (clearing, income, tax, receivable) in minor units, debit positive."""
        ...

    async def trial_balance(self) -> Mapping[str, int]:
        """Balances of all accounts by name in minor units, debit positive."""
        ...

    async def edit(self, kind: DocumentKind, external_id: str) -> None:
        """The owner makes a document of ours one unit of the currency larger."""
        ...

    async def remove(self, kind: DocumentKind, external_id: str) -> None:
        """The owner deletes a document of ours."""
        ...

    async def now(self) -> datetime:
        """Return the time by the clock of the books."""
        ...

    async def pass_time(self, *, minutes: float) -> None:
        """Let time go by in the books."""
        ...

    async def is_balanced(self) -> bool:
        """Whether debits equal credits."""
        ...
