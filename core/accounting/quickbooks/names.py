"""Names that QuickBooks accepts, and the candidates that are tried one after the other when one is taken."""

import re
from collections.abc import Sequence

from core.books.documents import Customer, Item, Payee
from core.errors import ProviderRejectedError
from core.reasons import Reason

MAX_NAME = 100
"""DisplayName could be longer, but QuickBooks copies it into PrintOnCheckName, which holds 100."""

MAX_EMAIL = 100
MAX_PHONE = 30

DELETED = " (deleted)"
"""QuickBooks appends this to the name of a list object that is made inactive."""

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f:\ud800-\udfff]")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")


def customer_name(customer: Customer, revision: int) -> str:
    """Return the DisplayName to try.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` when there is no further candidate.
    """
    name = clean_name(customer.name) or clean_name(customer.email or "") or "Stripe client"
    suffixes = ["", usable_email(customer.email) or "", customer.stripe_customer_id or ""]
    if customer.is_foreign:
        # A customer has one currency for ever, so the same person is another customer in each.
        suffixes = [" ".join(filter(None, (suffix, customer.currency.upper()))) for suffix in suffixes]
    candidates = [with_suffix(name, suffix) for suffix in dict.fromkeys(suffixes)]
    return _candidate(candidates, revision, {"client": name})


def item_name(item: Item, revision: int) -> str:
    """Return the item Name to try. The second says which account it books to: one item per (service, account).

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` when there is no further candidate.
    """
    name = clean_name(item.name) or "Service"
    account = item.income_account_id
    candidates = [name, with_suffix(name, f"account {account}"), with_suffix(name, f"Tieout {account}")]
    return _candidate(candidates, revision, {"client": name, "service": name})


def payee_name(payee: Payee, revision: int) -> str:
    """Return the vendor's DisplayName to try: a client or an employee may have the first one.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` when there is no further candidate.
    """
    name = clean_name(payee.name) or "Stripe"
    candidates = [name, with_suffix(name, "fees"), with_suffix(name, "Tieout")]
    return _candidate(candidates, revision, {"client": name})


def clean_name(text: str) -> str:
    """Return ``text`` without what QuickBooks refuses in a name, blanks collapsed, at most 100 characters."""
    return " ".join(_FORBIDDEN.sub(" ", text).split())[:MAX_NAME].strip()


def with_suffix(name: str, suffix: str) -> str:
    """Return ``name (suffix)`` within the limit, shortening the name, never the suffix."""
    if not suffix:
        return name
    tail = f" ({clean_name(suffix)[: MAX_NAME - 10]})"
    return name[: MAX_NAME - len(tail)].rstrip() + tail


def usable_email(email: str | None) -> str | None:
    """Return the address if QuickBooks would take it, else None: a client is not worth losing over an address."""
    address = (email or "").strip()
    return address if len(address) <= MAX_EMAIL and _EMAIL.fullmatch(address) else None


def usable_phone(phone: str | None) -> str | None:
    """Return the number if it fits, else None."""
    number = " ".join(_FORBIDDEN.sub(" ", phone or "").split())
    return number if 0 < len(number) <= MAX_PHONE else None


def same_person(ours: str | None, theirs: str | None) -> bool:
    """Tell whether two customers of one name are one: the same address, or one of them has none.

    QuickBooks keeps several addresses in one field, separated by commas.
    """
    known = {part.strip().casefold() for part in (theirs or "").split(",") if part.strip()}
    return not ours or not known or ours.strip().casefold() in known


def _candidate(candidates: Sequence[str], revision: int, detail: dict[str, object]) -> str:
    if revision >= len(candidates):
        raise ProviderRejectedError(Reason.NAME_TAKEN, "every candidate name is taken", detail=detail)
    return candidates[revision]
