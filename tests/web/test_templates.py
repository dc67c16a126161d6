"""Templates: every page renders in every state, says the agreed words, and lets nothing hostile through."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, UndefinedError
from jinja2.exceptions import TemplateError

from core.money import to_decimal
from core.reasons import WORDING, Action
from tests.web import samples
from tests.web.samples import HOSTILE, PAGES, PLACE
from web import formats, views
from web.assets import Assets
from web.templating import STATIC, TEMPLATES, build_environment, render
from web.views.chart import DayAmounts, build_chart
from web.views.doors import zone_groups
from web.views.looks import ACTIONS, STATES

SOURCES = {path.relative_to(TEMPLATES).as_posix(): path.read_text("utf-8") for path in TEMPLATES.rglob("*.html")}
VOID = {"meta", "link", "input", "br", "img", "hr"}


@pytest.fixture(scope="module")
def env() -> Environment:
    return build_environment(Assets(STATIC))


class Page(HTMLParser):
    """The elements of a page, and whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice on <{tag}>: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def by_id(self, wanted: str) -> dict[str, str | None]:
        return next(attrs for _, attrs in self.elements if attrs.get("id") == wanted)


def show(env: Environment, name: str, **changes: Any) -> str:
    template, context = PAGES[name]
    return render(env, template, context | changes)


def fragment_of(env: Environment, name: str) -> str:
    template, context = PAGES[name]
    return render(env, template, context | {"shell": replace(context["shell"], partial=True)})


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_sound_html(env: Environment, name: str):
    page = Page(show(env, name))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids)), sorted(one for one in ids if ids.count(one) > 1)
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    for _, attrs in page.elements:
        for key in ("for", "aria-describedby", "aria-labelledby", "popovertarget", "commandfor", "form"):
            if attrs.get(key):
                assert attrs[key] in ids, f"{key}={attrs[key]}"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_obeys_the_policy(env: Environment, name: str):
    page = Page(show(env, name))
    for tag, attrs in page.elements:
        assert tag not in {"style", "iframe", "object", "embed", "base"}
        for key, value in attrs.items():
            assert not key.startswith(("on", "hx-on")), f"{key} on <{tag}>"
            assert key != "style"
            assert not (value or "").startswith(("javascript:", "js:", "http:", "//")), f"{key}={value}"
        if tag == "script":
            assert (attrs["src"] or "").startswith("/static/")
        if (attrs.get("href") or "").startswith("https:"):
            assert "noopener" in (attrs.get("rel") or ""), attrs


@pytest.mark.parametrize("name", PAGES)
def test_every_post_carries_the_token_and_no_get_does(env: Environment, name: str):
    html = show(env, name)
    expected = samples.SHELL.csrf_token if "shell" in PAGES[name][1] else samples.DOOR.csrf_token
    forms = re.findall(r"<form\b[^>]*>.*?</form>", html, re.DOTALL)
    assert len(forms) == html.count("<form")
    for form in forms:
        is_post = 'method="post"' in form
        assert form.count('name="_csrf_token"') == is_post, form
        assert (f'value="{expected}"' in form) == is_post
        assert re.search(r'action="/[a-z]', form), form


@pytest.mark.parametrize("name", [name for name, (_, context) in PAGES.items() if "shell" in context])
def test_a_partial_request_gets_the_view_and_the_frame_around_it(env: Environment, name: str):
    html = fragment_of(env, name)
    page = Page(html)
    assert html.lstrip().startswith("<div") or "<html" not in html
    assert not page.all("html")
    assert not page.all("h1") or page.by_id("view")
    assert [attrs["hx-target"] for attrs in page.all("hx-partial")][:2] == ["#nav", "#health"]
    # Event stream, dialogs and refresher stay where they are.
    assert "hx-sse:connect" not in html
    assert not page.all("dialog")
    # The view is the same text as on the whole page.
    start = html.index('<div class="page')
    assert html[start : html.index("<hx-partial")].strip() in show(env, name)


def test_a_toast_travels_with_the_fragment_and_with_the_page(env: Environment):
    text = "2 payments are being tried again"
    assert '<hx-partial hx-target="#toasts" hx-swap="innerHTML"><div class="toast">' in fragment_of(
        env, "payments-empty"
    )
    assert text in fragment_of(env, "payments-empty")
    assert re.search(rf'id="toasts" aria-live="polite"><div class="toast">.*{text}', show(env, "payments-empty"))
    alone = render(env, "toast.html", {"toast": views.Toast(text="No.", is_problem=True)})
    assert 'role="alert"' in alone
    assert alone.strip().startswith("<hx-partial")


def poisoned(value: Any) -> Any:
    """The same view with a hostile text in place of every text that people or providers write."""
    if is_dataclass(value) and not isinstance(value, type):
        keep = {
            "state",
            "action",
            "icon",
            "currency",
            "client_currency",
            "key",
            "href",
            "here",
            "locale",
            "page",
            "tone",
        }
        keep |= {"older_href", "newer_href", "clear_href", "make_href", "zone", "day"}
        changes = {
            field.name: poisoned(getattr(value, field.name))
            for field in fields(value)
            if field.init and field.name not in keep
        }
        return replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in value)
    if isinstance(value, dict):
        return {key: poisoned(item) for key, item in value.items()}
    return HOSTILE if isinstance(value, str) and value else value


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_text_stays_text_everywhere(env: Environment, name: str):
    template, context = PAGES[name]
    html = render(env, template, {key: poisoned(value) for key, value in context.items()})
    page = Page(html)
    assert not page.all("img")
    assert not any("onerror" in attrs for _, attrs in page.elements)
    assert "{{7*7}}" in html


@pytest.mark.parametrize(("path", "source"), SOURCES.items())
def test_no_template_switches_escaping_off(path: str, source: str):
    assert "safe" not in re.findall(r"\|\s*(\w+)", source)
    assert "autoescape" not in source
    assert "Markup" not in source
    # Attributes are quoted: no value starts right after an equals sign.
    assert not re.search(r"\s[\w:-]+=\{\{", source)


@pytest.mark.parametrize(("path", "source"), SOURCES.items())
def test_no_template_speaks_jargon(path: str, source: str):
    words = re.sub(r"\{[#%{].*?[#%}]\}|<[^>]*>", " ", source, flags=re.DOTALL).lower()
    for jargon in ("webhook", "payload", "idempot", "sync error", "oops", "qbo", "!", "api key "):
        assert jargon not in words.replace("!doctype", ""), f"{jargon} in {path}"


def test_every_page_states_its_context():
    for path, source in SOURCES.items():
        if path.startswith("components/") or "/_" in path:
            continue
        assert source.startswith("{#"), path


def test_something_missing_is_an_error_not_a_gap(env: Environment):
    with pytest.raises(UndefinedError):
        render(env, "payments/index.html", {"shell": samples.SHELL})
    with pytest.raises(TemplateError):
        env.from_string("{{ view.nonsense }}").render(view=samples.PAYMENT)
    with pytest.raises(Exception, match="no icon"):
        env.from_string('{{ icon("unicorn") }}').render()


def test_the_six_states_have_the_agreed_words():
    assert [look.word for look in STATES.values()] == [
        "Waiting",
        "Syncing",
        "Synced",
        "Needs attention",
        "Ignored",
        "Undone",
    ]


@pytest.mark.parametrize("action", list(Action))
def test_every_action_of_a_reason_is_drawn_in_row_and_page(env: Environment, action: Action):
    row = replace(samples.ROWS[5], action=action)
    table = show(env, "payments", view=replace(samples.PAYMENTS, rows=(row,), attention=None))
    problem = replace(samples.PAYMENT.problem, action=action, can_retry=action is Action.RETRY)
    one = show(env, "payment", view=replace(samples.PAYMENT, problem=problem, can_ignore=False))
    buttons = [attrs for _, attrs in Page(one).elements if attrs.get("id") in {"act", "retry"}]
    if action is Action.NONE:
        assert not buttons
        return
    assert len(buttons) == 1
    assert ACTIONS[action].short in table
    assert ACTIONS[action].label in one


@pytest.mark.parametrize("wording", WORDING.values())
def test_every_wording_of_core_fits_the_page(env: Environment, wording: Any):
    filled = wording.filled({})
    problem = views.Problem(title=filled.title, explanation=filled.explanation, action=filled.action)
    page = Page(show(env, "payment", view=replace(samples.PAYMENT, problem=problem)))
    assert filled.title in page.text
    assert filled.explanation in page.text


def test_retry_leads_back_to_where_the_person_was(env: Environment):
    html = show(env, "payments")
    assert html.count('<input type="hidden" name="next" value="/payments?show=all">') == 2
    assert f'action="/payments/{samples.ROWS[5].id}/retry"' in html


def test_connecting_is_a_plain_post_that_may_leave_the_site(env: Environment):
    html = show(env, "connections-new")
    form = re.search(r'<form method="post" action="/connections/stripe/connect">.*?</form>', html, re.DOTALL)
    assert form is not None
    assert "hx-" not in form[0]
    assert "Connect Stripe" in form[0]


def test_a_suggestion_is_offered_and_never_chosen(env: Environment):
    html = show(env, "mapping")
    start = html.index('id="s-second-account"')
    select = html[start : html.index("</select>", start)]
    assert "selected" not in select
    assert select.index('value=""') < select.index("<optgroup")
    assert 'name="suggested_account_id" value="41">Use 4010 Wedding photography' in html


def test_disconnecting_can_be_reached_without_script(env: Environment):
    html = show(env, "connections")
    assert re.search(r'<noscript><a [^>]*href="/connections/quickbooks/disconnect"', html)
    assert 'action="/connections/quickbooks/disconnect"' in show(env, "disconnect")


@pytest.mark.parametrize(
    ("count", "retryable", "said"),
    [
        (1, 0, "1 payment needs attention. It waits for one decision of yours."),
        (3, 0, "3 payments need attention. Each waits for one decision of yours."),
        (1, 1, "1 payment needs attention. It can be tried again now."),
        (3, 3, "3 payments need attention. All of them can be tried again now."),
        (3, 2, "3 payments need attention. Two can be tried again now, the other needs a decision of yours."),
        (30, 12, "30 payments need attention. 12 can be tried again now, the others need a decision of yours."),
    ],
)
def test_what_needs_attention_is_said_in_full_sentences(env: Environment, count: int, retryable: int, said: str):
    view = replace(samples.PAYMENTS, attention=views.Attention(count=count, retryable=retryable))
    assert said in " ".join(Page(show(env, "payments", view=view)).text.split())


def test_the_navigation_counts_in_words(env: Environment):
    nav = views.build_nav(attention=1, unmapped=2, broken=1)
    text = " ".join(Page(show(env, "mapping", shell=replace(samples.shell("mapping"), nav=nav))).text.split())
    assert "Payments 1 needs attention" in text
    assert "Mapping 2 not mapped" in text
    assert "Connections 1 needs reconnecting" in text


def test_the_checklist_is_the_way_on_until_posting_has_started(env: Environment):
    shell = replace(samples.shell("payments"), nav=views.build_nav(is_started=False))
    view = replace(samples.PAYMENTS, rows=(), attention=None, is_started=False)
    text = " ".join(Page(show(env, "payments", shell=shell, view=view)).text.split())
    assert "Get started Payments Reconciliation Mapping Connections" in text
    assert "No payments yet" in text
    assert "within a second" not in text
    assert [item.key for item in views.build_nav()] == ["payments", "reconciliation", "mapping", "connections"]


# How figures are written.


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [
        (123450, "USD", "$1,234.50"),
        (-123450, "usd", "−$1,234.50"),
        (0, "USD", "$0.00"),
        (17025, "EUR", "€170.25"),
        (-500, "JPY", "−¥500"),
        (1500, "KWD", "KWD\u00a01.500"),
        (500, "ISK", "ISK\u00a05"),
        (550, "ISK", "ISK\u00a05.50"),
        (10**15, "USD", "$10,000,000,000,000.00"),
    ],
)
def test_money_has_stripes_digits_and_a_true_minus(minor: int, currency: str, written: str):
    assert formats.write_money(minor, currency, "en_US") == written


@given(
    st.integers(min_value=0, max_value=10**13),
    st.sampled_from(["USD", "EUR", "GBP", "AUD", "NZD", "CAD", "INR"]),
    st.sampled_from(
        ["en_US", "en_GB", "en_AU", "de_DE", "de_CH", "fr_FR", "sv_SE", "en_IN", "nl_NL", "pt_BR", "ja_JP"]
    ),
)
def test_money_is_written_as_babel_would(minor: int, currency: str, locale: str):
    babel = format_currency(to_decimal(minor, currency), currency, locale=locale)
    # The space after a currency in letters is ours.
    assert formats.write_money(minor, currency, locale).replace("\u00a0", "") == babel.replace("\u00a0", "")


def test_times_are_those_of_the_tenant_whatever_the_server_thinks():
    late = datetime(2026, 11, 21, 5, 30, 9, tzinfo=UTC)
    assert formats.write_short_date(late, PLACE) == "Nov 20"
    assert formats.write_clock_time(late, PLACE) == "9:30 pm"
    assert formats.write_clock_time(late, PLACE, seconds=True) == "9:30:09 pm"
    assert formats.write_iso(late, PLACE) == "2026-11-20T21:30:09-08:00"
    auckland = replace(PLACE, zone=ZoneInfo("Pacific/Auckland"))
    assert formats.write_short_date(late, auckland) == "Nov 21"
    with pytest.raises(ValueError, match="zone"):
        formats.write_short_date(late.replace(tzinfo=None), PLACE)


def test_dates_name_the_year_only_when_it_is_another():
    assert formats.write_long_date(date(2026, 3, 4), PLACE) == "March 4"
    assert formats.write_long_date(date(2031, 3, 4), PLACE) == "March 4, 2031"
    assert formats.write_period(date(2026, 11, 1), date(2026, 11, 22), PLACE) == "November 1 – 22"
    assert formats.write_period(date(2026, 10, 30), date(2026, 11, 4), PLACE) == "October 30 – November 4"
    assert formats.write_period(date(2025, 11, 1), date(2026, 11, 1), PLACE) == "Nov 1, 2025 – Nov 1, 2026"
    assert formats.write_period(date(2026, 11, 4), date(2026, 11, 4), PLACE) == "November 4"


def test_how_long_ago_is_said_in_words():
    now = PLACE.now
    for seconds, written in [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (86399, "23 hours ago"),
    ]:
        when = datetime.fromtimestamp(now.timestamp() - seconds, UTC)
        assert formats.write_ago(when, PLACE) == written
    assert formats.write_ago(datetime(2026, 11, 4, tzinfo=UTC), PLACE) == "on November 3"
    assert formats.write_day_time(datetime(2026, 11, 22, 17, 4, tzinfo=UTC), PLACE) == "today, 9:04 am"


def test_counts_agree_with_their_nouns():
    assert formats.write_count(1, "payment") == "1 payment"
    assert formats.write_count(0, "payment", spell=True) == "no payments"
    assert formats.write_count(2, "payment", spell=True) == "two payments"
    assert formats.write_count(1204, "payment", spell=True) == "1,204 payments"


def test_dates_on_a_page_without_a_place_are_refused(env: Environment):
    with pytest.raises(RuntimeError, match="place"):
        env.from_string("{{ day | short_date }}").render(day=date(2026, 1, 1))


# The chart.


def days(*amounts: tuple[int, int]) -> list[DayAmounts]:
    first = date(2026, 1, 1).toordinal()
    return [
        DayAmounts(day=date.fromordinal(first + n), in_books_minor=done, open_minor=still)
        for n, (done, still) in enumerate(amounts)
    ]


def test_bars_are_in_proportion_and_stay_inside_the_plot():
    chart = build_chart(days((302500, 0), (245000, 42000), (0, 0)))
    assert [line.amount_minor for line in chart.grid] == [0, 200000, 400000]
    assert chart.bars[0].in_height == f"{92 * 3025 / 4000:.1f}"
    assert float(chart.bars[1].open_y) + float(chart.bars[1].open_height) < float(chart.bars[1].in_y)
    assert chart.busiest is chart.bars[0]
    assert all(float(bar.open_y) >= 18 for bar in chart.bars)


@pytest.mark.parametrize("length", [0, 1, 2, 7, 22, 31, 45, 46, 92, 366, 3660])
def test_a_chart_of_any_length_keeps_every_cent_and_few_nodes(length: int):
    chart = build_chart(days(*[(100 + n, n % 3) for n in range(length)]))
    assert chart.in_books_minor == sum(100 + n for n in range(length))
    assert len(chart.bars) <= 46
    assert sum(bar.is_labelled for bar in chart.bars) <= 7
    if length:
        assert chart.bars[0].first == date(2026, 1, 1)
        assert chart.bars[-1].last.toordinal() == date(2026, 1, 1).toordinal() + length - 1


def test_a_period_without_payments_draws_a_line_and_no_scale(env: Environment):
    chart = build_chart(days((0, 0), (0, 0)))
    assert [line.amount_minor for line in chart.grid] == [0]
    assert chart.busiest is None
    summary = replace(samples.SUMMARY, days=tuple(days((0, 0), (0, 0))))
    assert "The busiest" not in show(env, "payments", view=replace(samples.PAYMENTS, summaries=(summary,)))


def test_time_zones_to_choose_from_are_places_where_people_live():
    found = {choice.id for group in zone_groups() for choice in group.choices}
    assert {"America/New_York", "Europe/Berlin", "Australia/Sydney", "America/Argentina/Ushuaia"} <= found
    assert not any(name.startswith(("Etc/", "US/", "posix")) for name in found)
