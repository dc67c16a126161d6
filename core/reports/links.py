"""Addresses outside: a document in the books, a payment at Stripe."""

from core.books.documents import DocumentKind
from core.config import Settings
from core.connections.providers import open_books
from core.db.models import Connection
from core.errors import ConfigurationError
from core.reports.standing import Books
from core.wiring import Wiring


class BooksLinks:
    """Writes addresses of documents in one set of books. Makes no call, so it needs no token."""

    def __init__(self, wiring: Wiring, books: Books | None) -> None:
        try:
            self._opened = open_books(wiring, books.connection, "") if books else None
        except ConfigurationError:
            # Practice books whose file was taken out of the settings: their documents have no address anyway.
            self._opened = None

    def to(self, kind: DocumentKind, external_id: str) -> str | None:
        """Return where a person opens the document; None where there is no such page or it is not https."""
        url = self._opened.document_url(kind, external_id) if self._opened else None
        return url if url and url.startswith(("https://", "http://localhost", "http://127.0.0.1")) else None


def stripe_payment_url(settings: Settings, stripe: Connection | None, source_id: str) -> str | None:
    """Return the page of a payment in Stripe's dashboard."""
    if stripe is None:
        return None
    mode = "/test" if stripe.is_test_mode else ""
    return f"{settings.stripe_dashboard_base}/{stripe.external_id}{mode}/payments/{source_id}"
