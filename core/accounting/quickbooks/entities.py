"""What each kind of document is called in QuickBooks, where it is posted to, and by which field it is found again."""

from dataclasses import dataclass

from core.books.documents import DocumentKind
from core.errors import StopError
from core.reasons import Reason

K = DocumentKind


@dataclass(frozen=True, slots=True)
class Entity:
    """One of QuickBooks' kinds of objects.

    Attributes:
        name: as in bodies, answers and queries.
        number: the searchable field that holds our reference; None where the reference stands only in the note.
        page: the word for it in the address of its page; only ``invoice`` is documented, the others were seen at work.
        has_customer: whether a query may ask for the customer's documents.
    """

    name: str
    number: str | None = None
    page: str | None = None
    has_customer: bool = False

    @property
    def path(self) -> str:
        """Where it is posted to, below the company."""
        return f"/{self.name.lower()}"


_ENTITIES = {
    K.CUSTOMER: Entity("Customer"),
    K.ITEM: Entity("Item"),
    K.PAYEE: Entity("Vendor"),
    K.INVOICE: Entity("Invoice", "DocNumber", "invoice", has_customer=True),
    # A payment has no DocNumber; its PaymentRefNum can be searched for but is never checked.
    K.PAYMENT: Entity("Payment", "PaymentRefNum", "recvpayment", has_customer=True),
    K.SALES_RECEIPT: Entity("SalesReceipt", "DocNumber", "salesreceipt", has_customer=True),
    K.REFUND: Entity("RefundReceipt", "DocNumber", "refundreceipt", has_customer=True),
    K.EXPENSE: Entity("Purchase", "DocNumber", "expense"),
    K.DEPOSIT: Entity("Deposit", page="deposit"),
    K.TRANSFER: Entity("Transfer", page="transfer"),
}
"""Credit notes and repayments are missing: a refund is one document here."""

MONEY_KINDS = frozenset(kind for kind, entity in _ENTITIES.items() if entity.page)
"""What moves money and stands in QuickBooks as a transaction."""


def entity_of(kind: DocumentKind) -> Entity:
    """Return QuickBooks' kind of object.

    Raises:
        StopError: ``OUR_FAULT`` for what is no document of QuickBooks.
    """
    if kind not in _ENTITIES:
        raise StopError(Reason.OUR_FAULT, {"unexpected": kind.value})
    return _ENTITIES[kind]
