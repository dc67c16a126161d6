"""One payout's certificate: payout/index.html gets a :class:`PayoutView`."""

from dataclasses import dataclass
from datetime import date, datetime

from web.views.reconciliation import ProofLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentMark:
    """A document of ours in the books: "Invoice 1064". ``times`` it stands there: once, or it is an alarm."""

    label: str
    external_id: str
    times: int = 1
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLine:
    """One balance transaction in three columns. ``words`` name what is odd about it, "" where nothing is.

    ``key`` makes its ids in the page; ``difference_minor`` is books less Stripe; both are None where the
    opening balance stands for the line.
    """

    key: str
    title: str
    sub: str
    day: date
    stripe_minor: int | None
    ours_minor: int | None
    books_minor: int | None
    difference_minor: int | None
    documents: tuple[DocumentMark, ...] = ()
    words: str = ""
    code: str = ""
    href: str = ""
    is_odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """The whole page.

    ``proof`` are the lines above the net payout, ``ends`` those below it: the bank and the transfer in the books.
    ``difference_minor`` is None where it is too early to tell; ``unread`` says how much was never read back.
    ``prepared`` completes "Prepared by Tieout on ...".
    """

    live_since: int
    id: str
    stripe_id: str
    title: str
    subtitle: str
    books_name: str
    day: date
    state: str
    currency: str
    proof: tuple[ProofLine, ...]
    net_minor: int
    ends: tuple[ProofLine, ...]
    difference_minor: int | None
    transfers: tuple[DocumentMark, ...] = ()
    notice: str = ""
    notice_text: str = ""
    lines: tuple[CertificateLine, ...] = ()
    more: int = 0
    stripe_minor: int = 0
    ours_minor: int = 0
    books_minor: int = 0
    once: str = ""
    is_doubled: bool = False
    unread: str = ""
    read_at: datetime | None = None
    prepared: str = ""
    can_check: bool = False
    csv_href: str = ""
    back_href: str = "/reconciliation"
