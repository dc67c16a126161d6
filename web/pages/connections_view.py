"""The connections page from what is known: pure, no queries."""

from core.config import Settings
from core.connections.health import Calls, ConnectionReport, ConnectionsReport
from core.connections.providers import STRIPE, display_name, is_offered, offered_ledgers
from core.connections.refusals import other_books
from core.connections.restricted_key import RIGHTS, key_form_url
from core.db.models import ConnectionMode
from core.reports.standing import Standing
from web.formats import local_day, write_ago, write_count, write_day_time
from web.views import ConnectionCard, ConnectionsView, Fact, KeyForm, Notice, Place

_ABOUT_STRIPE = "We read payments, fees, refunds and payouts. We never move money and never change anything at Stripe."
_ABOUT_BOOKS = (
    "We read accounts, tax codes and customers and write what Stripe did: sales, fees, refunds, disputes, payouts. "
    "What you entered stays as it is."
)
_ACCESS = {
    ConnectionMode.STRIPE_APP: "Read only",
    # Connect knows no narrower consent; what we do with it is the same.
    ConnectionMode.STRIPE_CONNECT: "Read and write, used to read only",
    ConnectionMode.RESTRICTED_KEY: "Restricted key, read only",
    ConnectionMode.OAUTH: "Accounting, read and write",
    ConnectionMode.BUILT_IN: "Practice books on this machine",
}
_NOT_SET_UP = "Whoever runs this installation has not set {name} up yet."


def connections_view(
    report: ConnectionsReport,
    *,
    standing: Standing,
    settings: Settings,
    place: Place,
    can_manage: bool,
    key_error: str = "",
) -> ConnectionsView:
    """Return the page. ``key_error`` says why a pasted key was refused."""
    key_form = KeyForm(
        permissions=tuple(right.label for right in RIGHTS),
        make_href=key_form_url(settings.stripe_dashboard_base),
        error=key_error,
    )
    starts_at = standing.posting_starts_at
    return ConnectionsView(
        stripe=_card(STRIPE, report, settings=settings, place=place, can_manage=can_manage, key_form=key_form),
        ledgers=tuple(
            _card(kind, report, settings=settings, place=place, can_manage=can_manage)
            for kind in _shown(report, settings)
        ),
        first_day=local_day(starts_at, place) if starts_at else None,
    )


def connection_card(
    kind: str, report: ConnectionsReport, *, settings: Settings, place: Place, can_manage: bool
) -> ConnectionCard | None:
    """Return the card of an open connection, for the page that asks before it ends."""
    if report.find(kind) is None:
        return None
    return _card(kind, report, settings=settings, place=place, can_manage=can_manage)


def _shown(report: ConnectionsReport, settings: Settings) -> tuple[str, ...]:
    """Ledgers that can be connected, and the one that is, even if it can no longer be."""
    offered = offered_ledgers(settings)
    return offered if report.books is None or report.books.kind in offered else (*offered, report.books.kind)


def _card(
    kind: str,
    report: ConnectionsReport,
    *,
    settings: Settings,
    place: Place,
    can_manage: bool,
    key_form: KeyForm | None = None,
) -> ConnectionCard:
    found = report.find(kind)
    icon = "credit-card" if kind == STRIPE else "book-open"
    can_connect = is_offered(settings, kind)
    if found is None:
        return ConnectionCard(
            key=kind,
            name=display_name(kind),
            icon=icon,
            state="not_connected",
            about=_about(kind, can_connect=can_connect, has_key_form=key_form is not None),
            blocked=_blocked(kind, report),
            can_connect=can_connect,
            can_manage=can_manage,
            key_form=key_form,
        )
    return ConnectionCard(
        key=kind,
        name=found.name,
        icon=icon,
        state="needs_attention" if found.needs_reconnect else "connected",
        company=found.company,
        connected_at=found.connected_at,
        connected_by=found.connected_by,
        last_checked_at=found.last_checked_at,
        consent_ends_on=local_day(found.consent_ends_at, place) if found.consent_ends_at else None,
        facts=_facts(found, place),
        notice=_notice(found, report.waiting) if found.needs_reconnect else None,
        can_connect=can_connect,
        can_manage=can_manage,
        is_test_mode=found.is_test_mode,
        waiting=report.waiting,
        key_form=key_form,
    )


def _about(kind: str, *, can_connect: bool, has_key_form: bool) -> str:
    if not can_connect and not has_key_form:
        return _NOT_SET_UP.format(name=display_name(kind))
    return _ABOUT_STRIPE if kind == STRIPE else _ABOUT_BOOKS


def _blocked(kind: str, report: ConnectionsReport) -> str:
    if kind == STRIPE or report.books is None:
        return ""
    refusal = other_books(kind, other=report.books.name)
    return f"{refusal.title}. {refusal.message}"


def _notice(found: ConnectionReport, waiting: int) -> Notice:
    if found.kind == STRIPE:
        return Notice(
            title="Stripe is disconnected.", text="We cannot see new payments. Nothing in your books changed."
        )
    if not waiting:
        text = "Nothing is lost. New payments wait and post by themselves once you reconnect."
    else:
        is_one = waiting == 1
        verb, pronoun = ("is", "It posts by itself") if is_one else ("are", "They post by themselves")
        count = write_count(waiting, "payment", spell=True)
        text = f"{count[:1].upper()}{count[1:]} {verb} waiting and nothing is lost. {pronoun} once you reconnect."
    return Notice(title=f"{found.name} needs you to sign in again.", text=text)


def _facts(found: ConnectionReport, place: Place) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    if found.kind == STRIPE:
        if found.last_event_at is not None:
            facts.append(Fact(label="Last event", text=write_ago(found.last_event_at, place)))
        facts.append(Fact(label="Today", text=f"{write_count(found.events_today, 'event')}, all stored"))
    else:
        if found.last_posted_at is not None:
            facts.append(Fact(label="Last posted", text=write_day_time(found.last_posted_at, place)))
        facts.append(Fact(label="Posted this month", text=write_count(found.posted_this_month, "payment")))
        if found.calls.calls:
            facts.append(Fact(label="Calls this month", text=_say_calls(found.calls)))
    facts.append(Fact(label="Access", text=_ACCESS[found.mode]))
    return tuple(facts)


def _say_calls(calls: Calls) -> str:
    text = f"{calls.calls:,}"
    if calls.per_hundred is not None:
        text += f", {calls.per_hundred:,} for each 100 payments"
    if calls.slow_downs:
        text += f", asked to slow down {write_count(calls.slow_downs, 'time')}"
    return text
