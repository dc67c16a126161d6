"""What a refund takes back of each line of a sale, cut from one running total over all refunds of that payment. Pure.

The whole of a refund is spread over the lines' gross amounts, and each line's tax follows its own gross. Whatever the
rounding on the way, lines that are given back in full are given back to the cent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.books.documents import SaleLine
from core.books.facts import GivenBack, OriginalSale
from core.books.posting import rescale
from core.money import MoneyError


@dataclass(frozen=True, slots=True)
class Share:
    """What is taken back of one line: net and tax, in the lines' currency, with the sign of the line."""

    net: int
    tax: int

    @property
    def gross(self) -> int:
        """Net and tax together."""
        return self.net + self.tax


def lines_given_back(sale: OriginalSale, history: Sequence[GivenBack], amount_minor: int) -> tuple[SaleLine, ...]:
    """Return the parts of the sale's lines that a refund takes back, at the rate of the sale.

    Lines of which nothing is taken back are left out.

    Args:
        sale: the sale as it was booked.
        history: what was given back before, oldest first.
        amount_minor: what is given back now, in the currency that the client paid in.
    """
    shares = _Running(sale).after(history).cut(amount_minor)
    return tuple(
        replace(line, amount_minor=share.net, tax_minor=share.tax)
        for line, share in zip(sale.lines, shares, strict=True)
        if share.net or share.tax
    )


class _Running:
    """The running total of one sale: how much was given back of the whole, and of each line."""

    def __init__(self, sale: OriginalSale) -> None:
        self._sale = sale
        self._whole = [Share(line.amount_minor, line.tax_minor) for line in sale.lines]
        self._given = [Share(0, 0) for _ in sale.lines]
        self._paid_back = 0
        self._by_refund: dict[str, list[Share]] = {}

    def after(self, history: Sequence[GivenBack]) -> "_Running":
        """Take every earlier step; one that came back puts exactly its own shares back."""
        for step in history:
            if step.amount_minor >= 0:
                shares = self._as_booked(step.lines) or self.cut(step.amount_minor)
                self._by_refund[step.source_id] = shares
                self._add(shares, 1)
            else:
                self._add(self._by_refund.pop(step.source_id, []), -1)
            self._paid_back += step.amount_minor
        return self

    def _as_booked(self, lines: Sequence[SaleLine]) -> list[Share]:
        """Return what booked lines took of each line of the sale; nothing where they cannot be told apart.

        They are some of the sale's lines, in its order.
        """
        shares, left = [Share(0, 0) for _ in self._sale.lines], list(lines)
        for position, line in enumerate(self._sale.lines):
            if left and _same(line, left[0]):
                taken = left.pop(0)
                shares[position] = Share(taken.amount_minor, taken.tax_minor)
        fits = all(
            abs(given.gross + share.gross) <= abs(whole.gross)
            for whole, given, share in zip(self._whole, self._given, shares, strict=True)
        )
        return shares if lines and not left and fits else []

    def _add(self, shares: Sequence[Share], sign: int) -> None:
        for position, share in enumerate(shares):
            was = self._given[position]
            self._given[position] = Share(was.net + sign * share.net, was.tax + sign * share.tax)

    def cut(self, amount_minor: int) -> list[Share]:
        """Return the share of each line in the next refund."""
        gross = self._cut_gross(amount_minor)
        return [
            _with_tax(whole, given, part) for whole, given, part in zip(self._whole, self._given, gross, strict=True)
        ]

    def _cut_gross(self, amount_minor: int) -> list[int]:
        whole = [share.gross for share in self._whole]
        given = [share.gross for share in self._given]
        reached = min(max(self._paid_back + amount_minor, 0), self._sale.paid_minor)
        target = _proportion(self._sale.total_minor, reached, self._sale.paid_minor)
        left = [all_ - was for all_, was in zip(whole, given, strict=True)]
        wanted = [goal - was for goal, was in zip(rescale(target, whole), given, strict=True)]
        # Rounding alone could give a line a cent again, or take one more than it has left: neither may be.
        parts = [min(max(part, min(0, rest)), max(0, rest)) for part, rest in zip(wanted, left, strict=True)]
        return _level(parts, left, max(target - sum(given), 0) - sum(parts))


def _same(line: SaleLine, taken: SaleLine) -> bool:
    names = (line.kind, line.service_id, line.description, line.income_account_id, line.tax_code_id)
    return names == (taken.kind, taken.service_id, taken.description, taken.income_account_id, taken.tax_code_id)


def _level(parts: list[int], left: Sequence[int], missing: int) -> list[int]:
    """Spread the few units that the bounds cost over the lines that can bear them, largest rest first."""
    for position in sorted(range(len(parts)), key=lambda one: (-abs(left[one] - parts[one]), one)):
        low, high = min(0, left[position]), max(0, left[position])
        moved = min(max(parts[position] + missing, low), high)
        missing -= moved - parts[position]
        parts[position] = moved
    if missing:
        raise MoneyError("more is given back than the sale brought")
    return parts


def _with_tax(whole: Share, given: Share, gross: int) -> Share:
    if not whole.gross:
        return Share(0, 0)
    tax = _proportion(whole.tax, given.gross + gross, whole.gross) - given.tax
    return Share(gross - tax, tax)


def _proportion(amount: int, part: int, whole: int) -> int:
    """Return ``amount * part / whole``, half a unit rounded up. ``part`` and ``whole`` have one sign."""
    if not whole:
        raise MoneyError("a share of nothing")
    part, whole = abs(part), abs(whole)
    return (2 * amount * part + whole) // (2 * whole)
