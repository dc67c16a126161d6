"""Names that Xero accepts, the candidates that are tried one after the other, and the number that is ours for ever."""

import re

from core.books.documents import Customer, Payee
from core.errors import ProviderRejectedError
from core.reasons import Reason

MAX_NAME = 255
MAX_EMAIL = 255
MAX_PHONE = 50
MAX_NUMBER = 50

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f<>\ud800-\udfff]")
_EMAIL = re.compile(r"[!-~]+@[!-~]+\.[!-~]+")
_NOT_IN_EMAIL = re.compile(r"[,;<>]|@.*@")
_NOT_IN_NUMBER = re.compile(r"[^a-z0-9]+")
_STRIPE_ID = re.compile(r"cus_[A-Za-z0-9]{1,40}")


def contact_name(customer: Customer, revision: int) -> str:
    """Return the name to try: names are unique among the active contacts.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` when there is no further candidate.
    """
    name = clean_name(customer.name) or clean_name(customer.email or "") or "Stripe client"
    suffixes = ["", usable_email(customer.email) or "", customer.stripe_customer_id or ""]
    candidates = [with_suffix(name, suffix) for suffix in dict.fromkeys(suffixes)]
    if revision >= len(candidates):
        raise ProviderRejectedError(Reason.NAME_TAKEN, "every candidate name is taken", detail={"client": name})
    return candidates[revision]


def payee_name(payee: Payee, revision: int) -> str:
    """Return the name to try for whoever takes the fees.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` when there is no further candidate.
    """
    name = clean_name(payee.name)
    candidates = [name, with_suffix(name, "fees"), with_suffix(name, "Tieout")]
    if revision >= len(candidates):
        raise ProviderRejectedError(Reason.NAME_TAKEN, "every candidate name is taken", detail={"client": name})
    return candidates[revision]


def payee_number(payee: Payee) -> str:
    """Return the number by which the payee is found again."""
    return f"tieout-payee-{_NOT_IN_NUMBER.sub('-', payee.name.casefold())}"[:MAX_NUMBER]


def contact_number(customer: Customer) -> str:
    """Return the number by which the client is found again: Stripe's id, or ours for a client that Stripe has none of.

    Never a bare GUID: in an address Xero would read it as an id of its own.
    """
    theirs = customer.stripe_customer_id or ""
    return theirs if _STRIPE_ID.fullmatch(theirs) else f"tieout-{customer.customer_id}"


def is_ours(number: str | None) -> bool:
    """Tell whether a contact's number is one that Stripe or Tieout gave."""
    return bool(number) and (_STRIPE_ID.fullmatch(number or "") is not None or (number or "").startswith("tieout-"))


def clean_name(text: str) -> str:
    """Return ``text`` without what Xero refuses in a name, blanks collapsed, at most 255 characters."""
    return " ".join(_FORBIDDEN.sub(" ", text).split())[:MAX_NAME].strip()


def with_suffix(name: str, suffix: str) -> str:
    """Return ``name (suffix)`` within the limit, shortening the name, never the suffix."""
    if not suffix:
        return name
    tail = f" ({clean_name(suffix)[: MAX_NAME - 10]})"
    return name[: MAX_NAME - len(tail)].rstrip() + tail


def usable_email(email: str | None) -> str | None:
    """Return the address if Xero would take it, ASCII only; else None: a client is not worth losing over an address."""
    address = (email or "").strip()
    if len(address) > MAX_EMAIL or _NOT_IN_EMAIL.search(address):
        return None
    return address if _EMAIL.fullmatch(address) else None


def usable_phone(phone: str | None) -> str | None:
    """Return the number if it fits, else None."""
    number = " ".join(_FORBIDDEN.sub(" ", phone or "").split())
    return number if 0 < len(number) <= MAX_PHONE else None


def same_name(ours: str, theirs: str) -> bool:
    """Tell whether two names are one to Xero: case and blanks do not count."""
    return clean_name(ours).casefold() == clean_name(theirs).casefold()
