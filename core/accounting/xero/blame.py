"""Which of the things that a document points to is at fault, by name, when Xero's words leave it open.

A few reads, and only after a refusal: the person deserves the name of the account or client.
"""

from core.accounting.port import Company, PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.client import XeroClient
from core.accounting.xero.freezing import day_of, frozen
from core.accounting.xero.organisation import locked_to, read_accounts, read_organisation, read_tax_rates
from core.errors import ProviderError, ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

_UNCLEAR = frozenset({Reason.REFUSED, Reason.ACCOUNT_INACTIVE, Reason.CUSTOMER_INACTIVE})


class Blame:
    """Explains the refusals of one call; what was read for one of them serves the others."""

    def __init__(self, client: XeroClient, company: Company) -> None:
        self._client = client
        self._company = company
        self._locked_to: str | None = None
        self._accounts: dict[str, answers.Account] | None = None
        self._contacts: dict[str, answers.Contact] = {}

    async def explained(self, write: PreparedWrite, refusal: ProviderRejectedError) -> ProviderRejectedError:
        """Return ``refusal`` with everything that its sentence names."""
        match refusal.reason:
            case Reason.PERIOD_CLOSED:
                refusal.detail.update(date=day_of(write), closed_to=await self._closed_to())
            case Reason.NAME_TAKEN:
                refusal.detail.update(client=next((contact.name for contact in frozen(write).contacts), ""))
            case Reason.NUMBER_TAKEN | Reason.CHANGED_IN_BOOKS:
                refusal.detail.update(reference=write.reference)
            case Reason.CURRENCY_NOT_ENABLED:
                refusal.detail.update(currency=write.currency, home_currency=self._company.home_currency.upper())
            case Reason.TAX_CODE_MISFIT if write.total_minor is not None:
                total = to_decimal(write.total_minor, write.currency)
                refusal.detail.update(charged=f"{total} {write.currency}", tax_code=await self._tax_code(write))
        return await self._named(write, refusal)

    async def _closed_to(self) -> str:
        """Ask to which day the books are locked: what we had read before is older than the refusal."""
        if self._locked_to is None:
            try:
                found = await read_organisation(self._client, self._company.external_id)
                self._locked_to = locked_to(found) or "a later day"
            except ProviderError:
                self._locked_to = "a later day"
        return self._locked_to

    async def _tax_code(self, write: PreparedWrite) -> str:
        """Return the name of the tax code at fault: the one that is not active, or else the first."""
        used = frozen(write).tax_types
        try:
            rates = {row.tax_type: row for row in await read_tax_rates(self._client)}
        except ProviderError:
            return "the tax code"
        known = [rates[tax_type] for tax_type in used if tax_type in rates]
        inactive = [rate for rate in known if rate.status != "ACTIVE"]
        return next((rate.name for rate in (*inactive, *known) if rate.name), "the tax code")

    async def _named(self, write: PreparedWrite, refusal: ProviderRejectedError) -> ProviderRejectedError:
        """Return ``refusal`` with the reason and the name of what is missing or archived."""
        if refusal.reason not in _UNCLEAR:
            return refusal
        try:
            contact = await self._archived_contact(write)
            if contact is not None:
                return _with(refusal, Reason.CUSTOMER_INACTIVE, client=contact.name)
            account = await self._archived_account(write)
            if account is not None:
                return _with(refusal, Reason.ACCOUNT_INACTIVE, account=account.name)
        except ProviderError:
            # The refusal stands whatever the questions after it bring.
            return refusal
        return refusal

    async def _archived_contact(self, write: PreparedWrite) -> answers.Contact | None:
        if write.party_id is None or frozen(write).payments:
            return None
        found = self._contacts.get(write.party_id)
        if found is None:
            found = self._contacts[write.party_id] = await self._contact(write.party_id)
        return None if found.is_active else found

    async def _contact(self, contact_id: str) -> answers.Contact:
        reply = await self._client.find(f"/Contacts/{contact_id}")
        if reply is None:
            return answers.Contact(contact_status="MISSING")
        rows = answers.read_list(reply.body, "Contacts", answers.Contact, request_id=reply.request_id)
        return next(iter(rows), answers.Contact())

    async def _archived_account(self, write: PreparedWrite) -> answers.Account | None:
        if self._accounts is None:
            self._accounts = {row.account_id: row for row in await read_accounts(self._client)}
        for account_id in frozen(write).account_ids:
            row = self._accounts.get(account_id)
            if row is None or row.status != "ACTIVE":
                return row or answers.Account()
        return None


def _with(refusal: ProviderRejectedError, reason: Reason, **detail: str) -> ProviderRejectedError:
    return ProviderRejectedError(
        reason,
        refusal.text,
        detail={key: value for key, value in detail.items() if value},
        request_id=refusal.request_id,
        status=refusal.status,
    )
