"""The reconciliation page as its template wants it. Plain functions from what was read to what is shown."""

from datetime import date, datetime

from core.books.documents import DocumentKind
from core.db.models import PaymentState
from core.reasons import Action
from core.reports.drift import Watch
from core.reports.payouts import PayoutMonth, PayoutRow, PayoutState
from core.reports.reconciliation import Clearing, Explained, Gap
from core.reports.reconciliation_items import Open, OpenItem, OpenPage
from core.reports.reconciliation_query import ReconciliationQuery
from core.reports.standing import Standing
from web import views
from web.formats import local_day, write_ago, write_count, write_long_date, write_money, write_month
from web.pages.changes_view import watch_notes, what_changed
from web.pages.payments_view import short_reason

PATH = "/reconciliation"
PAYOUTS = "/payouts"
CSV_PATH = "/payouts.csv"

KINDS = {
    DocumentKind.INVOICE: "Invoice",
    DocumentKind.PAYMENT: "Payment",
    DocumentKind.SALES_RECEIPT: "Receipt",
    DocumentKind.REFUND: "Refund",
    DocumentKind.CREDIT_NOTE: "Credit note",
    DocumentKind.REPAYMENT: "Repayment",
    DocumentKind.EXPENSE: "Expense",
    DocumentKind.DEPOSIT: "Deposit",
    DocumentKind.TRANSFER: "Transfer",
}

# Label, and what one piece is called behind it.
_GAPS = {
    Gap.OPENING: ("Opening balance not posted yet", ""),
    Gap.PAYMENTS: ("Payments not posted yet", "net of fees"),
    Gap.UNSETTLED: ("Posted before Stripe settled them", ""),
    Gap.FEES: ("Stripe fees not posted yet", ""),
    Gap.REFUNDS: ("Refunds not posted yet", ""),
    Gap.DISPUTES: ("Disputes not posted yet", ""),
    Gap.OTHER: ("Other movements not posted yet", ""),
    Gap.PAYOUTS: ("Payouts not posted yet", ""),
    Gap.IN_TRANSIT: ("Payouts on their way to the bank", ""),
    Gap.CHANGED: ("Changed or removed by hand", ""),
}


def reconciliation_view(
    query: ReconciliationQuery,
    clearing: Clearing | None,
    month: PayoutMonth,
    open_page: OpenPage,
    watch: Watch,
    *,
    standing: Standing,
    place: views.Place,
) -> views.ReconciliationView:
    """Return the whole page."""
    return views.ReconciliationView(
        live_since=standing.live_seq,
        books_name=standing.books_name,
        clearing=_clearing(clearing, query, watch, standing, place) if clearing else None,
        month=_month(query, month, place),
        open=_open(query, open_page, standing, place),
        can_check=can_check(standing),
        setup=_setup(standing) if clearing is None else None,
    )


def can_check(standing: Standing) -> bool:
    """Return whether the books can be asked now."""
    return standing.books is not None and not standing.books.needs_reconnect


def _setup(standing: Standing) -> views.Link:
    if standing.books is None:
        return views.Link(label="Connect your books", href="/connections#books")
    if standing.stripe is None:
        return views.Link(label="Connect Stripe", href="/connections#stripe")
    return views.Link(label="Choose your first day", href="/start")


def _clearing(
    found: Clearing, query: ReconciliationQuery, watch: Watch, standing: Standing, place: views.Place
) -> views.ClearingView:
    start = standing.posting_starts_at
    today = local_day(place.now, place)
    return views.ClearingView(
        currency=found.currency.upper(),
        books=views.ProofLine(
            label=found.account_name or "Stripe clearing",
            amount_minor=found.books_minor,
            small=f"in {standing.books_name}, {_read(found.books_read_at, found.day, place)}",
        ),
        explained=tuple(_gap(one) for one in found.explained),
        settled_minor=found.settled_minor,
        stripe=views.ProofLine(
            label="Stripe balance",
            amount_minor=found.stripe_minor,
            small=_read(found.stripe_read_at, found.day, place),
        ),
        difference_minor=found.difference_minor,
        notes=tuple(_notes(found, watch, standing, place)),
        day=found.day,
        first_day=local_day(start, place) if start else None,
        today=today,
        keep=tuple(query.with_(day=None, open_before=None).parameters()),
        now_href=query.with_(day=None, open_before=None).href(PATH),
    )


def _read(at: datetime | None, day: date | None, place: views.Place) -> str:
    if at is None:
        return "not read yet"
    return "taken back to that day" if day else f"read {write_ago(at, place)}"


def _gap(one: Explained) -> views.ProofLine:
    label, what = _GAPS[one.gap]
    count = "" if one.gap is Gap.OPENING else f"{one.count:,}"
    return views.ProofLine(
        label=label, amount_minor=one.amount_minor, small=", ".join(part for part in (count, what) if part)
    )


def _notes(found: Clearing, watch: Watch, standing: Standing, place: views.Place) -> list[str]:
    notes = []
    name = found.account_name or "the clearing account"
    if found.left_out is not None:
        amount = write_money(found.left_out.amount_minor, found.currency, place.locale)
        notes.append(
            f"{write_count(found.left_out.count, 'entry', 'entries')} left out by you, {amount} net of fees."
            f" The difference ends when this is entered on {name} by hand."
        )
    for currency, minor in found.elsewhere:
        notes.append(
            f"Stripe also holds {write_money(minor, currency, place.locale)}, which is not part of this account."
        )
    notes += watch_notes(watch, name, found.currency, standing.books_name, place)
    if found.difference_minor and found.left_out is None and found.difference_minor != watch.others_minor:
        notes.append(
            f"No entry of ours explains this amount. Look in {standing.books_name} for an entry on {name}"
            " that somebody else made."
        )
    if found.difference_minor is None:
        notes.append("This line is complete once both Stripe and your books have been read.")
    return notes


def _month(query: ReconciliationQuery, found: PayoutMonth, place: views.Place) -> views.MonthView:
    this_month = local_day(place.now, place).replace(day=1)
    earlier, later = _shift(found.first, -1), _shift(found.first, 1)
    parts = found.parts
    lines = [
        views.ProofLine(label="Gross", amount_minor=parts.gross_minor, small=write_count(parts.payments, "payment")),
        views.ProofLine(label="Stripe fees", amount_minor=parts.fees_minor),
        views.ProofLine(label="Refunds", amount_minor=parts.refunds_minor),
        views.ProofLine(label="Disputes", amount_minor=parts.disputes_minor),
    ]
    if parts.other_minor:
        lines.append(views.ProofLine(label="Other movements", amount_minor=parts.other_minor))
    if found.without_parts_minor:
        small = "Stripe names no parts"
        lines.append(views.ProofLine(label="Without a breakdown", amount_minor=found.without_parts_minor, small=small))
    return views.MonthView(
        first=found.first,
        name=write_month(found.first, place),
        currency=found.currency.upper(),
        lines=tuple(lines),
        net_minor=found.paid_minor,
        differ_minor=found.differ_minor,
        off=found.off,
        rows=tuple(_payout(row) for row in found.rows),
        pager=_pager(query, found),
        earlier_href=query.with_(month=earlier).href(PATH),
        earlier_label=write_month(earlier, place),
        later_href=query.with_(month=None if later == this_month else later).href(PATH)
        if later <= _shift(this_month, 1)
        else "",
        later_label=write_month(later, place),
        csv_href=f"{CSV_PATH}?month={found.first:%Y-%m}",
    )


def _shift(first: date, months: int) -> date:
    index = first.year * 12 + first.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _payout(row: PayoutRow) -> views.PayoutRowView:
    parts = row.parts
    return views.PayoutRowView(
        id=str(row.id),
        day=row.arrival_date,
        state=row.state.value,
        currency=row.currency.upper(),
        amount_minor=row.amount_minor,
        payments=write_count(parts.payments, "payment") if parts else "",
        note=_note(row),
        gross_minor=parts.gross_minor if parts else None,
        fees_minor=parts.fees_minor if parts else None,
        refunds_minor=parts.refunds_minor if parts and parts.refunds else None,
        disputes_minor=parts.disputes_minor if parts and parts.disputes else None,
        in_books_minor=row.in_books_minor,
        difference_minor=row.difference_minor,
    )


def _note(row: PayoutRow) -> str:
    if row.state is PayoutState.WAITING:
        return f"For {write_count(row.waiting, 'entry', 'entries')}" if row.waiting else "For Stripe’s list of it"
    if row.state is PayoutState.BEFORE_START:
        return "Out of scope"
    if row.state is PayoutState.BY_HAND and row.left_out:
        return f"{row.left_out:,} left out by you"
    return "Stripe gives no breakdown" if row.state is PayoutState.BY_HAND else ""


def _pager(query: ReconciliationQuery, found: PayoutMonth) -> views.Pager | None:
    if found.newer is None and found.older is None:
        return None
    return views.Pager(
        total=found.total,
        newer_href=query.with_(after=found.newer).href(PATH) if found.newer else None,
        older_href=query.with_(before=found.older).href(PATH) if found.older else None,
    )


def _open(query: ReconciliationQuery, found: OpenPage, standing: Standing, place: views.Place) -> views.OpenView:
    here = {"before": query.before, "after": query.after}
    pager = None
    if found.older is not None or not found.is_first_page:
        first = query.with_(open_before=None, **here).href(PATH)
        pager = views.Pager(
            newer_href=None if found.is_first_page else f"{first}#open",
            older_href=f"{query.with_(open_before=found.older, **here).href(PATH)}#open" if found.older else None,
        )
    return views.OpenView(
        count=found.count,
        rows=tuple(_open_row(one, standing, place) for one in found.items),
        totals=tuple(views.OpenSum(currency=one.currency.upper(), amount_minor=one.minor) for one in found.totals),
        pager=pager,
    )


def _open_row(one: OpenItem, standing: Standing, place: views.Place) -> views.OpenRowView:
    title, sub = _title(one, place)
    action, action_href, retry_path = _action(one)
    return views.OpenRowView(
        id=str(one.id),
        title=title,
        sub=sub,
        state=one.state.value,
        reason=_why(one, standing, place),
        age=_age(one.at, place),
        currency=one.currency.upper(),
        amount_minor=one.net_minor if one.net_minor or one.kind is Open.CHANGED else None,
        href=_href(one),
        action=action,
        action_href=action_href,
        retry_path=retry_path,
        recreate_path=f"{PATH}/items/{one.changed.item_id}/recreate" if one.changed and one.can_recreate else "",
        ignore_path=f"{PATH}/items/{one.id}/ignore" if one.can_ignore else "",
    )


def _why(one: OpenItem, standing: Standing, place: views.Place) -> str:
    found = one.changed.difference if one.changed else None
    return what_changed(found, standing.books_name, place) if found else short_reason(one.why, place)


def _title(one: OpenItem, place: views.Place) -> tuple[str, str]:
    if one.changed is not None:
        day = write_long_date(one.changed.book_date, place)
        return document_label(one.changed.kind, one.changed.number), f"of {day}"
    client = one.client or "a client"
    titles = {
        Open.PAYMENT: (one.client, one.what_for),
        Open.REFUND: (f"Refund to {client}", one.source_id),
        Open.DISPUTE: (f"Dispute of {client}", one.source_id),
        Open.PAYOUT: ("Payout", one.source_id),
        Open.FEES: (_fees_title(one.source_id, place), ""),
        Open.OPENING: ("Opening balance", "What Stripe held on your first day"),
    }
    return titles.get(one.kind, ("Movement at Stripe", one.source_id))


def _fees_title(source_id: str, place: views.Place) -> str:
    try:
        day = date.fromisoformat(source_id.partition("#")[0])
    except ValueError:
        return "Stripe fees"
    return f"Stripe fees of {write_long_date(day, place)}"


def document_label(kind: DocumentKind, number: str) -> str:
    """Return "Invoice 1064"."""
    return f"{KINDS.get(kind, 'Entry')} {number}"


def _href(one: OpenItem) -> str:
    if one.kind is Open.PAYOUT and one.payout_id is not None:
        return f"{PAYOUTS}/{one.payout_id}"
    return f"/payments/{one.payment_id}" if one.payment_id is not None else ""


def _action(one: OpenItem) -> tuple[str, str, str]:
    """Return the one thing to do: its action, where a link leads, and where a retry is posted."""
    if one.kind is Open.CHANGED:
        href = f"{PAYOUTS}/{one.payout_id}" if one.payout_id else _href(one)
        return ("see_proof" if href else Action.NONE.value), href, ""
    action = one.why.wording.action if one.why else Action.NONE
    if action is Action.CHOOSE_ACCOUNT and one.service_id is not None:
        return action.value, f"/mapping#s-{one.service_id}", ""
    if action is Action.SEE_LINES and one.payment_id is not None:
        return action.value, f"/payments/{one.payment_id}#lines", ""
    if action is Action.SEE_LINES or (action is Action.NONE and one.state is PaymentState.NEEDS_ATTENTION):
        action = Action.RETRY
    if action is Action.RETRY:
        path = f"/payments/{one.id}/retry" if one.kind is Open.PAYMENT else f"{PATH}/items/{one.id}/retry"
        return (action.value, "", path) if one.can_retry else (Action.NONE.value, "", "")
    return action.value, "", ""


def _age(at: datetime, place: views.Place) -> str:
    days = (local_day(place.now, place) - local_day(at, place)).days
    return "Today" if days <= 0 else write_count(days, "day")
