"""The Jinja environment: everything escaped, nothing undefined, and the words and figures written by filters.

A signed-in page gets ``shell`` (:class:`web.views.Shell`) and ``view``; a page outside gets ``door`` and ``view``.
Each template states its ``view`` in its first lines.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from web import formats
from web.assets import AssetError, Assets
from web.views.chart import build_chart
from web.views.doors import zone_groups
from web.views.looks import ACTIONS, CONNECTION_STATES, HEALTH_STATES, PAYOUT_STATES, STATES
from web.views.shell import Place

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
STATIC = TEMPLATES.parent / "static"
_DEFAULT_LOCALE = "en_US"


def build_environment(assets: Assets, *, templates: Path = TEMPLATES) -> Environment:
    """Return the environment of the product; it is built once and holds no state of a request."""
    env = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    env.filters.update(
        money=_money,
        axis_money=_axis_money,
        short_date=_short_date,
        long_date=_long_date,
        period=_period,
        clock_time=_clock_time,
        day_time=_day_time,
        ago=_ago,
        iso=_iso,
        count=formats.write_count,
        sentence=_sentence,
    )
    env.globals.update(
        asset=assets.url,
        icon=_icon_writer(assets),
        build_chart=build_chart,
        zone_groups=zone_groups,
        STATES=STATES,
        CONNECTION_STATES=CONNECTION_STATES,
        HEALTH_STATES=HEALTH_STATES,
        PAYOUT_STATES=PAYOUT_STATES,
        ACTIONS=ACTIONS,
    )
    return env


def render(env: Environment, name: str, context: Mapping[str, Any]) -> str:
    """Return the page called ``name``. A shell that says ``partial`` gives the fragment of the same page."""
    return env.get_template(name).render(context)


def _icon_writer(assets: Assets) -> Callable[..., Markup]:
    sprite = assets.url("icons.svg")

    @cache
    def icon(name: str, size: str = "") -> Markup:
        """Draw one icon of the sprite, hidden from screen readers: a word always stands beside it."""
        if name not in assets.icons:
            raise AssetError(f"no icon is called {name!r}")
        css = f"icon {size}" if size else "icon"
        return Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>').format(css, sprite, name)

    return icon


def _place(context: Context) -> Place:
    shell = context.get("shell")
    if shell is None:
        raise RuntimeError("dates are written for the place of a shell, and this page has none")
    place: Place = shell.place
    return place


def _locale(context: Context) -> str:
    return _place(context).locale if context.get("shell") is not None else _DEFAULT_LOCALE


@pass_context
def _money(context: Context, amount_minor: int, currency: str) -> str:
    return formats.write_money(amount_minor, currency, _locale(context))


@pass_context
def _axis_money(context: Context, amount_minor: int, currency: str) -> str:
    return formats.write_axis_money(amount_minor, currency, _locale(context))


@pass_context
def _short_date(context: Context, when: date | datetime) -> str:
    return formats.write_short_date(when, _place(context))


@pass_context
def _long_date(context: Context, when: date | datetime) -> str:
    return formats.write_long_date(when, _place(context))


@pass_context
def _period(context: Context, first: date, last: date) -> str:
    return formats.write_period(first, last, _place(context))


@pass_context
def _clock_time(context: Context, when: datetime, seconds: bool = False) -> str:
    return formats.write_clock_time(when, _place(context), seconds=seconds)


@pass_context
def _day_time(context: Context, when: datetime) -> str:
    return formats.write_day_time(when, _place(context))


@pass_context
def _ago(context: Context, when: datetime) -> str:
    return formats.write_ago(when, _place(context))


@pass_context
def _iso(context: Context, when: date | datetime) -> str:
    return formats.write_iso(when, _place(context))


def _sentence(text: str) -> str:
    """Return ``text`` with its first letter raised; the rest stays as it is (Jinja's own lowers it)."""
    return text[:1].upper() + text[1:]
