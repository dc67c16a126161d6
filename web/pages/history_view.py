"""From the report of a history to its page."""

from collections.abc import Mapping, Sequence

from core.books.documents import DocumentKind
from core.connections.setup import choosable_days
from core.db.models import ItemKind
from core.reasons import WORDING, Action, Reason
from core.reports.history import BalanceLine, HistoryReport, Stage
from core.reports.standing import Standing
from core.sync.dry_run_result import DryRun, Stop
from core.sync.history import Part
from web.formats import local_day, write_count, write_long_date
from web.views import Link, Place
from web.views.history import AlikeLine, CountLine, DryRunView, HistoryView, Meter, StopLine, TrialLine
from web.views.looks import ACTIONS

_DOCUMENTS: Mapping[DocumentKind, str] = {
    DocumentKind.CUSTOMER: "New clients",
    DocumentKind.ITEM: "New items",
    DocumentKind.PAYEE: "Stripe as a payee",
    DocumentKind.INVOICE: "Invoices",
    DocumentKind.PAYMENT: "Payments on invoices",
    DocumentKind.SALES_RECEIPT: "Sales receipts",
    DocumentKind.REFUND: "Refunds",
    DocumentKind.CREDIT_NOTE: "Credit notes",
    DocumentKind.REPAYMENT: "Credit notes paid out",
    DocumentKind.EXPENSE: "Expenses",
    DocumentKind.DEPOSIT: "Deposits",
    DocumentKind.TRANSFER: "Transfers",
}
_KINDS: Mapping[ItemKind, tuple[str, str]] = {
    ItemKind.SALE: ("payment", "payments"),
    ItemKind.REFUND: ("refund", "refunds"),
    ItemKind.DISPUTE: ("dispute", "disputes"),
    ItemKind.PAYOUT: ("payout", "payouts"),
    ItemKind.FEES: ("day of fees", "days of fees"),
    ItemKind.MOVEMENT: ("balance transaction", "balance transactions"),
    ItemKind.OPENING: ("opening balance", "opening balances"),
}
_FOUND: Sequence[tuple[str, tuple[Part, ...]]] = (
    ("Payments", (Part.PAYMENTS, Part.CHARGES)),
    ("Refunds", (Part.REFUNDS,)),
    ("Disputes", (Part.DISPUTES,)),
    ("Payouts", (Part.PAYOUTS,)),
    ("Balance transactions", (Part.LEDGER,)),
)
_MINUTE, _HOUR = 60, 3600


def history_view(report: HistoryReport, *, standing: Standing, place: Place) -> HistoryView:
    """Return the page of a history."""
    earliest, latest = choosable_days(place.now, standing.zone)
    return HistoryView(
        stage=report.stage.value,
        first_day=local_day(report.read.starts_at, place),
        lede=_LEDES[report.stage].format(books=standing.books_name),
        books_name=standing.books_name,
        live_since=standing.live_seq,
        meter=_meter(report, standing, place),
        found=_found(report) if report.stage in (Stage.READING, Stage.STOPPED, Stage.LOOKING) else (),
        run=_run(report, report.result) if report.result and report.stage is not Stage.LOOKING else None,
        is_started=standing.posting_starts_at is not None,
        earliest=earliest,
        latest=latest,
        attention=report.posted.attention,
    )


_LEDES: Mapping[Stage, str] = {
    Stage.READING: "We are reading your history from Stripe. Nothing is written to {books}.",
    Stage.STOPPED: "Reading is stopped. Everything read so far is kept.",
    Stage.LOOKING: "We are working out what would be posted. Nothing is written to {books}.",
    Stage.LOOKED: "This is what we would post. Nothing has been written to {books} yet.",
    Stage.POSTING: "We are posting to {books}, each document exactly once. You may leave this page.",
    Stage.POSTING_STOPPED: "Posting is stopped. Nothing is lost; go on, and it continues where it stopped.",
    Stage.POSTED: "Your history is in {books}.",
}


def _meter(report: HistoryReport, standing: Standing, place: Place) -> Meter | None:
    match report.stage:
        case Stage.READING | Stage.STOPPED:
            read = report.read
            words = f"{read.parts_done} of {read.parts} lists read"
            is_moving = report.stage is Stage.READING
            return Meter(
                label="Reading from Stripe", value=read.parts_done, most=read.parts, words=words, is_moving=is_moving
            )
        case Stage.LOOKING:
            return _looking(report, standing, place)
        case Stage.POSTING | Stage.POSTING_STOPPED | Stage.POSTED:
            posted = report.posted
            expected = report.result.items if report.result else 0
            most = max(posted.total, expected, 1)
            words = f"{posted.done:,} of {most:,} posted" if posted.total or expected else "Nothing to post"
            if posted.later:
                words += f", {posted.later:,} when the day is over"
            return Meter(
                label="Posting", value=min(posted.done, most), most=most, words=words,
                is_moving=report.stage is Stage.POSTING,
            )  # fmt: skip
    return None


def _looking(report: HistoryReport, standing: Standing, place: Place) -> Meter:
    first, today = local_day(report.read.starts_at, place), local_day(place.now, place)
    days = (today - first).days + 1
    compared = (report.compared_to - first).days + 1 if report.compared_to else 0
    if report.is_waiting:
        words = f"{standing.books_name} is not answering, we try again by ourselves"
    elif compared < days:
        words = f"Comparing with the sales in {standing.books_name}"
    else:
        words = f"{write_count(report.planned, 'entry', 'entries')} planned"
    return Meter(label="Looking ahead", value=max(min(compared, days), 0), most=days, words=words)


def _found(report: HistoryReport) -> tuple[CountLine, ...]:
    return tuple(
        CountLine(label=label, count=f"{sum(report.counts.get(part, 0) for part in parts):,}")
        for label, parts in _FOUND
    )


def _run(report: HistoryReport, result: DryRun) -> DryRunView:
    written = {**result.support, **result.documents}
    trial = tuple(_trial_line(line) for line in report.balance)
    return DryRunView(
        currency=result.currency,
        documents=tuple(
            CountLine(label=label, count=f"{written[kind]:,}")
            for kind, label in _DOCUMENTS.items()
            if written.get(kind)
        ),
        calls=f"{result.calls:,}",
        time=_time(result.seconds),
        trial=trial,
        total_minor=sum(line.debit_minor or 0 for line in trial),
        sales=write_count(result.sales, "payment"),
        gross_minor=result.gross_minor,
        opening_minor=result.opening_minor,
        stops=tuple(_stop(stop) for stop in result.stops if stop.reason is not Reason.LOOKS_LIKE_DUPLICATE),
        alike=tuple(
            AlikeLine(
                href=f"/payments/{sale.payment_id}",
                client=sale.client,
                day=sale.day,
                amount_minor=sale.amount_minor,
                currency=sale.currency,
                document=sale.document,
            )
            for sale in report.alike
        ),
        alike_more=report.alike_count - len(report.alike),
        is_compared=report.is_compared,
    )


def _trial_line(line: BalanceLine) -> TrialLine:
    if line.amount_minor >= 0:
        return TrialLine(account=line.account, debit_minor=line.amount_minor)
    return TrialLine(account=line.account, credit_minor=-line.amount_minor)


def _stop(stop: Stop) -> StopLine:
    wording = WORDING[stop.reason].filled(stop.detail)
    one, many = _KINDS[stop.kind]
    return StopLine(
        what=write_count(stop.count, one, many),
        title=wording.title,
        explanation=wording.explanation if wording.action is Action.NONE else "",
        amount_minor=stop.amount_minor,
        currency=stop.currency,
        link=_link(stop, wording.action),
    )


def _link(stop: Stop, action: Action) -> Link | None:
    look = ACTIONS.get(action)
    if look is not None and look.href and look.href.startswith("/"):
        return Link(label=look.label, href=look.href)
    if stop.payment_ids and action is not Action.NONE:
        return Link(label="See the payment", href=f"/payments/{stop.payment_ids[0]}")
    return None


def _time(seconds: int) -> str:
    """Return a duration in words that promise no more than an estimate."""
    if seconds < _MINUTE:
        return "less than a minute"
    if seconds < _HOUR:
        return f"about {write_count(-(-seconds // _MINUTE), 'minute')}"
    return f"about {write_count(-(-seconds // _HOUR), 'hour')}"


def status_line(report: HistoryReport, place: Place) -> str:
    """Say on the checklist how a history stands."""
    since = write_long_date(local_day(report.read.starts_at, place), place)
    match report.stage:
        case Stage.READING | Stage.LOOKING:
            return f"We are reading everything since {since}. Nothing is posted."
        case Stage.STOPPED:
            return f"Reading everything since {since} is stopped."
        case _:
            return f"Ready to look at: everything since {since}."
