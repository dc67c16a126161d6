"""Which of the things that a document points to is at fault, when QuickBooks says only that one of them is.

Code 610 comes with "something you're trying to use has been made inactive" and names nothing. The person deserves the
name, so we ask: a few reads, only after a refusal. The questions of one call are remembered, so that a batch of
documents refused for one archived account asks for that account once.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks import answers, company
from core.accounting.quickbooks.client import QuickBooksClient, Reply
from core.accounting.quickbooks.faults import REFERENCE_CODES
from core.accounting.quickbooks.frozen import Frozen, frozen
from core.accounting.quickbooks.lookup import is_any
from core.accounting.quickbooks.names import DELETED
from core.accounting.quickbooks.queries import ANY_STATE, select
from core.books.documents import DocumentKind
from core.errors import ProviderError, ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

N = TypeVar("N", answers.Account, answers.Customer, answers.Vendor, answers.Item, answers.TaxCode)

WRONG_TYPE = "6430"

# From QuickBooks' own words: "Account element id 9 not found", element "CustomerRef" ...
_WORDS = (
    (re.compile(r"tax", re.IGNORECASE), Reason.TAX_CODE_MISFIT),
    (re.compile(r"customer", re.IGNORECASE), Reason.CUSTOMER_INACTIVE),
    (re.compile(r"account", re.IGNORECASE), Reason.ACCOUNT_INACTIVE),
)

_WANTED = {
    DocumentKind.EXPENSE: "a bank account",
    DocumentKind.TRANSFER: "a bank account or another asset",
    DocumentKind.ITEM: "an income account",
}


class Inquiry:
    """The questions asked about the refusals of one call, and their answers."""

    def __init__(self, client: QuickBooksClient, realm_id: str) -> None:
        self._client = client
        self._realm_id = realm_id
        self._replies: dict[str, Reply] = {}
        self._closed_to = ""

    async def explained(self, write: PreparedWrite, refusal: ProviderRejectedError) -> ProviderRejectedError:
        """Return ``refusal`` with what its reason's words need, and with the reason that names what is at fault."""
        sent = frozen(write)
        if refusal.provider_code in REFERENCE_CODES:
            return await self._reference(write, sent, refusal)
        match refusal.reason:
            case Reason.PERIOD_CLOSED:
                refusal.detail.update(date=sent.txn_date, closed_to=await self._closing_day())
            case Reason.NAME_TAKEN:
                refusal.detail.update(client=sent.display_name or sent.name)
            case Reason.NUMBER_TAKEN:
                refusal.detail.update(reference=write.reference)
            case Reason.TAX_CODE_MISFIT if write.total_minor is not None:
                refusal.detail.update(charged=_total(write), tax_code="the tax code")
        return refusal

    async def _reference(
        self, write: PreparedWrite, sent: Frozen, refusal: ProviderRejectedError
    ) -> ProviderRejectedError:
        try:
            if refusal.provider_code == WRONG_TYPE:
                return await self._wrong_type(write, sent, refusal)
            return await self._missing(write, sent, refusal) or _from_words(refusal)
        except ProviderError:
            # The refusal stands whatever the questions after it bring.
            return _from_words(refusal)

    async def _missing(
        self, write: PreparedWrite, sent: Frozen, refusal: ProviderRejectedError
    ) -> ProviderRejectedError | None:
        """Go through what the document points to until something is missing or archived."""
        accounts = await self._ask("Account", sent.account_ids, answers.Account)
        for account_id in sent.account_ids:
            account = next((row for row in accounts if row.id == account_id), None)
            if account is None or not account.active:
                return _with(refusal, Reason.ACCOUNT_INACTIVE, account=_own_name(account.name) if account else "")
        if sent.customer_ref is not None:
            customers = await self._ask("Customer", [sent.customer_ref.value], answers.Customer)
            if not customers or not customers[0].active:
                name = _own_name(customers[0].display_name) if customers else ""
                return _with(refusal, Reason.CUSTOMER_INACTIVE, client=name)
        for item in await self._ask("Item", sent.item_ids, answers.Item):
            if not item.active:
                name = _own_name(item.name)
                return _saying(refusal, f"the product or service “{name}”", "ItemRef", item=name)
        for vendor in await self._ask("Vendor", sent.vendor_ids, answers.Vendor):
            if not vendor.active:
                name = _own_name(vendor.display_name)
                return _saying(refusal, f"the vendor “{name}”", "EntityRef", vendor=name)
        # In the United States the two codes are words, not objects that could be archived.
        codes = [code_id for code_id in sent.tax_code_ids if code_id.isdigit()]
        for code in await self._ask("TaxCode", codes, answers.TaxCode):
            if not code.active:
                return _with(refusal, Reason.TAX_CODE_MISFIT, charged=_total(write), tax_code=_own_name(code.name))
        return None

    async def _wrong_type(
        self, write: PreparedWrite, sent: Frozen, refusal: ProviderRejectedError
    ) -> ProviderRejectedError:
        """Name the account, its type and what is wanted: the person then knows what to choose instead."""
        through = sent.account_ids[: 2 if write.kind is DocumentKind.TRANSFER else 1]
        accounts = await self._ask("Account", through, answers.Account)
        wanted = _WANTED.get(write.kind, "a bank account or another current asset")
        named = " and ".join(f"“{account.name}” is of type {account.account_type}" for account in accounts)
        text = f"{named}; QuickBooks wants {wanted} here. {refusal.text}" if named else refusal.text
        return _reworded(refusal, text, account=accounts[0].name if accounts else "")

    async def _closing_day(self) -> str:
        """Ask to which day the books are closed: what we had read before is older than the refusal."""
        if not self._closed_to:
            try:
                self._closed_to = (await company.read_company(self._client, self._realm_id)).options["book_close_date"]
            except ProviderError:
                return "a later day"
        return self._closed_to or "a later day"

    async def _ask(self, entity: str, ids: Sequence[str], shape: type[N]) -> list[N]:
        if not ids:
            return []
        statement = select(entity, is_any("Id", ids), ANY_STATE)
        if statement not in self._replies:
            self._replies[statement] = await self._client.query(statement)
        reply = self._replies[statement]
        return answers.read_list(reply.body, entity, shape, request_id=reply.request_id)


def _own_name(name: str) -> str:
    """Return the name that the person gave: QuickBooks adds a word of its own to whatever is archived."""
    return name.removesuffix(DELETED)


def _total(write: PreparedWrite) -> str:
    return f"{to_decimal(write.total_minor or 0, write.currency)} {write.currency}"


def _from_words(refusal: ProviderRejectedError) -> ProviderRejectedError:
    for words in (refusal.field or "", refusal.text if "element id" in refusal.text else ""):
        for pattern, reason in _WORDS:
            if pattern.search(words):
                return _with(refusal, reason)
    return refusal


def _saying(refusal: ProviderRejectedError, what: str, field: str, **detail: str) -> ProviderRejectedError:
    """There is no reason of its own for these: QuickBooks' words are shown, with the name that they lack."""
    return _reworded(refusal, f"Inactive in QuickBooks: {what}. {refusal.text}", field=field, **detail)


def _reworded(
    refusal: ProviderRejectedError, text: str, *, field: str | None = None, **detail: str
) -> ProviderRejectedError:
    return _copy(refusal, refusal.reason, text, field or refusal.field, detail)


def _with(refusal: ProviderRejectedError, reason: Reason, **detail: str) -> ProviderRejectedError:
    return _copy(refusal, reason, refusal.text, refusal.field, detail)


def _copy(
    refusal: ProviderRejectedError, reason: Reason, text: str, field: str | None, detail: dict[str, str]
) -> ProviderRejectedError:
    return ProviderRejectedError(
        reason,
        text,
        detail={key: value for key, value in detail.items() if value},
        field=field,
        provider_code=refusal.provider_code,
        request_id=refusal.request_id,
        status=refusal.status,
    )
