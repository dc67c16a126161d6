"""What every piece of work needs to know of the call that it does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from web.sandbox.xero.amounts import read_day
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.records import Account, Json, Record


@dataclass(frozen=True)
class Call:
    """One call to one organisation's books."""

    organisation: Organisation
    now: datetime
    new_id: Callable[[], str]
    unit_places: int = 2
    by_app: bool = True
    undo: list[Callable[[], object]] = field(default_factory=list)
    """What to take back when the element in hand turns out to be wrong."""

    @property
    def today(self) -> date:
        return self.organisation.today(self.now)

    def day(self, sent: Json, name: str, fallback: date) -> date:
        return (read_day(sent[name]) if name in sent else None) or fallback

    def roll_back(self) -> None:
        while self.undo:
            self.undo.pop()()

    def touch(self, record: Record) -> None:
        record.updated = self.now


def find_account(call: Call, ref: Json, missing: str) -> Account:
    """Resolve ``{"AccountID"}`` or ``{"Code"}``; archived accounts are refused."""
    organisation = call.organisation
    account = None
    if "AccountID" in ref:
        account = organisation.accounts.get(str(ref["AccountID"]).lower())
    elif "Code" in ref:
        account = organisation.account_by_code(str(ref["Code"]))
    if account is None:
        raise Invalid(missing)
    if account.status != "ACTIVE":
        message = f"Account code '{account.code or account.name}' has been archived, or deleted."
        raise Invalid(message)
    return account
