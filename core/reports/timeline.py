"""The history of one payment in plain words, newest first. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from core.db.models import AttemptOutcome
from core.reasons import WORDING, Reason


@dataclass(frozen=True, slots=True)
class Try:
    """One stored attempt, with the name of the person who asked for it, if it was one."""

    outcome: AttemptOutcome
    step: str | None
    at: datetime
    text: str | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry. ``tone``: plain, good, alert. ``icon`` is a name of the icon sheet."""

    at: datetime
    text: str
    note: str = ""
    code: str = ""
    icon: str = "check"
    tone: str = "plain"


_THINGS = {
    "customer": "client",
    "item": "service",
    "payee": "payee",
    "invoice": "invoice",
    "payment": "payment",
    "sales_receipt": "sales receipt",
    "refund": "refund",
    "refund_paid": "payment of the credit note",
    "refund_failed": "failed refund",
    "held": "disputed amount",
    "fee": "dispute fee",
    "released": "won dispute",
    "fee_returned": "returned dispute fee",
    "lost": "lost dispute",
    "lost_paid": "lost dispute",
}

# "{thing}", "{books}" and "{who}" are filled in.
_SAID: dict[AttemptOutcome, tuple[str, str, str]] = {
    AttemptOutcome.CONFIRMED: ("The {thing} was written to {books}", "check", "good"),
    AttemptOutcome.FOUND: ("The {thing} was found in {books}", "check", "good"),
    AttemptOutcome.NOT_FOUND: ("The {thing} is not in {books} yet", "search", "plain"),
    AttemptOutcome.NOT_SENT: ("{books} could not be reached", "rotate-cw", "plain"),
    AttemptOutcome.UNKNOWN: ("The line broke while we were posting the {thing}", "rotate-cw", "plain"),
    AttemptOutcome.RATE_LIMITED: ("{books} asked us to slow down", "clock", "plain"),
    AttemptOutcome.UNAVAILABLE: ("{books} was not answering", "rotate-cw", "plain"),
    AttemptOutcome.ACCESS_EXPIRED: ("{books} asked for a fresh sign-in", "rotate-cw", "plain"),
    AttemptOutcome.REJECTED: ("{books} refused the {thing}", "triangle-alert", "alert"),
    AttemptOutcome.DIFFERENT: ("What stands in {books} differs from the {thing} we sent", "triangle-alert", "alert"),
    AttemptOutcome.STOPPED: ("We stopped before posting", "triangle-alert", "alert"),
    AttemptOutcome.RETRY_ASKED: ("{who} asked for another try", "rotate-cw", "plain"),
    AttemptOutcome.RECREATE_ASKED: ("{who} had made again what was removed in {books}", "rotate-cw", "plain"),
    AttemptOutcome.IGNORED: ("{who} left the payment out of the books", "circle-minus", "plain"),
}
_NOTES = {
    AttemptOutcome.UNKNOWN: "We look it up before we try again",
    AttemptOutcome.NOT_SENT: "Nothing was sent, so nothing can be doubled",
}


def tell(tries: Sequence[Try], *, books: str) -> list[Happening]:
    """Return the attempts as entries, newest first; the same answer several times in a row is one entry."""
    told = []
    ordered = sorted(tries, key=lambda one: one.at)
    for _, same in groupby(ordered, key=lambda one: (one.outcome, one.step, one.text)):
        told.append(_entry(list(same), books))
    return told[::-1]


def _entry(same: list[Try], books: str) -> Happening:
    last = same[-1]
    text, icon, tone = _SAID[last.outcome]
    kind = (last.step or "").partition(":")[0]
    filled = text.format(thing=_THINGS.get(kind, "entry"), books=books, who=last.by or "Someone")
    note = _note(last)
    if len(same) > 1:
        note = f"{note + '. ' if note else ''}Same answer {len(same)} times"
    return Happening(last.at, filled, note=note, icon=icon, tone=tone)


def _note(last: Try) -> str:
    if last.outcome is AttemptOutcome.STOPPED and last.text in set(Reason):
        return WORDING[Reason(last.text)].filled({}).short
    if last.outcome is AttemptOutcome.IGNORED:
        return last.text or ""
    return _NOTES.get(last.outcome, "")
