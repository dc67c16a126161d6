"""The page of one payment as its template wants it."""

from dataclasses import replace
from itertools import groupby

from core.books.documents import DocumentKind
from core.config import Settings
from core.db.models import Payment
from core.reasons import Action
from core.reports.links import BooksLinks, stripe_payment_url
from core.reports.payment import InBooks, Ledger, PaymentDetail
from core.reports.payment_movements import Moved
from core.reports.standing import Standing
from web import views
from web.formats import write_money, write_short_date
from web.pages.changes_view import what_changed

_KINDS = {
    DocumentKind.INVOICE: "Invoice",
    DocumentKind.PAYMENT: "Payment",
    DocumentKind.SALES_RECEIPT: "Sales receipt",
    DocumentKind.REFUND: "Refund",
    DocumentKind.CREDIT_NOTE: "Credit note",
    DocumentKind.REPAYMENT: "Credit note payment",
    DocumentKind.EXPENSE: "Expense",
    DocumentKind.DEPOSIT: "Deposit",
    DocumentKind.TRANSFER: "Transfer",
}
_WHAT_FOR = {
    DocumentKind.PAYMENT: "Paid by Stripe",
    DocumentKind.REFUND: "Money back to the client",
    DocumentKind.CREDIT_NOTE: "Money back to the client",
    DocumentKind.REPAYMENT: "Money back to the client",
    DocumentKind.EXPENSE: "Fees, with those of other payments",
    DocumentKind.DEPOSIT: "Fees returned",
    DocumentKind.TRANSFER: "Money of a dispute",
}
_PAYOUT_STATES = {
    "paid": "arrived",
    "in_transit": "on its way",
    "pending": "on its way",
    "failed": "failed",
    "canceled": "cancelled",
}
_MOVES = {
    ("refund", "succeeded"): "{amount} refunded",
    ("refund", "pending"): "Refund of {amount} on its way",
    ("refund", "requires_action"): "Refund of {amount} on its way",
    ("refund", "failed"): "Refund of {amount} failed; the money came back",
    ("refund", "canceled"): "Refund of {amount} cancelled",
    ("dispute", "won"): "Dispute over {amount}, won since",
    ("dispute", "lost"): "Dispute over {amount}, lost since",
    ("dispute", "prevented"): "Dispute over {amount}, prevented",
}


def payment_view(
    found: PaymentDetail, *, standing: Standing, settings: Settings, links: BooksLinks, place: views.Place
) -> views.PaymentView:
    """Return the whole page."""
    payment = found.payment
    is_foreign = payment.settled_currency is not None and payment.settled_currency != payment.currency
    amount, currency = _amount(payment)
    return views.PaymentView(
        live_since=standing.live_seq,
        id=str(payment.id),
        client=found.client,
        service=found.service,
        paid_at=payment.paid_at,
        state=payment.state.value,
        currency=currency,
        amount_minor=amount,
        client_amount_minor=payment.amount_minor if is_foreign else None,
        client_currency=payment.currency.upper() if is_foreign else None,
        service_id=str(found.service_id) if found.service_id else None,
        books_name=standing.books_name,
        problem=_problem(found, standing),
        posting=_posting(found.ledger) if found.ledger else None,
        documents=tuple(_document(row, found, links, standing.books_name, place) for row in found.documents),
        facts=tuple(_facts(found, standing, settings, place)),
        timeline=tuple(_timeline(found, place)),
        can_ignore=found.can_ignore,
    )


def _amount(payment: Payment) -> tuple[int, str]:
    if payment.settled_minor is not None and payment.settled_currency is not None:
        return payment.settled_minor, payment.settled_currency.upper()
    return payment.amount_minor, payment.currency.upper()


def _problem(found: PaymentDetail, standing: Standing) -> views.Problem | None:
    why = found.why
    if why is None:
        return None
    return views.Problem(
        title=why.wording.title,
        explanation=why.wording.explanation,
        # The lines are on this very page; a link to them is of use only while there are any.
        action=Action.NONE.value
        if why.wording.action is Action.SEE_LINES and found.ledger is None
        else why.wording.action.value,
        can_retry=found.can_retry,
        attempts=found.tries,
        last_tried_at=found.last_tried_at,
        next_try_at=why.until,
        said=found.said,
        said_by=standing.books_name,
        reference=found.said_reference,
        recreate_path=f"/reconciliation/items/{found.recreate_item_id}/recreate" if found.recreate_item_id else "",
        in_the_way=f"{_KINDS.get(blocks.kind, 'Entry')} {blocks.number}" if (blocks := found.in_the_way) else "",
    )


def _posting(ledger: Ledger) -> views.Posting:
    groups = tuple(
        views.PostingGroup(
            title=title,
            lines=tuple(
                views.PostingLine(
                    account=line.account_name,
                    note=line.note,
                    debit_minor=line.debit_minor,
                    credit_minor=line.credit_minor,
                    why=line.why,
                )
                for line in lines
            ),
        )
        for title, lines in groupby(ledger.lines, key=lambda line: line.group)
    )
    return views.Posting(
        currency=ledger.currency.upper(),
        groups=groups,
        total_debit_minor=sum(line.debit_minor or 0 for line in ledger.lines),
        total_credit_minor=sum(line.credit_minor or 0 for line in ledger.lines),
        is_posted=ledger.is_posted,
    )


def _document(
    row: InBooks, found: PaymentDetail, links: BooksLinks, books: str, place: views.Place
) -> views.DocumentRow:
    return views.DocumentRow(
        label=f"{_KINDS.get(row.kind, 'Entry')} {row.number}",
        day=row.day,
        amount_minor=row.total_minor,
        currency=row.currency.upper(),
        what_for=_WHAT_FOR.get(row.kind, found.service),
        href=links.to(row.kind, row.external_id),
        words=what_changed(row.difference, books, place) if row.difference else "",
    )


def _facts(found: PaymentDetail, standing: Standing, settings: Settings, place: views.Place) -> list[views.Fact]:
    payment = found.payment
    gross, currency = _amount(payment)
    facts = [views.Fact(label="Gross", amount_minor=gross, currency=currency)]
    if payment.fee_minor is not None:
        facts.append(views.Fact(label="Stripe fee", amount_minor=-payment.fee_minor, currency=currency))
    if payment.net_minor is not None:
        facts.append(views.Fact(label="Net", amount_minor=payment.net_minor, currency=currency, is_strong=True))
    else:
        facts.append(views.Fact(label="Fee and net", text="Known once Stripe has settled it"))
    if payment.refunded_minor:
        facts.append(
            views.Fact(label="Refunded", amount_minor=-payment.refunded_minor, currency=payment.currency.upper())
        )
    if found.paid_out is not None:
        arrives = f"{_PAYOUT_STATES.get(found.paid_out.status, found.paid_out.status)}, "
        arrives += write_short_date(found.paid_out.arrives, place)
        href = f"/payouts/{found.paid_out.id}"
        facts.append(views.Fact(label="Payout", text=arrives, href=href, link_label="See the proof"))
    for line in {line.service_id: line for line in found.lines}.values():
        href = f"/mapping#s-{line.service_id}"
        facts.append(views.Fact(label="Service", text=line.service, href=href, link_label="Mapping"))
        facts.append(views.Fact(label="Known by", text=line.found_by))
    if found.email:
        facts.append(views.Fact(label="E-mail", text=found.email))
    if payment.paid_with:
        facts.append(views.Fact(label="Paid with", text=payment.paid_with))
    stripe_url = stripe_payment_url(settings, standing.stripe, payment.source_id)
    facts.append(views.Fact(label="Stripe payment", text=payment.source_id, href=stripe_url, is_code=True))
    if found.reference:
        facts.append(views.Fact(label="Our reference", text=found.reference, is_code=True))
    return facts


def _timeline(found: PaymentDetail, place: views.Place) -> list[views.TimelineEvent]:
    """Return the history, newest first; seconds are told where two entries share a minute."""
    payment = found.payment
    events = [
        views.TimelineEvent(at=one.at, text=one.text, note=one.note, code=one.code, icon=one.icon, tone=one.tone)
        for one in found.history
    ]
    if found.seen is not None:
        events.append(
            views.TimelineEvent(at=found.seen.at, text="Message from Stripe stored", code=found.seen.type, tone="good")
        )
    paid = write_money(payment.amount_minor, payment.currency, place.locale)
    how = f" by {payment.paid_with}" if payment.paid_with else ""
    events.append(views.TimelineEvent(at=payment.paid_at, text=f"{found.client} paid {paid}{how}", icon="credit-card"))
    events += [_moved(one, place) for one in found.moved]
    events.sort(key=lambda event: event.at, reverse=True)
    minutes = [event.at.replace(second=0, microsecond=0) for event in events]
    return [
        replace(event, with_seconds=minutes.count(minute) > 1) for event, minute in zip(events, minutes, strict=True)
    ]


def _moved(one: Moved, place: views.Place) -> views.TimelineEvent:
    """Say what Stripe tells of a refund or a dispute; an open dispute is the one thing here that needs an eye."""
    amount = write_money(one.amount_minor, one.currency, place.locale)
    fallback = "Refund of {amount}" if one.kind == "refund" else "The client disputes {amount}"
    text = _MOVES.get((one.kind, one.status), fallback).format(amount=amount)
    return views.TimelineEvent(
        at=one.at, text=text, icon="rotate-cw" if one.kind == "refund" else "triangle-alert",
        tone="alert" if one.kind == "dispute" and one.status not in ("won", "prevented") else "plain",
    )  # fmt: skip
