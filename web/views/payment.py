"""One payment: ``view`` of payments/payment.html is a :class:`PaymentView`."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the payment is where it is, in plain words: the filled core.reasons.Wording.

    ``said`` is the provider's raw text, shown only on request, ``said_by`` its name ("QuickBooks"), ``reference`` the
    provider's id of the call. ``next_try_at`` is set while we try again by ourselves. ``recreate_path`` is where a
    person has made again what was removed; ``in_the_way`` what they have to remove there first.
    """

    title: str
    explanation: str
    action: str = "none"
    can_retry: bool = False
    attempts: int = 0
    last_tried_at: datetime | None = None
    next_try_at: datetime | None = None
    said: str = ""
    said_by: str = ""
    reference: str = ""
    recreate_path: str = ""
    in_the_way: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingLine:
    """One debit or credit, in minor units; ``why`` says which Stripe field and which mapping rule made it."""

    account: str
    note: str = ""
    debit_minor: int | None = None
    credit_minor: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingGroup:
    """The lines of one document: Invoice, Payment on the invoice, Stripe fee."""

    title: str
    lines: tuple[PostingLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Exactly what is or will be in the books. ``is_posted`` chooses the heading; totals are those of the lines."""

    currency: str
    groups: tuple[PostingGroup, ...]
    total_debit_minor: int
    total_credit_minor: int
    is_posted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A document in the books: "Invoice 1064". ``href`` opens it there; None where there is no address.

    ``words`` say what somebody did to it there.
    """

    label: str
    day: date
    amount_minor: int
    currency: str
    what_for: str = ""
    href: str | None = None
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A label and a text, or a label and an amount (then ``currency`` is set). ``link_label`` follows the text."""

    label: str
    text: str = ""
    amount_minor: int | None = None
    currency: str | None = None
    href: str | None = None
    link_label: str = ""
    is_code: bool = False
    is_strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """What happened, newest first. ``tone``: plain, good, alert, now; ``code`` is an identifier shown as such."""

    at: datetime
    text: str
    note: str = ""
    code: str = ""
    icon: str = "check"
    tone: str = "plain"
    with_seconds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """The whole page. Ids and states as in :class:`web.views.payments.PaymentRow`; ``books_name`` is "QuickBooks"."""

    live_since: int
    id: str
    client: str
    service: str
    paid_at: datetime
    state: str
    currency: str
    amount_minor: int
    client_amount_minor: int | None = None
    client_currency: str | None = None
    service_id: str | None = None
    books_name: str = "your books"
    problem: Problem | None = None
    posting: Posting | None = None
    documents: tuple[DocumentRow, ...] = ()
    facts: tuple[Fact, ...] = ()
    timeline: tuple[TimelineEvent, ...] = ()
    can_ignore: bool = False
