"""The reconciliation as files for a spreadsheet: open things, the payouts of a month, and one certificate.

Written like the payments: every field quoted, no cell a formula, amounts exact, and a last line that equals the screen.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import date

from core.db.session import Database
from core.reports.csv_export import BOM, CHUNK, STATE_WORDS, lines, plain, safe
from core.reports.payout import Certificate, CertificateRow, Proven
from core.reports.payouts import PayoutRow, read_payout_month
from core.reports.reconciliation_items import (
    OpenItem,
    Place,
    Totals,
    read_open_changes,
    read_open_others,
    read_open_payments,
)
from core.reports.standing import Standing

OPEN_COLUMNS = (
    "date", "type", "client", "email", "service", "currency", "gross", "fee", "net", "state", "reason",
    "ledger_document", "ledger_total_was", "ledger_total_now", "stripe_id",
)  # fmt: skip
PAYOUT_COLUMNS = (
    "arrival_date", "payout_id", "state", "currency", "payments", "gross", "fees", "refunds", "disputes", "other",
    "net", "in_books", "difference",
)  # fmt: skip
LINE_COLUMNS = (
    "date", "reporting_category", "balance_transaction_id", "client", "description", "currency", "gross", "fee", "net",
    "tieout", "books", "difference", "ledger_documents", "ledger_document_ids", "times_posted",
)  # fmt: skip

_READERS = (read_open_payments, read_open_others, read_open_changes)


async def write_open_csv(db: Database, *, standing: Standing, chunk: int = CHUNK) -> AsyncIterator[bytes]:
    """Yield everything that is not reconciled, each chunk read in a short session of its own.

    Args:
        db: where to read.
        standing: of the tenant.
        chunk: rows read at a time.
    """
    totals = Totals()
    yield (BOM + lines([OPEN_COLUMNS])).encode()
    for reader in _READERS:
        place: Place | None = None
        while True:
            async with db.tenant(standing.tenant_id) as session:
                found = await reader(session, standing, before=place, limit=chunk)
            for one in found:
                totals.add(one.currency, one.net_minor)
            if found:
                yield lines([_open_record(one, standing) for one in found]).encode()
                place = found[-1].at, found[-1].id
            if len(found) < chunk:
                break
    yield lines(_open_totals(totals, standing.main_currency)).encode()


def _open_record(one: OpenItem, standing: Standing) -> tuple[str, ...]:
    changed = one.changed
    day = one.at.astimezone(standing.zone).date().isoformat()
    was, now = ("", "")
    if changed is not None:
        was = plain(changed.total_minor, one.currency)
        now = "" if changed.read_total_minor is None else plain(changed.read_total_minor, one.currency)
    return (
        day,
        "changed_document" if changed else one.kind.value,
        safe(one.client),
        safe(one.email),
        safe(one.what_for),
        one.currency.upper(),
        plain(one.gross_minor, one.currency),
        plain(one.fee_minor, one.currency),
        plain(one.net_minor, one.currency),
        STATE_WORDS[one.state],
        safe(_reason(one, standing)),
        safe(changed.number) if changed else "",
        was,
        now,
        safe(one.source_id),
    )


def _reason(one: OpenItem, standing: Standing) -> str:
    if one.changed is None:
        return one.why.wording.short if one.why else ""
    return f"{'Removed' if one.changed.is_gone else 'Changed'} in {standing.books_name}"


def _open_totals(totals: Totals, main: str) -> list[tuple[str, ...]]:
    found = totals.by_currency(main)
    rows = [(one.currency, one.count, one.minor) for one in reversed(found)] or [(main, 0, 0)]
    return [
        ("Total", str(count), "", "", "", currency.upper(), "", "", plain(minor, currency), "", "", "", "", "", "")
        for currency, count, minor in rows
    ]


async def write_payouts_csv(
    db: Database, *, standing: Standing, month: date, words: dict[str, str]
) -> AsyncIterator[bytes]:
    """Yield the payouts of a month with their proof in figures.

    Args:
        db: where to read.
        standing: of the tenant.
        month: any day of it.
        words: what each state of a payout is called.
    """
    async with db.tenant(standing.tenant_id) as session:
        found = await read_payout_month(session, standing=standing, month=month, page_size=10**6)
    yield (BOM + lines([PAYOUT_COLUMNS])).encode()
    yield lines([_payout_record(row, words) for row in found.rows]).encode()
    parts, code = found.parts, found.currency
    other = parts.other_minor + found.without_parts_minor
    amounts = (parts.gross_minor, parts.fees_minor, parts.refunds_minor, parts.disputes_minor, other, found.paid_minor)
    total = (
        "Total", "", "", code.upper(), str(parts.payments), *(plain(minor, code) for minor in amounts), "",
        plain(found.differ_minor, code),
    )  # fmt: skip
    yield lines([total]).encode()


def _payout_record(row: PayoutRow, words: dict[str, str]) -> tuple[str, ...]:
    code, parts = row.currency, row.parts
    shares: tuple[str, ...] = ("",) * 6
    if parts is not None:
        minors = (parts.gross_minor, parts.fees_minor, parts.refunds_minor, parts.disputes_minor, parts.other_minor)
        shares = (str(parts.payments), *(plain(minor, code) for minor in minors))
    return (
        row.arrival_date.isoformat(),
        safe(row.stripe_id),
        words[row.state.value],
        code.upper(),
        *shares,
        plain(row.amount_minor, code),
        "" if row.in_books_minor is None else plain(row.in_books_minor, code),
        "" if row.difference_minor is None else plain(row.difference_minor, code),
    )


def write_certificate_csv(found: Certificate) -> Iterable[bytes]:
    """Yield one certificate: a line for each balance transaction, then the totals."""
    code = found.payout.currency
    yield (BOM + lines([LINE_COLUMNS])).encode()
    yield lines([_line_record(row, code) for row in found.rows]).encode()
    sums = (found.stripe_minor, found.ours_minor, found.books_minor, found.books_minor - found.stripe_minor)
    total = ("Total", "", "", "", "", code.upper(), "", "", *(plain(minor, code) for minor in sums), "", "", "")
    yield lines([total]).encode()


def _line_record(row: CertificateRow, code: str) -> tuple[str, ...]:
    amounts = (
        row.gross_minor, row.fee_minor, row.stripe_minor, row.ours_minor, row.books_minor, row.difference_minor,
    )  # fmt: skip
    return (
        row.day.isoformat(),
        safe(row.category),
        safe(row.stripe_id),
        safe(row.client),
        safe(row.what_for),
        code.upper(),
        *(plain(minor, code) for minor in amounts),
        safe(" ".join(_number(one) for one in row.documents)),
        safe(" ".join(one.external_id for one in row.documents)),
        " ".join(str(one.copies) for one in row.documents),
    )


def _number(one: Proven) -> str:
    return f"{one.kind.value}:{one.number}"
