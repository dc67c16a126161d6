"""Which of the things that a document points to is at fault, when QuickBooks says only that one of them is.

Code 610 comes with "something you're trying to use has been made inactive" and names nothing. The person deserves the
name, so we ask: one or two reads, only after a refusal.
"""

import re
from collections.abc import Sequence

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.lookup import frozen
from core.accounting.quickbooks.queries import ANY_STATE, equals, one_of, select
from core.errors import ProviderError, ProviderRejectedError
from core.reasons import Reason

# From QuickBooks' own words: "Account element id 9 not found", element "CustomerRef" ...
_WORDS = (
    (re.compile(r"tax", re.IGNORECASE), Reason.TAX_CODE_MISFIT),
    (re.compile(r"customer", re.IGNORECASE), Reason.CUSTOMER_INACTIVE),
    (re.compile(r"account", re.IGNORECASE), Reason.ACCOUNT_INACTIVE),
)


async def explained(
    client: QuickBooksClient, write: PreparedWrite, refusal: ProviderRejectedError
) -> ProviderRejectedError:
    """Return ``refusal`` with the reason that names what is missing or archived."""
    sent = frozen(write)
    account = sent.deposit_to_account_ref or sent.income_account_ref
    try:
        if account is not None:
            found = await _account(client, account.value)
            if found is None or not found.active:
                return _with(refusal, Reason.ACCOUNT_INACTIVE, account=found.name if found else "")
        if sent.customer_ref is not None:
            customer = await _customer(client, sent.customer_ref.value)
            if customer is None or not customer.active:
                return _with(refusal, Reason.CUSTOMER_INACTIVE, client=customer.display_name if customer else "")
        if sent.item_ids:
            refusal = _naming_items(refusal, await _archived_items(client, sent.item_ids))
    except ProviderError:
        # The refusal stands whatever the questions after it bring.
        return _from_words(refusal)
    return _from_words(refusal)


def _from_words(refusal: ProviderRejectedError) -> ProviderRejectedError:
    for words in (refusal.field or "", refusal.text if "element id" in refusal.text else ""):
        for pattern, reason in _WORDS:
            if pattern.search(words):
                return _with(refusal, reason)
    return refusal


def _naming_items(refusal: ProviderRejectedError, names: Sequence[str]) -> ProviderRejectedError:
    """There is no reason of its own for an archived item: QuickBooks' words are shown, with the name that they lack."""
    if not names:
        return refusal
    named = ProviderRejectedError(
        refusal.reason,
        f"Inactive in QuickBooks: the product or service “{names[0]}”. {refusal.text}",
        field="ItemRef",
        provider_code=refusal.provider_code,
        request_id=refusal.request_id,
        status=refusal.status,
    )
    named.detail.update(item=names[0])
    return named


def _with(refusal: ProviderRejectedError, reason: Reason, **detail: str) -> ProviderRejectedError:
    return ProviderRejectedError(
        reason,
        refusal.text,
        detail={key: value for key, value in detail.items() if value},
        field=refusal.field,
        provider_code=refusal.provider_code,
        request_id=refusal.request_id,
        status=refusal.status,
    )


async def _account(client: QuickBooksClient, account_id: str) -> answers.Account | None:
    reply = await client.query(select("Account", equals("Id", account_id), ANY_STATE))
    rows = answers.read_list(reply.body, "Account", answers.Account, request_id=reply.request_id)
    return rows[0] if rows else None


async def _customer(client: QuickBooksClient, customer_id: str) -> answers.Customer | None:
    reply = await client.query(select("Customer", equals("Id", customer_id), ANY_STATE))
    rows = answers.read_list(reply.body, "Customer", answers.Customer, request_id=reply.request_id)
    return rows[0] if rows else None


async def _archived_items(client: QuickBooksClient, item_ids: Sequence[str]) -> list[str]:
    reply = await client.query(select("Item", one_of("Id", item_ids), ANY_STATE))
    rows = answers.read_list(reply.body, "Item", answers.Item, request_id=reply.request_id)
    return [row.name for row in rows if not row.active]
