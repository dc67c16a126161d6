"""The plan of a sale: the worked examples to the cent, and what holds for every sale."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.books.documents import Customer, Invoice, LineKind, Payment
from core.books.facts import FactLine, SaleFacts
from core.books.mapping import MappingChoice, MappingRules
from core.books.posting import included_tax, percent, plan_sale, rescale
from core.books.profile import BookAccount, BooksProfile, BookTaxCode
from core.books.roles import AccountRole, RoleChoice
from core.errors import StopError
from core.money import MoneyError
from core.reasons import Reason

SESSION, PRODUCT, COACHING, TIP, WEDDING = (UUID(int=number) for number in range(1, 6))
NAMES = {SESSION: "Session", PRODUCT: "Album", COACHING: "Coaching", TIP: "Tip", WEDDING: "Wedding"}


def choice(account: str | None, tax: str | None = None, *, version: int = 3, is_default: bool = False) -> MappingChoice:
    return MappingChoice(f"m-{account}", version, "Anna Berg", account, tax, is_default)


US = BooksProfile(
    name="QuickBooks",
    home_currency="usd",
    accounts={
        name: BookAccount(name, name, is_active=name != "archived")
        for name in ("session", "product", "coaching", "tips", "other", "clearing", "archived")
    },
    tax_codes={
        "TAX": BookTaxCode("TAX", "Sales tax 8.25%", 82_500, is_active=True, rate_external_id="R1"),
        "NON": BookTaxCode("NON", "Non-taxable", 0, is_active=True),
        "AUTO": BookTaxCode("AUTO", "Automatic", None, is_active=True),
        "OLD": BookTaxCode("OLD", "Old rate", 50_000, is_active=False),
    },
    roles={AccountRole.CLEARING: RoleChoice("clearing", 1, "Anna Berg")},
)
US_RULES = MappingRules(
    {
        SESSION: choice("session", "TAX"),
        PRODUCT: choice("product", "TAX"),
        COACHING: choice("coaching"),
        TIP: choice("tips", "NON"),
        WEDDING: choice("session", "NON"),
    },
    None,
)
AU = replace(
    US,
    name="Xero",
    home_currency="aud",
    tax_codes={
        "GST": BookTaxCode("GST", "GST on Income", 100_000, is_active=True),
        "FREE": BookTaxCode("FREE", "GST Free", 0, is_active=True),
    },
)
AU_RULES = MappingRules(
    {SESSION: choice("session", "GST"), COACHING: choice("coaching", "GST"), PRODUCT: choice("product", "FREE")}, None
)


def part(service: UUID, net: int, tax: int = 0, *, kind: LineKind = LineKind.SERVICE, has_tax: bool = True) -> FactLine:
    return FactLine(kind, service, NAMES[service], NAMES[service], net, tax, has_tax, "line.amount", "Stripe line")


def facts(*lines: FactLine, currency: str = "usd", amount: int | None = None, **fields: Any) -> SaleFacts:
    values = {
        "source_id": "pi_1",
        "stripe_charge_id": "ch_1",
        "stripe_balance_transaction_id": "txn_1",
        "amount_minor": sum(line.amount_minor + line.tax_minor for line in lines) if amount is None else amount,
        "currency": currency,
        "settled_minor": None,
        "settled_currency": None,
        "book_date": date(2026, 3, 1),
        "customer": Customer("c1", "Anna Berg", "anna@example.com", currency),
        "lines": lines,
        **fields,
    }
    return SaleFacts(**values)


def us(*lines: FactLine, rules: MappingRules = US_RULES, books: BooksProfile = US, **fields: Any) -> Any:
    return plan_sale(facts(*lines, **fields), rules, books, reference="TO-1")


def gst(service: UUID, gross: int) -> FactLine:
    """A price that contains its tax, of which Stripe says nothing."""
    return part(service, gross, has_tax=False)


EXAMPLES = [
    pytest.param("us", [part(SESSION, 40000, 3300)], {}, 43300, 3300, {"session": 40000}, id="A1"),
    pytest.param(
        "us", [part(WEDDING, 120000), part(PRODUCT, 30000, 2475)], {}, 152475, 2475,
        {"session": 120000, "product": 30000}, id="A2",
    ),
    pytest.param(
        "us",
        [part(SESSION, 30000, 2476), part(SESSION, -3000, -248, kind=LineKind.DISCOUNT),
         part(TIP, 4000, kind=LineKind.TIP)],
        {}, 33228, 2228, {"session": 27000, "tips": 4000}, id="A3",
    ),
    pytest.param("us", [part(SESSION, 20000, 1650)], {}, 21650, 1650, {"session": 20000}, id="A6"),
    pytest.param("us", [part(COACHING, 18000, has_tax=False)], {}, 18000, 0, {"coaching": 18000}, id="A7"),
    pytest.param(
        "us", [part(COACHING, 50000, has_tax=False)],
        {"currency": "eur", "settled_minor": 54125, "settled_currency": "usd"}, 54125, 0, {"coaching": 54125}, id="A8",
    ),
    pytest.param("us", [part(COACHING, 95000, has_tax=False)], {}, 95000, 0, {"coaching": 95000}, id="A18"),
    pytest.param("au", [gst(SESSION, 44000)], {"currency": "aud"}, 44000, 4000, {"session": 40000}, id="B1"),
    pytest.param("au", [gst(PRODUCT, 27500)], {"currency": "aud"}, 27500, 0, {"product": 27500}, id="B2"),
    pytest.param("au", [part(SESSION, 20000, 2000)], {"currency": "aud"}, 22000, 2000, {"session": 20000}, id="B5"),
    pytest.param("au", [gst(COACHING, 16500)], {"currency": "aud"}, 16500, 1500, {"coaching": 15000}, id="B6"),
    pytest.param(
        "au", [gst(PRODUCT, 20000)],
        {"currency": "usd", "settled_minor": 30400, "settled_currency": "aud"}, 30400, 0, {"product": 30400}, id="B7",
    ),
    pytest.param("au", [gst(COACHING, 50000)], {"currency": "aud"}, 50000, 4545, {"coaching": 45455}, id="B14"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "lines", "fields", "total", "tax", "income"), EXAMPLES)
def test_the_worked_examples_to_the_cent(
    where: str, lines: list[FactLine], fields: dict[str, Any], total: int, tax: int, income: dict[str, int]
) -> None:
    rules, books = (US_RULES, US) if where == "us" else (AU_RULES, AU)
    invoice, payment = us(*lines, rules=rules, books=books, **fields)
    assert (invoice.total_minor, invoice.tax_minor, payment.amount_minor) == (total, tax, total)
    by_account: dict[str, int] = {}
    for line in invoice.lines:
        by_account[line.income_account_id] = by_account.get(line.income_account_id, 0) + line.amount_minor
    assert by_account == income
    assert payment.clearing_account_id == "clearing"
    assert invoice.currency == payment.currency == books.home_currency
    assert invoice.date == payment.date == date(2026, 3, 1)
    assert invoice.reference == payment.reference == "TO-1"


def test_every_amount_says_where_it_comes_from() -> None:
    invoice, payment = us(
        part(COACHING, 50000, has_tax=False), currency="eur", settled_minor=54125, settled_currency="usd"
    )
    assert invoice.memo == "Stripe pi_1 ch_1 | Tieout | client paid 500.00 EUR"
    assert payment.why.stripe_field == "balance_transaction.amount"
    assert payment.why.arithmetic == "50000 eur settled as 54125 usd"
    assert (payment.why.mapping_version, payment.why.set_by) == (1, "Anna Berg")
    [line] = invoice.lines
    assert (line.why.stripe_field, line.why.mapping_version, line.why.set_by) == ("line.amount", 3, "Anna Berg")
    [taken_out] = us(gst(COACHING, 50000), rules=AU_RULES, books=AU, currency="aud")[0].lines
    assert taken_out.why.arithmetic == "50000 × 100000 / (1000000 + 100000) = 4545 tax inside"


def test_the_same_sale_gives_the_same_bytes_and_nothing_is_changed() -> None:
    given_facts = facts(part(SESSION, 40000, 3300), part(TIP, 500, kind=LineKind.TIP))
    before = msgspec.json.encode(given_facts)
    plans = {
        msgspec.json.encode(plan_sale(given_facts, US_RULES, US, reference="TO-1"), order="deterministic")
        for _ in range(3)
    }
    assert len(plans) == 1
    assert msgspec.json.encode(given_facts) == before


# Who decides


def test_an_unmapped_service_stops_and_the_default_row_catches_it_when_it_has_an_account() -> None:
    unknown = part(COACHING, 100, has_tax=False)
    for default in (None, choice(None, is_default=True)):
        with pytest.raises(StopError) as stop:
            us(unknown, rules=MappingRules({}, default))
        assert (stop.value.reason, stop.value.detail["service"]) == (Reason.SERVICE_NOT_MAPPED, "Coaching")
    [line] = us(unknown, rules=MappingRules({}, choice("other", "NON", is_default=True)))[0].lines
    assert (line.income_account_id, line.tax_code_id) == ("other", "NON")
    assert "default mapping" in line.why.rule


def test_one_unmapped_line_among_mapped_ones_stops_the_whole_sale() -> None:
    rules = MappingRules({SESSION: choice("session")}, None)
    with pytest.raises(StopError) as stop:
        us(part(SESSION, 100, has_tax=False), part(TIP, 10, has_tax=False), rules=rules)
    assert stop.value.detail["service"] == "Tip"


@pytest.mark.parametrize(
    ("rules", "books", "reason"),
    [
        (MappingRules({SESSION: choice("archived")}, None), US, Reason.ACCOUNT_INACTIVE),
        (MappingRules({SESSION: choice("gone")}, None), US, Reason.ACCOUNT_INACTIVE),
        (MappingRules({SESSION: choice("session", "OLD")}, None), US, Reason.TAX_CODE_MISFIT),
        (MappingRules({SESSION: choice("session", "GONE")}, None), US, Reason.TAX_CODE_MISFIT),
        (US_RULES, replace(US, roles={}), Reason.CLEARING_NOT_CHOSEN),
        (US_RULES, replace(US, roles={AccountRole.CLEARING: RoleChoice("archived", 1, "")}), Reason.ACCOUNT_INACTIVE),
        (US_RULES, replace(US, roles={AccountRole.CLEARING: RoleChoice("gone", 1, "")}), Reason.ACCOUNT_INACTIVE),
    ],
)
def test_what_is_gone_in_the_books_stops_before_anything_is_sent(
    rules: MappingRules, books: BooksProfile, reason: Reason
) -> None:
    with pytest.raises(StopError) as stop:
        us(part(SESSION, 40000, 3300), rules=rules, books=books)
    assert stop.value.reason is reason


# Tax


@pytest.mark.parametrize(
    ("net", "tax", "code", "fits"),
    [
        (40000, 3300, "TAX", True),
        (27000, 2228, "TAX", True),
        (27000, 2227, "TAX", True),
        (40000, 0, "TAX", False),
        (40000, 3310, "TAX", False),
        (40000, 3300, "NON", False),
        (40000, 0, "NON", True),
        (40000, 3300, "AUTO", True),
        (-3000, -248, "TAX", True),
        (-3000, 0, "TAX", False),
        (1, 0, "TAX", True),
    ],
)
def test_a_code_that_would_give_another_total_is_noticed(net: int, tax: int, code: str, fits: bool) -> None:
    rules = MappingRules({SESSION: choice("session", code)}, None)
    lines = part(SESSION, net, tax), part(COACHING, 100000, has_tax=False)
    rules = replace(rules, choices={**rules.choices, COACHING: choice("coaching")})
    if fits:
        assert us(*lines, rules=rules)[0].tax_minor == tax
        return
    with pytest.raises(StopError) as stop:
        us(*lines, rules=rules)
    assert stop.value.reason is Reason.TAX_CODE_MISFIT
    assert "%" in str(stop.value.detail["charged"])


def test_tax_without_any_code_is_kept_as_stripe_said_it() -> None:
    """Whether the books can take it is the adapter's word; the planner loses none of it."""
    invoice, _ = us(part(COACHING, 40000, 3300))
    assert (invoice.tax_minor, invoice.lines[0].tax_code_id) == (3300, None)


@pytest.mark.parametrize(("gross", "ppm", "tax"), [(44000, 100_000, 4000), (50000, 100_000, 4545), (3, 200_000, 1)])
def test_the_tax_inside_is_rounded_half_away_from_zero(gross: int, ppm: int, tax: int) -> None:
    assert included_tax(gross, ppm) == tax
    assert included_tax(-gross, ppm) == -tax


@given(gross=st.integers(-(10**12), 10**12), ppm=st.integers(0, 500_000))
def test_net_and_tax_inside_are_the_gross_and_fit_their_rate(gross: int, ppm: int) -> None:
    tax = included_tax(gross, ppm)
    assert abs(tax * 1_000_000 - (gross - tax) * ppm) <= (1_000_000 + ppm) // 2 + 1


def test_rates_in_words() -> None:
    assert (percent(3300, 40000), percent(0, 100), percent(-248, -3000), percent(5, 0)) == (
        "8.25 %",
        "0.00 %",
        "8.27 %",
        "no tax",
    )


# Currencies


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"currency": "eur"}, Reason.SETTLEMENT_PENDING),
        ({"currency": "eur", "settled_minor": 100, "settled_currency": "gbp"}, Reason.SETTLED_ELSEWHERE),
        ({"currency": "usd", "settled_minor": 100, "settled_currency": "gbp"}, Reason.SETTLED_ELSEWHERE),
    ],
)
def test_what_is_not_settled_in_the_books_currency_is_not_booked(fields: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(StopError) as stop:
        us(part(COACHING, 100, has_tax=False), **fields)
    assert stop.value.reason is reason


def test_a_home_sale_does_not_wait_for_its_settlement() -> None:
    assert us(part(COACHING, 100, has_tax=False))[1].amount_minor == 100


@pytest.mark.parametrize("wrong", [1, -1, 10000])
def test_lines_that_do_not_add_up_stop_with_both_figures(wrong: int) -> None:
    with pytest.raises(StopError) as stop:
        us(part(SESSION, 40000, 3300), amount=43300 + wrong)
    assert stop.value.reason is Reason.LINES_DO_NOT_ADD_UP
    assert stop.value.detail == {"found_minor": 43300, "expected_minor": 43300 + wrong, "currency": "usd"}


# Properties


@given(parts=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30), total=st.integers(0, 10**12))
def test_rescaled_parts_add_up_and_each_is_off_by_less_than_one(parts: list[int], total: int) -> None:
    whole = sum(parts)
    if whole <= 0:
        with pytest.raises(MoneyError):
            rescale(total, parts)
        return
    shares = rescale(total, parts)
    assert sum(shares) == total
    for share, before in zip(shares, parts, strict=True):
        assert abs(share * whole - before * total) < whole
    assert rescale(whole, parts) == parts


@st.composite
def sold(draw: st.DrawFn, rate_ppm: int) -> list[FactLine]:
    """Lines as Stripe states them: each tax rounded by itself, a discount with its share."""
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        net = draw(st.integers(1, 10**7))
        lines.append(part(SESSION, net, (2 * net * rate_ppm + 1_000_000) // 2_000_000))
        off = draw(st.just(0) | st.integers(0, net - 1))
        if off:
            left = net - off
            tax = (2 * left * rate_ppm + 1_000_000) // 2_000_000
            on, taken = rescale(tax, [net, -off])
            lines[-1] = part(SESSION, net, on)
            lines.append(part(SESSION, -off, taken, kind=LineKind.DISCOUNT))
    return lines


RATES = st.sampled_from([0, 50_000, 82_500, 100_000, 200_000, 250_000])


@given(data=st.data(), rate=RATES, settled=st.none() | st.integers(1, 10**10))
def test_invoice_and_payment_are_the_amount_whatever_was_sold_and_a_right_code_always_fits(
    data: st.DataObject, rate: int, settled: int | None
) -> None:
    lines = data.draw(sold(rate))
    foreign = {} if settled is None else {"currency": "eur", "settled_minor": settled, "settled_currency": "usd"}
    books = replace(US, tax_codes={"X": BookTaxCode("X", "X", rate, is_active=True)})
    rules = MappingRules({SESSION: choice("session", "X")}, None)
    invoice, payment = us(*lines, rules=rules, books=books, **foreign)
    assert isinstance(invoice, Invoice)
    assert isinstance(payment, Payment)
    expected = settled if settled is not None else sum(line.amount_minor + line.tax_minor for line in lines)
    assert invoice.total_minor == payment.amount_minor == expected
    assert len(invoice.lines) == len(lines)


@given(
    gross=st.lists(st.integers(1, 10**8), min_size=1, max_size=6), rate=RATES, settled=st.none() | st.integers(1, 10**9)
)
def test_gross_prices_lose_nothing_to_the_tax_inside_them(gross: list[int], rate: int, settled: int | None) -> None:
    assume(settled is None or sum(gross) > 0)
    foreign = {} if settled is None else {"currency": "eur", "settled_minor": settled, "settled_currency": "usd"}
    books = replace(US, tax_codes={"X": BookTaxCode("X", "X", rate, is_active=True)})
    rules = MappingRules({SESSION: choice("session", "X")}, None)
    invoice, _ = us(*(gst(SESSION, amount) for amount in gross), rules=rules, books=books, **foreign)
    assert invoice.total_minor == (sum(gross) if settled is None else settled)
