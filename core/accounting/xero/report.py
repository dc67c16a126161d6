"""What an account holds, from Xero's trial balance: the one report that has every account of the chart.

Of an account of the balance sheet, the columns of the year show all that was ever booked there; the two before them
show only the current month. An account without a row has never held anything.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import msgspec

from core.accounting.xero.amounts import minor_units
from core.accounting.xero.answers import read_list
from core.accounting.xero.client import XeroClient
from core.errors import OutcomeUnknownError, ProviderRejectedError, ProviderUnavailableError, ReconnectRequiredError
from core.reasons import Reason

_DEBIT, _CREDIT = "YTD Debit", "YTD Credit"


class _Part(msgspec.Struct, frozen=True, rename="pascal"):
    """One object of a report."""


class Attribute(_Part, frozen=True):
    """What a cell is about."""

    id: str = ""
    value: str = ""


class Cell(_Part, frozen=True):
    """One cell, as text."""

    value: str | None = None
    attributes: tuple[Attribute, ...] | None = None


class Line(_Part, frozen=True):
    """A row, or a section of rows."""

    row_type: str = ""
    cells: tuple[Cell, ...] | None = None
    rows: tuple["Line", ...] | None = None


class Report(_Part, frozen=True):
    """A report."""

    rows: tuple[Line, ...] = ()


async def read_balance(client: XeroClient, account_id: str, *, currency: str) -> int:
    """Return what the account holds today by the organisation's own calendar, in minor units, debit positive.

    Raises:
        ProviderUnavailableError: the report is not one that can be read.
        ProviderRejectedError: ``NO_RIGHTS``: whoever connected may not read reports, or consented before we asked for
            them. That stops the proof and nothing else; a connection that is gone shows itself in every other call.
    """
    try:
        reply = await client.read("/Reports/TrialBalance")
    except ReconnectRequiredError as exc:
        raise ProviderRejectedError(Reason.NO_RIGHTS, exc.text, request_id=exc.request_id, status=exc.status) from exc
    reports = read_list(reply.body, "Reports", Report, request_id=reply.request_id)
    try:
        lines = [line for report in reports for line in _flat(report.rows)]
        heads = next([cell.value for cell in line.cells or ()] for line in lines if line.row_type == "Header")
        debit, credit = heads.index(_DEBIT), heads.index(_CREDIT)
        own = next((line.cells or () for line in lines if _is_of(line, account_id)), None)
        return 0 if own is None else minor_units(_amount(own[debit]) - _amount(own[credit]), currency)
    except (StopIteration, ValueError, IndexError, InvalidOperation, OutcomeUnknownError) as exc:
        raise ProviderUnavailableError(
            "Xero answered without a readable trial balance", request_id=reply.request_id, status=200
        ) from exc


def _flat(lines: tuple[Line, ...]) -> Iterator[Line]:
    for line in lines:
        yield line
        yield from _flat(line.rows or ())


def _is_of(line: Line, account_id: str) -> bool:
    named = (attribute for cell in line.cells or () for attribute in cell.attributes or ())
    return any(attribute.id == "account" and attribute.value.lower() == account_id.lower() for attribute in named)


def _amount(cell: Cell) -> Decimal:
    return Decimal((cell.value or "0").replace(",", "") or "0")
