"""The payments page as its template wants it. Plain functions from what was read to what is shown."""

from datetime import date, datetime

from core.books.documents import DocumentKind
from core.db.models import PaymentState
from core.reasons import Action
from core.reports.links import BooksLinks
from core.reports.payments import PaymentsTable, TableRow
from core.reports.query import PERIODS, SHOWN, PaymentQuery, bounds
from core.reports.standing import Standing
from core.reports.words import Why
from web import views
from web.formats import local_day, write_clock_time, write_day_time
from web.views.looks import STATES

PATH = "/payments"
CSV_PATH = "/payments.csv"

_PRESETS = dict(zip(PERIODS, ("This month", "Last month", "90 days", "All time"), strict=True))


def payments_view(
    query: PaymentQuery,
    table: PaymentsTable,
    *,
    standing: Standing,
    links: BooksLinks,
    place: views.Place,
    service_name: str = "",
) -> views.PaymentsView:
    """Return the whole page."""
    return views.PaymentsView(
        live_since=standing.live_seq,
        period=_period(query, table.first_day, table.last_day),
        summaries=_summaries(table),
        chips=_chips(query, table, service_name),
        q=query.q,
        keep=tuple(pair for pair in query.with_(q="").parameters()),
        attention=_attention(query, standing),
        rows=tuple(_row(row, links, place) for row in table.rows),
        pager=_pager(query, table),
        is_filtered=query.is_filtered,
        is_counted=table.counts is not None,
        clear_href=query.with_(show="all", service_id=None, q="").href(PATH),
        exports=_exports(query),
        is_started=standing.posting_starts_at is not None,
    )


def _period(query: PaymentQuery, first: date, last: date) -> views.Period:
    without_dates = query.with_(period=PERIODS[0], first=None, last=None)
    return views.Period(
        first=first,
        last=last,
        presets=tuple(
            views.Chip(label=label, href=query.with_(period=name).href(PATH), is_current=query.period == name)
            for name, label in _PRESETS.items()
        ),
        keep=tuple(without_dates.parameters()),
    )


def _summaries(table: PaymentsTable) -> tuple[views.Summary, ...]:
    return tuple(
        views.Summary(
            currency=found.totals.currency.upper(),
            gross_minor=found.totals.gross_minor,
            fee_minor=found.totals.fee_minor,
            refund_minor=found.totals.refund_minor,
            net_minor=found.totals.net_minor,
            days=tuple(
                views.DayAmounts(
                    day=column.first,
                    last=column.last,
                    in_books_minor=column.in_books_minor,
                    open_minor=column.open_minor,
                )
                for column in found.columns
            )
            if any(column.in_books_minor or column.open_minor for column in found.columns)
            else (),
        )
        for found in table.summaries
    )


def _chips(query: PaymentQuery, table: PaymentsTable, service_name: str) -> tuple[views.Chip, ...]:
    chips = [
        views.Chip(
            label="All",
            href=query.with_(show="all").href(PATH),
            count=sum(table.counts.values()) if table.counts is not None else None,
            is_current=query.show == "all",
        )
    ]
    for name, state in SHOWN.items():
        count = table.counts[state] if table.counts is not None else None
        if state is PaymentState.UNDONE and not count and query.show != name:
            continue
        chips.append(
            views.Chip(
                label=STATES[state].word,
                href=query.with_(show=name).href(PATH),
                count=count,
                is_current=query.show == name,
                is_alert=state is PaymentState.NEEDS_ATTENTION and bool(count),
            )
        )
    if query.service_id is not None:
        everything = query.with_(service_id=None).href(PATH)
        chips.append(views.Chip(label=f"Only {service_name or 'one service'} ×", href=everything, is_current=True))
    return tuple(chips)


def _attention(query: PaymentQuery, standing: Standing) -> views.Attention | None:
    found = standing.attention
    if not found.count:
        return None
    start, _ = bounds(query, standing.zone)
    is_hidden = start is not None and found.oldest is not None and found.oldest < start
    everything = query.with_(period="all", show="attention", service_id=None, q="").href(PATH)
    return views.Attention(count=found.count, retryable=found.retryable, all_href=everything if is_hidden else "")


def _row(row: TableRow, links: BooksLinks, place: views.Place) -> views.PaymentRow:
    return views.PaymentRow(
        id=str(row.id),
        client=row.client,
        service=row.service,
        paid_at=row.paid_at,
        state=row.state.value,
        currency=row.currency.upper(),
        amount_minor=row.amount_minor,
        fee_minor=row.fee_minor,
        net_minor=row.net_minor,
        client_amount_minor=row.client_amount_minor,
        client_currency=row.client_currency.upper() if row.client_currency else None,
        reason=short_reason(row.why, place),
        action=(row.why.wording.action if row.why else Action.NONE).value,
        service_id=str(row.service_id) if row.service_id else None,
        document=_document(row, links),
    )


def short_reason(why: Why | None, place: views.Place) -> str:
    """Return the line below the state: why, and when we go on by ourselves."""
    if why is None:
        return ""
    if why.until is None or why.until <= place.now:
        return why.wording.short
    return f"{why.wording.short}, next try {say_moment(why.until, place)}"


def say_moment(when: datetime, place: views.Place) -> str:
    """Return "2:05 pm" for today, else the day as well."""
    is_today = local_day(when, place) == local_day(place.now, place)
    return write_clock_time(when, place) if is_today else write_day_time(when, place)


def _document(row: TableRow, links: BooksLinks) -> views.Link | None:
    if row.invoice is None:
        return None
    href = links.to(DocumentKind.INVOICE, row.invoice.external_id)
    return views.Link(label=f"Invoice {row.invoice.number or row.invoice.external_id}", href=href) if href else None


def _pager(query: PaymentQuery, table: PaymentsTable) -> views.Pager | None:
    if table.newer is None and table.older is None and table.is_first_page:
        return None
    total = sum(table.counts[state] for state in query.states) if table.counts is not None else None
    return views.Pager(
        first=1 if table.is_first_page else None,
        last=len(table.rows) if table.is_first_page else None,
        total=total,
        newer_href=query.with_(after=table.newer).href(PATH) if table.newer else None,
        older_href=query.with_(before=table.older).href(PATH) if table.older else None,
    )


def _exports(query: PaymentQuery) -> tuple[views.Link, ...]:
    address = query.with_(show="all").href(CSV_PATH)
    everything = f"{address}{'&' if '?' in address else '?'}of=all"
    return (views.Link(label="Unreconciled items", href=address), views.Link(label="All payments", href=everything))
