"""The certificate of a payout as its template wants it."""

from collections.abc import Iterable
from datetime import date

from core.db.models import Drift, Payout
from core.reports.links import BooksLinks
from core.reports.payout import Certificate, CertificateRow, Proven
from core.reports.payouts import PayoutState
from core.reports.reconciliation_kinds import Group
from core.reports.standing import Standing
from web import views
from web.formats import (
    local_day,
    write_count,
    write_day_time,
    write_long_date,
    write_money,
    write_period,
)
from web.pages.changes_view import what_changed
from web.pages.reconciliation_view import PATH, PAYOUTS, can_check, document_label

_GROUPS = {
    Group.PAYMENTS: "Payment",
    Group.REFUNDS: "Refund",
    Group.DISPUTES: "Dispute",
    Group.FEES: "Stripe’s own charge",
    Group.OTHER: "Movement",
}
_CATEGORIES = {
    "refund_failure": "Refund that failed",
    "charge_failure": "Payment that failed",
    "dispute_reversal": "Dispute won",
    "partial_capture_reversal": "Part of a payment not taken",
}


def payout_view(found: Certificate, *, standing: Standing, links: BooksLinks, place: views.Place) -> views.PayoutView:
    """Return the whole page."""
    payout, row = found.payout, found.row
    words = _Words(found, standing, links, place)
    title, text = words.notice()
    return views.PayoutView(
        live_since=standing.live_seq,
        id=str(payout.id),
        stripe_id=payout.stripe_id,
        title=f"Payout of {write_long_date(payout.arrival_date, place)}",
        subtitle=words.subtitle(),
        books_name=standing.books_name,
        day=payout.arrival_date,
        state=row.state.value,
        currency=row.currency.upper(),
        proof=tuple(words.proof()),
        net_minor=payout.amount_minor,
        ends=tuple(words.ends()),
        difference_minor=row.difference_minor,
        transfers=tuple(words.mark(one) for one in found.transfers),
        notice=title,
        notice_text=text,
        lines=tuple(words.line(one, index) for index, one in enumerate(found.rows)),
        more=found.more,
        stripe_minor=found.stripe_minor,
        ours_minor=found.ours_minor,
        books_minor=found.books_minor,
        once=words.once(),
        is_doubled=bool(found.doubled),
        unread=words.unread(),
        read_at=found.last_read_at,
        prepared=words.prepared(),
        can_check=can_check(standing),
        csv_href=f"{PAYOUTS}/{payout.id}/lines.csv",
        back_href=_back(payout.arrival_date, place),
    )


def _back(day: date, place: views.Place) -> str:
    is_now = local_day(place.now, place).replace(day=1) == day.replace(day=1)
    return PATH if is_now else f"{PATH}?month={day:%Y-%m}"


class _Words:
    """Writes one certificate for one reader."""

    def __init__(self, found: Certificate, standing: Standing, links: BooksLinks, place: views.Place) -> None:
        self._found, self._standing, self._links, self._place = found, standing, links, place
        self._payout: Payout = found.payout
        self._books = standing.books_name

    def subtitle(self) -> str:
        days = [row.day for row in self._found.rows if not row.is_shared]
        into = f"{'Paid to' if self._payout.amount_minor >= 0 else 'Taken from'} {self._bank()}"
        return f"{into}, covers {write_period(min(days), max(days), self._place)}" if days else into

    def _bank(self) -> str:
        name = self._payout.bank_name or "your bank"
        return f"{name} ending {self._payout.bank_last4}" if self._payout.bank_last4 else name

    def proof(self) -> Iterable[views.ProofLine]:
        parts = self._found.row.parts
        if parts is None:
            return
        yield views.ProofLine(
            label="Gross", amount_minor=parts.gross_minor, small=write_count(parts.payments, "payment")
        )
        fee = write_money(-parts.dispute_fees_minor, self._payout.currency, self._place.locale)
        small = f"with {fee} for disputes" if parts.dispute_fees_minor else ""
        yield views.ProofLine(label="Stripe fees", amount_minor=parts.fees_minor, small=small)
        if parts.refunds:
            yield views.ProofLine(label="Refunds", amount_minor=parts.refunds_minor, small=f"{parts.refunds:,}")
        if parts.disputes:
            yield views.ProofLine(label="Disputes", amount_minor=parts.disputes_minor, small=f"{parts.disputes:,}")
        if parts.other_minor:
            yield views.ProofLine(label="Other movements", amount_minor=parts.other_minor)
        unknown = self._payout.amount_minor - parts.net_minor
        if unknown:
            yield views.ProofLine(label="Not named by Stripe", amount_minor=unknown)

    def ends(self) -> Iterable[views.ProofLine]:
        day = write_long_date(self._payout.arrival_date, self._place)
        arrived = self._payout.status == "paid"
        said = {"failed": "it failed", "canceled": "it was cancelled"}.get(self._payout.status, f"expected on {day}")
        yield views.ProofLine(
            label=f"Arrived in {self._bank()}",
            amount_minor=self._payout.amount_minor if arrived else None,
            small=f"confirmed by Stripe on {day}" if arrived else said,
        )
        if self._found.row.state is PayoutState.BEFORE_START:
            return
        transfers = self._found.transfers
        yield views.ProofLine(
            label=f"{'Transfer' if len(transfers) < 2 else 'Transfers'} in {self._books}",
            amount_minor=self._found.row.transfer_minor,
            small=self._transfer_words() or ("" if transfers else "not there yet"),
        )

    def _transfer_words(self) -> str:
        """Say what became of the transfer itself: it stands in no line of the payout."""
        return ". ".join(self.change(one) for one in self._found.transfers if one.is_changed)

    def notice(self) -> tuple[str, str]:
        row = self._found.row
        if row.state is PayoutState.BEFORE_START:
            return "Before your first day.", (
                "This payout left Stripe before you started, so it is out of scope. Your opening balance stands for it."
            )
        changed = self._transfer_words()
        if changed:
            return f"The transfer was changed in {self._books}.", (
                f"{changed}. Stripe’s payout is what it was. Correct the transfer there, then check the books again."
            )
        if self._payout.status in ("failed", "canceled"):
            return "This payout failed.", (
                f"{self._payout.failure_message or 'The money went back to your Stripe balance.'}"
                " Nothing is missing from your books."
            )
        if not self._payout.automatic:
            return "Stripe gives no breakdown here.", (
                "You started this payout by hand, so Stripe does not say what is in it. The balance check on the"
                " reconciliation page covers it."
            )
        if row.state is PayoutState.WAITING:
            return "Not complete yet.", (
                f"{write_count(row.waiting, 'entry is', 'entries are')} not in {self._books} yet. Nothing is lost;"
                " this page follows by itself."
                if row.waiting
                else "Stripe is still listing what is in it. This page follows by itself."
            )
        return "", ""

    def line(self, row: CertificateRow, index: int) -> views.CertificateLine:
        shared = row.documents[0] if row.is_shared and row.documents else None
        title = row.client or _CATEGORIES.get(row.category) or _GROUPS.get(row.group, "Movement")
        kind = "" if not row.client or row.group is Group.PAYMENTS else f"{_GROUPS.get(row.group, 'Movement')}, "
        sub = f"{kind}{row.what_for}".strip(", ")
        if shared is not None:
            title, sub = document_label(shared.kind, shared.number), "Books several lines of this payout together"
        return views.CertificateLine(
            key=row.stripe_id or f"shared-{index}",
            title=title,
            sub=sub,
            day=row.day,
            stripe_minor=None if row.is_shared else row.stripe_minor,
            ours_minor=None if row.is_shared or row.is_before_start else row.ours_minor,
            books_minor=None if row.is_before_start else row.books_minor,
            difference_minor=None if row.is_before_start else row.difference_minor,
            documents=tuple(self.mark(one) for one in row.documents),
            words=self._words(row),
            code=row.stripe_id,
            href=f"/payments/{row.payment_id}" if row.payment_id else "",
            is_odd=bool(row.difference_minor),
        )

    def _words(self, row: CertificateRow) -> str:
        if row.is_before_start:
            return "Before your first day, in the opening balance"
        if row.is_left_out:
            return "Left out by you, to be entered by hand"
        named = [one for one in row.documents if one.is_changed and (row.is_shared or not self._is_shared(one))]
        # That its invoice is open follows from what became of the payment: the cause is named, not what follows.
        causes = [one for one in named if one.difference and one.difference.drift is not Drift.UNPAID] or named
        changed = [self.change(one) for one in causes]
        if changed:
            return ". ".join(changed)
        if row.ours_minor != row.stripe_minor and not row.is_shared:
            return f"Not in {self._books} yet"
        return ""

    def _is_shared(self, document: Proven) -> bool:
        """A document with a row of its own is named there."""
        return any(row.is_shared and document in row.documents for row in self._found.rows)

    def change(self, one: Proven) -> str:
        label = document_label(one.kind, one.number)
        return f"{label}: {what_changed(one.difference, self._books, self._place)}" if one.difference else label

    def mark(self, one: Proven) -> views.DocumentMark:
        return views.DocumentMark(
            label=document_label(one.kind, one.number),
            external_id=one.external_id,
            times=one.copies,
            href=self._links.to(one.kind, one.external_id) if one.external_id else None,
        )

    def once(self) -> str:
        """Say how often each entry of ours stands in the books: the proof that nothing is there twice."""
        found = self._found
        if not found.documents:
            return ""
        if found.doubled:
            return f"{write_count(found.doubled, 'entry stands', 'entries stand')} in {self._books} more than once."
        lines = write_count(sum(not row.is_shared for row in found.rows), "line")
        return f"{lines}, {write_count(found.documents, 'entry', 'entries')}, each in {self._books} once."

    def unread(self) -> str:
        """Say how much of the books' column is only what we sent: no proof before the books were asked."""
        found = self._found
        if not found.unread:
            return ""
        if found.unread == found.documents:
            return "Agrees with what we sent; nothing is read back yet"
        return f"{found.unread:,} of {write_count(found.documents, 'entry', 'entries')} not read back yet"

    def prepared(self) -> str:
        now = self._place.now
        day, clock = write_long_date(now, self._place), write_day_time(now, self._place).rpartition(", ")[2]
        labels = [document_label(one.kind, one.number) for one in self._found.transfers]
        numbers = " and ".join(f"{label[:1].lower()}{label[1:]}" for label in labels)
        entry = f"{self._books} {numbers}" if numbers else f"what {self._books} holds"
        year = local_day(now, self._place).year
        return f"{day}, {year} at {clock} from Stripe payout {self._payout.stripe_id} and {entry}."
