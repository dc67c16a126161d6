"""Pages outside the shell: sign in, sign up, password again, errors.

Their templates get ``door`` (a :class:`Door`) beside their own ``view``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from zoneinfo import available_timezones

from web.views.mapping import Choice, ChoiceGroup
from web.views.shell import Link, Toast

_REGIONS = ("America", "Europe", "Australia", "Pacific", "Asia", "Africa", "Atlantic", "Indian")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What a page needs that is read by nobody in particular. On the error page ``csrf_token`` may be ""."""

    csrf_token: str = ""
    toast: Toast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInView:
    """``error`` is the one text for every failed try (A3); ``next`` was checked by the handler (S8)."""

    email: str = ""
    error: str = ""
    next: str = ""
    can_sign_up: bool = True
    demo_email: str = ""
    demo_password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpView:
    """``errors`` by field name: email, password, workspace, zone. The password is never shown again."""

    workspace: str = ""
    email: str = ""
    zone: str = "America/New_York"
    errors: Mapping[str, str] = field(default_factory=dict)
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpView:
    """Password again (S6).

    ``purpose`` completes "To ...": "disconnect QuickBooks". Afterwards the person is at ``next``, a path of ours.
    """

    email: str
    purpose: str
    next: str
    error: str = ""
    back_href: str = "/connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """What happened, what it means, one way on. ``request_id`` is what support needs."""

    status: int
    title: str
    text: str
    link: Link
    request_id: str = ""


@cache
def zone_groups() -> tuple[ChoiceGroup, ...]:
    """Return the time zones that people live in, by region, for the select of the sign-up form."""
    groups: dict[str, list[Choice]] = {region: [] for region in _REGIONS}
    for name in sorted(available_timezones()):
        region, _, city = name.partition("/")
        if city and region in groups:
            groups[region].append(Choice(id=name, label=city.replace("_", " ").replace("/", ", ")))
    return tuple(ChoiceGroup(label=region, choices=tuple(found)) for region, found in groups.items())
