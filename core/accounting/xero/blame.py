"""Which of the things that a document points to is at fault, by name, when Xero's words leave it open.

Two reads at most, and only after a refusal: the person deserves the name of the account or client.
"""

from core.accounting.port import PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.client import XeroClient
from core.accounting.xero.lookup import frozen
from core.accounting.xero.organisation import read_accounts
from core.errors import ProviderError, ProviderRejectedError
from core.reasons import Reason

_UNCLEAR = frozenset({Reason.REFUSED, Reason.ACCOUNT_INACTIVE, Reason.CUSTOMER_INACTIVE})


async def explained(client: XeroClient, write: PreparedWrite, refusal: ProviderRejectedError) -> ProviderRejectedError:
    """Return ``refusal`` with the reason and the name of what is missing or archived."""
    if refusal.reason not in _UNCLEAR:
        return refusal
    try:
        contact = await _archived_contact(client, write)
        if contact is not None:
            return _with(refusal, Reason.CUSTOMER_INACTIVE, client=contact.name)
        account = await _archived_account(client, write)
        if account is not None:
            return _with(refusal, Reason.ACCOUNT_INACTIVE, account=account.name)
    except ProviderError:
        # The refusal stands whatever the questions after it bring.
        return refusal
    return refusal


def _with(refusal: ProviderRejectedError, reason: Reason, **detail: str) -> ProviderRejectedError:
    return ProviderRejectedError(
        reason,
        refusal.text,
        detail={key: value for key, value in detail.items() if value},
        request_id=refusal.request_id,
        status=refusal.status,
    )


async def _archived_contact(client: XeroClient, write: PreparedWrite) -> answers.Contact | None:
    if write.party_id is None or not frozen(write).invoices:
        return None
    reply = await client.find(f"/Contacts/{write.party_id}")
    if reply is None:
        return answers.Contact()
    rows = answers.read_list(reply.body, "Contacts", answers.Contact, request_id=reply.request_id)
    return next((row for row in rows if not row.is_active), None)


async def _archived_account(client: XeroClient, write: PreparedWrite) -> answers.Account | None:
    sent = frozen(write)
    wanted = [line.account_id for invoice in sent.invoices for line in invoice.line_items]
    wanted += [payment.account.account_id for payment in sent.payments if payment.account]
    found = {row.account_id: row for row in await read_accounts(client)}
    for account_id in wanted:
        row = found.get(account_id or "")
        if row is None or row.status != "ACTIVE":
            return row or answers.Account()
    return None
