"""The everyday acts, whole, from the halves that every adapter has. Providers share this and nothing else.

The sync engine does not come through here: it commits each frozen write before it is sent, and it raises the revision
of its key after a refusal that was repaired. Here nothing is stored, so a provider that remembers refusals under their
key (QuickBooks, for about a day) may repeat one although its cause is gone; a changed document gets a new key.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from uuid import NAMESPACE_URL, UUID, uuid5

from core.accounting.port import AccountingInvoice, AccountingProvider, Posted, PreparedWrite
from core.books.documents import Customer, Document, Invoice, Item, Payment
from core.books.keys import operation_key
from core.errors import ProviderRejectedError
from core.reasons import Reason

MAX_CANDIDATES = 8
"""More names than any adapter tries; ``prepare`` ends the loop earlier by raising ``NAME_TAKEN``."""


def namespace(kind: str, external_id: str) -> UUID:
    """Return what stands for the connection in keys when only the books themselves are known."""
    return uuid5(NAMESPACE_URL, f"tieout:{kind}:{external_id}")


async def ensure(
    provider: AccountingProvider, document: Document, *, within: UUID, source_id: str, ids: Mapping[str, str]
) -> Posted:
    """Make sure that ``document`` stands in the books once, and return it.

    Looks first, so that a repeat is safe even when the provider has long forgotten the key.

    Raises:
        ProviderRejectedError: a definite refusal; ``NAME_TAKEN`` when no candidate name is free.
        ProviderError: as the adapter's halves; after ``OutcomeUnknownError`` simply call again.
    """
    for revision in range(MAX_CANDIDATES):
        frozen = provider.prepare(document, key="", ids=ids, revision=revision)
        content = hashlib.sha256(frozen.body).hexdigest()
        write = replace(frozen, key=operation_key(within, source_id, f"{document.step} {content}", revision))
        try:
            return await provider.look_up(write) or await provider.execute(write)
        except ProviderRejectedError as refused:
            if refused.reason not in (Reason.NAME_TAKEN, Reason.NUMBER_TAKEN):
                raise
            found = await _ours_after_all(provider, write, refused)
            if found is not None:
                return found
    raise ProviderRejectedError(Reason.NAME_TAKEN, "every candidate name is taken")


async def sync_customer(provider: AccountingProvider, customer: Customer, *, within: UUID) -> str:
    """Find or create the customer; return its id in the books."""
    posted = await ensure(provider, customer, within=within, source_id=customer.customer_id, ids={})
    return posted.external_id


async def create_invoice(
    provider: AccountingProvider, invoice: Invoice, *, within: UUID, customer_id: str
) -> AccountingInvoice:
    """Create the items that the invoice needs, then the invoice. The caller compares the total that comes back."""
    ids = {invoice.customer_step: customer_id, **await support(provider, invoice, within=within)}
    posted = await ensure(provider, invoice, within=within, source_id=invoice.reference, ids=ids)
    return AccountingInvoice(posted.external_id, posted.number, posted.total_minor or 0, posted.currency or "")


async def record_payment(
    provider: AccountingProvider, payment: Payment, *, within: UUID, customer_id: str, invoice_id: str
) -> Posted:
    """Record the payment against the invoice. The caller compares the total that comes back."""
    ids = {payment.customer_step: customer_id, payment.invoice_step: invoice_id}
    return await ensure(provider, payment, within=within, source_id=payment.reference, ids=ids)


async def support(provider: AccountingProvider, document: Document, *, within: UUID) -> dict[str, str]:
    """Make sure that the items and payees of ``document`` exist; return their ids by step."""
    ids: dict[str, str] = {}
    for needed in provider.supporting(document):
        source_id = needed.service_id if isinstance(needed, Item) else needed.name
        ids[needed.step] = (await ensure(provider, needed, within=within, source_id=source_id, ids={})).external_id
    return ids


async def _ours_after_all(
    provider: AccountingProvider, write: PreparedWrite, refused: ProviderRejectedError
) -> Posted | None:
    """After "taken", look whether it was taken by ourselves a moment ago; None means: try the next name."""
    try:
        found = await provider.look_up(write)
    except ProviderRejectedError as exc:
        if exc.reason is Reason.NAME_TAKEN:
            return None
        raise
    if found is None and refused.reason is Reason.NUMBER_TAKEN:
        raise refused
    return found
