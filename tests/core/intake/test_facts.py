"""What a payment says about itself, from dictionaries of Stripe's shapes: lines, services, clients, movements."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books.documents import LineKind
from core.intake.facts import DEFAULT_KEY, Line, PaidInvoice, PaymentFacts, Sources
from core.intake.read_facts import payment_facts
from core.intake.read_service import clean_words

Json = dict[str, Any]


def charge(amount: int = 10000, **fields: Any) -> Json:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "currency": "usd",
        "created": 1772442000,
        "livemode": False,
        "status": "succeeded",
        "captured": True,
        "billing_details": {"name": "Anna Berg", "email": "anna@example.com", "phone": None},
        "metadata": {},
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
        "balance_transaction": None,
        **fields,
    }


def intent(amount: int = 10000, **fields: Any) -> Json:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": amount,
        "amount_received": amount,
        "currency": "usd",
        "customer": None,
        "description": None,
        "livemode": False,
        "metadata": {},
        "amount_details": {"tip": {}},
        **fields,
    }


def facts(
    amount: int = 10000, of_intent: Json | None = None, of_charge: Json | None = None, **more: Any
) -> PaymentFacts:
    return payment_facts(Sources(intent(amount, **(of_intent or {})), charge(amount, **(of_charge or {})), **more))


def total(found: PaymentFacts) -> int:
    return sum(line.amount_minor + line.tax_minor for line in found.lines)


def parts(found: PaymentFacts) -> list[tuple[LineKind, int, int]]:
    return [(line.kind, line.amount_minor, line.tax_minor) for line in found.lines]


# Checkout


def item(subtotal: int, *, discount: int = 0, tax: int = 0, inside: int = 0, **fields: Any) -> Json:
    """One checkout line; ``inside`` is the part of ``tax`` that the price contains already."""
    return {
        "id": "li_1",
        "object": "item",
        "description": "Portrait session",
        "quantity": 1,
        "price": {"id": "price_1", "product": "prod_1"},
        "amount_subtotal": subtotal,
        "amount_discount": discount,
        "amount_tax": tax,
        "amount_total": subtotal - discount + tax - inside,
        **fields,
    }


def session(**fields: Any) -> Json:
    return {"id": "cs_1", "object": "checkout.session", "automatic_tax": {"enabled": False}, "metadata": {}, **fields}


def checkout(amount: int, *items: Json, of_intent: Json | None = None, **fields: Any) -> PaymentFacts:
    return facts(amount, of_intent, session=session(**fields), session_items=items)


def test_tax_on_top_and_a_discount_share_the_tax_as_stripe_computed_it() -> None:
    found = checkout(29228, item(30000, discount=3000, tax=2228))
    assert parts(found) == [(LineKind.SERVICE, 30000, 2476), (LineKind.DISCOUNT, -3000, -248)]
    assert total(found) == 29228


def test_tax_inside_the_price_is_taken_out_of_sale_and_discount_alike() -> None:
    found = checkout(39600, item(44000, discount=4400, tax=3600, inside=3600))
    assert parts(found) == [(LineKind.SERVICE, 40000, 4000), (LineKind.DISCOUNT, -4000, -400)]


def test_one_tax_inside_and_one_on_top_of_the_same_line() -> None:
    found = checkout(11500, item(11000, tax=1500, inside=1000))
    assert parts(found) == [(LineKind.SERVICE, 10000, 1500)]


def test_quantity_shipping_tip_and_several_lines_add_up() -> None:
    found = checkout(
        15000 + 825 + 500 + 1000,
        item(10000, tax=825, quantity=4),
        item(5000, description="Album", price={"id": "price_2", "product": "prod_2"}),
        of_intent={"amount_details": {"tip": {"amount": 1000}}},
        shipping_cost={"amount_subtotal": 500, "amount_tax": 0, "amount_total": 500},
    )
    kinds = [line.kind for line in found.lines]
    assert kinds == [LineKind.SERVICE, LineKind.SERVICE, LineKind.SHIPPING, LineKind.TIP]
    assert found.lines[0].quantity == 4
    assert total(found) == found.amount_minor


def test_taxed_shipping_is_split() -> None:
    found = checkout(11650, item(10000, tax=1000), shipping_cost={"amount_total": 650, "amount_tax": 50})
    assert parts(found)[1] == (LineKind.SHIPPING, 600, 50)


def test_a_line_for_nothing_stays_and_a_discount_of_everything_does_not_divide_by_zero() -> None:
    found = checkout(10000, item(10000), item(5000, discount=5000, description="Gift"))
    assert total(found) == 10000
    assert parts(found)[1:] == [(LineKind.SERVICE, 5000, 0), (LineKind.DISCOUNT, -5000, 0)]
    free = checkout(10000, item(10000), item(0, description="Free call"))
    assert parts(free)[1] == (LineKind.SERVICE, 0, 0)


@pytest.mark.parametrize(("enabled", "tax", "known"), [(False, 0, False), (True, 0, True), (False, 100, True)])
def test_a_shop_that_computes_no_tax_says_nothing_of_tax(enabled: bool, tax: int, known: bool) -> None:
    """Then the price is gross and the mapped tax code decides; a zero of Stripe's own is a zero."""
    found = checkout(10000 + tax, item(10000, tax=tax), automatic_tax={"enabled": enabled})
    assert {line.has_tax for line in found.lines} == {known}


# Invoices


def invoice_line(subtotal: int, *taxes: tuple[int, str], discount: int = 0, product: str | None = "prod_1") -> Json:
    return {
        "id": "il_1",
        "object": "line_item",
        "description": "1 × Portrait session (at $400.00 / each)",
        "quantity": 1,
        "amount": subtotal,
        "subtotal": subtotal,
        "discount_amounts": [{"amount": discount, "discount": "di_1"}] if discount else [],
        "taxes": [{"amount": amount, "tax_behavior": behaviour} for amount, behaviour in taxes],
        "pricing": {"price_details": {"price": "price_1", "product": product}} if product else None,
    }


def invoiced(amount: int, *lines: Json, paid: int | None = None, **fields: Any) -> PaymentFacts:
    body = {"id": "in_1", "object": "invoice", "automatic_tax": {"enabled": False}, **fields}
    return facts(amount, invoices=(PaidInvoice(body, lines, paid),))


def test_invoice_taxes_on_top_inside_and_both() -> None:
    assert parts(invoiced(43300, invoice_line(40000, (3300, "exclusive")))) == [(LineKind.SERVICE, 40000, 3300)]
    assert parts(invoiced(44000, invoice_line(44000, (4000, "inclusive")))) == [(LineKind.SERVICE, 40000, 4000)]
    both = invoiced(11500, invoice_line(11000, (1000, "inclusive"), (500, "exclusive")))
    assert parts(both) == [(LineKind.SERVICE, 10000, 1500)]


def test_an_invoice_paid_in_parts_gives_each_payment_its_share_to_the_cent() -> None:
    lines = invoice_line(40000, (3300, "exclusive")), invoice_line(10001, discount=1000)
    first = invoiced(20000, *lines, paid=20000, total=52301)
    second = invoiced(32301, *lines, paid=32301, total=52301)
    assert (total(first), total(second)) == (20000, 32301)
    for mine, theirs, whole in zip(parts(first), parts(second), [40000, 10001, -1000], strict=True):
        assert abs(mine[1] + theirs[1] - whole) <= 1


def test_an_invoice_whose_lines_are_not_its_total_is_not_made_to_fit() -> None:
    found = invoiced(5000, invoice_line(10000), paid=5000, total=11000)
    assert total(found) == 10000 != found.amount_minor


def test_shipping_on_an_invoice_is_a_line_of_its_own() -> None:
    found = invoiced(
        11300, invoice_line(10000, (800, "exclusive")), paid=11300, total=11300,
        shipping_cost={"amount_subtotal": 500, "amount_tax": 0, "amount_total": 500},
    )  # fmt: skip
    assert parts(found) == [(LineKind.SERVICE, 10000, 800), (LineKind.SHIPPING, 500, 0)]


def test_one_payment_of_two_invoices_has_the_lines_of_both() -> None:
    one = PaidInvoice({"id": "in_1", "total": 6000}, (invoice_line(6000),), 6000)
    two = PaidInvoice({"id": "in_2", "total": 8000}, (invoice_line(8000, product=None),), 4000)
    found = facts(10000, invoices=(one, two))
    assert parts(found) == [(LineKind.SERVICE, 6000, 0), (LineKind.SERVICE, 4000, 0)]
    assert found.lines[1].service.key.startswith("text:")


def test_credits_on_an_invoice_stay_negative() -> None:
    found = invoiced(7000, invoice_line(10000), invoice_line(-3000), paid=7000, total=7000)
    assert total(found) == 7000


# The payment's own line items


def own_line(cost: int, quantity: int = 1, *, tax: int | None = None, off: int | None = None) -> Json:
    return {
        "product_name": "Print A4",
        "product_code": "print-a4",
        "unit_cost": cost,
        "quantity": quantity,
        "tax": None if tax is None else {"total_tax_amount": tax},
        "discount_amount": off,
    }


def test_own_lines_with_tax_and_discount_of_their_own() -> None:
    found = facts(10000 - 1000 + 900, detail_lines=(own_line(5000, 2, tax=900, off=1000),))
    assert parts(found) == [(LineKind.SERVICE, 10000, 1000), (LineKind.DISCOUNT, -1000, -100)]
    assert found.lines[0].service.key == "text:print-a4"


def test_own_lines_with_tax_discount_and_shipping_of_the_whole_order() -> None:
    details = {"tip": {}, "tax": {"total_tax_amount": 901}, "discount_amount": 1000, "shipping": {"amount": 450}}
    amount = 3333 * 3 - 1000 + 901 + 450
    found = facts(amount, {"amount_details": details}, detail_lines=(own_line(3333), own_line(3333), own_line(3333)))
    assert total(found) == amount
    assert [line.kind for line in found.lines].count(LineKind.SHIPPING) == 1
    assert sum(line.tax_minor for line in found.lines) == 901


def test_a_plain_payment_with_declared_tax_shipping_and_tip() -> None:
    details = {"tip": {"amount": 700}, "tax": {"total_tax_amount": 800}, "shipping": {"amount": 500}}
    found = facts(10000, {"amount_details": details, "description": "Family shoot"})
    assert parts(found) == [(LineKind.SERVICE, 8000, 800), (LineKind.SHIPPING, 500, 0), (LineKind.TIP, 700, 0)]
    assert found.lines[0].has_tax


def test_a_tip_inside_a_plain_payment_is_taken_out_of_it() -> None:
    found = facts(10000, {"amount_details": {"tip": {"amount": 1500}}})
    assert parts(found) == [(LineKind.SERVICE, 8500, 0), (LineKind.TIP, 1500, 0)]
    assert not found.lines[0].has_tax


# What was sold


@pytest.mark.parametrize(
    ("of_intent", "of_charge", "key", "name"),
    [
        ({"metadata": {"product_id": "prod_9"}}, {}, "prod_9", "prod_9"),
        ({"metadata": {"service": " Family  Shoot "}}, {}, "text:family shoot", "Family Shoot"),
        ({"metadata": {"color": "red"}}, {"metadata": {"sku": "FAM-1"}}, "text:fam-1", "FAM-1"),
        ({"metadata": {"product": "", "package": "Gold"}}, {}, "text:gold", "Gold"),
        ({"description": "Family shoot #4821"}, {}, "text:family shoot", "Family shoot"),
        ({}, {"description": "Headshots, 12/05/2026"}, "text:headshots", "Headshots"),
        ({"description": "#4821"}, {"statement_descriptor": "STUDIO JUNIPER"}, "text:studio juniper", "STUDIO JUNIPER"),
        ({"metadata": {"service": "*"}}, {}, "text:*", "*"),
        ({}, {}, DEFAULT_KEY, "Anything else"),
        ({"metadata": None, "description": 5}, {"metadata": []}, DEFAULT_KEY, "Anything else"),
    ],
)
def test_the_words_of_the_payment_name_the_service(of_intent: Json, of_charge: Json, key: str, name: str) -> None:
    [line] = facts(10000, of_intent, of_charge).lines
    assert (line.service.key, line.service.name) == (key, name)
    assert line.found_by


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Wedding 2026-05-01 #A123", "Wedding"),
        ("Portrait session on March 3, 2026 at 3:30pm", "Portrait session"),
        ("Portrait session on May 12, 2026 at 9am", "Portrait session"),
        ("Invoice INV-2024-001", "Invoice"),
        ("Booking 48213: Family shoot", "Booking: Family shoot"),
        ("Sat, 3rd of May 2026 – Headshots", "Headshots"),
        ("2026-05-01T15:00 Session", "Session"),
        ("60 min session", "60 min session"),
        ("90 min session", "90 min session"),
        ("100 photos pack", "100 photos pack"),
        ("1:1 coaching", "1:1 coaching"),
        ("#1", ""),
        ("12/05/2026", ""),
        ("", ""),
    ],
)
def test_booking_numbers_and_dates_make_no_service_of_their_own(text: str, cleaned: str) -> None:
    assert clean_words(text) == cleaned


@pytest.mark.parametrize("product", ["*", "text:tip", "", None, 5, {"id": None}])
def test_no_product_takes_the_place_of_a_key_of_ours(product: Any) -> None:
    found = checkout(10000, item(10000, price={"product": product}))
    assert found.lines[0].service.key == "text:portrait session"


# Clients


@pytest.mark.parametrize(
    ("sources", "key", "name"),
    [
        ({"of_intent": {"customer": "cus_1"}, "customer": {"id": "cus_1", "name": "Anna", "email": "a@x.org"}},
         "cus_1", "Anna"),
        ({"of_intent": {"customer": {"id": "cus_1", "deleted": True}}, "customer": {"id": "cus_1", "deleted": True}},
         "cus_1", "Anna Berg"),
        ({}, "email:anna@example.com", "Anna Berg"),
        ({"of_charge": {"billing_details": {"name": "Bo  Li", "email": None}}}, "name:bo li", "Bo Li"),
        ({"of_charge": {"billing_details": None, "receipt_email": "X@Y.org"}, "of_intent": {"receipt_email": None}},
         "name:stripe client", "Stripe client"),
        ({"of_charge": {"billing_details": {}}, "of_intent": {"receipt_email": "X@Y.org"}}, "email:x@y.org", "X@Y.org"),
        ({"of_charge": {"billing_details": {}}, "session": session(customer_details={"email": "S@s.org"})},
         "email:s@s.org", "S@s.org"),
    ],
)  # fmt: skip
def test_one_client_is_one_key(sources: Json, key: str, name: str) -> None:
    found = facts(10000, **sources).client
    assert (found.key, found.name) == (key, name)


HOSTILE = "A\x00nna\ud800 \u202eBerg\n\t<b>"


def test_hostile_names_become_storable_text() -> None:
    found = facts(
        10000,
        {"description": HOSTILE, "metadata": {"service": HOSTILE}, "customer": "cus_" + "9" * 400},
        {"billing_details": {"name": HOSTILE, "email": "x" * 999, "phone": HOSTILE * 20}},
        session_items=(item(10000, description=HOSTILE * 50, price={"product": {"id": "prod_1", "name": HOSTILE}}),),
        session=session(),
    )
    line = found.lines[0]
    for text in (found.client.name, found.client.key, found.description, line.service.name, line.description):
        assert "\x00" not in text
        text.encode()
    assert len(found.client.key) <= 400
    assert len(found.client.stripe_customer_id or "") <= 255
    assert len(found.client.email or "") <= 320
    assert len(found.client.phone or "") <= 64
    assert len(line.description) <= 500
    assert found.digest


# Money


@pytest.mark.parametrize(("currency", "amount"), [("jpy", 5000), ("kwd", 12345), ("usd", 1), ("bhd", 10**12)])
def test_minor_units_stay_as_stripe_counts_them(currency: str, amount: int) -> None:
    movement = {
        "id": "txn_1", "type": "charge", "amount": 33, "fee": 40, "net": -7, "currency": "USD", "created": 1772442000,
        "exchange_rate": 0.0066, "fee_details": [{"amount": 40, "description": "a\x00\ud800"}, None, 1],
        "source": {"id": "ch_1"}, "status": "pending",
    }  # fmt: skip
    found = facts(amount, {"currency": currency.upper()}, {"balance_transaction": movement})
    assert (found.currency, found.amount_minor, total(found)) == (currency, amount, amount)
    assert found.movement is not None
    assert (found.movement.amount_minor, found.movement.currency, found.movement.exchange_rate) == (33, "usd", "0.0066")
    assert found.digest == facts(amount, {"currency": currency}, {"balance_transaction": movement}).digest


def test_of_a_bare_charge_only_what_was_captured_counts() -> None:
    partly = payment_facts(Sources(None, charge(10000, amount_captured=6000, id="py_1")))
    assert (partly.source_id, partly.amount_minor, total(partly)) == ("py_1", 6000, 6000)
    old = charge(10000)
    del old["amount_captured"]
    assert payment_facts(Sources(None, old)).amount_minor == 10000


# Properties

AMOUNTS = st.integers(0, 10**7)


@st.composite
def stripe_items(draw: st.DrawFn) -> Json:
    subtotal = draw(st.integers(1, 10**7))
    discount = draw(st.just(0) | st.integers(0, subtotal))
    rate = draw(st.sampled_from([0, 0, 82_500, 100_000, 200_000, 250_000]))
    base = subtotal - discount
    if draw(st.booleans()):
        return item(subtotal, discount=discount, tax=round(base * rate / 1_000_000))
    tax = round(base * rate / (1_000_000 + rate))
    return item(subtotal, discount=discount, tax=tax, inside=tax)


@given(items=st.lists(stripe_items(), min_size=1, max_size=6), tip=st.just(0) | AMOUNTS, shipping=st.just(0) | AMOUNTS)
def test_checkout_lines_always_add_up_to_what_checkout_took(items: list[Json], tip: int, shipping: int) -> None:
    amount = sum(one["amount_total"] for one in items) + tip + shipping
    cost = {"amount_total": shipping, "amount_tax": 0}
    found = checkout(amount, *items, of_intent={"amount_details": {"tip": {"amount": tip}}}, shipping_cost=cost)
    assert total(found) == amount


@given(
    lines=st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**5)), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
)
def test_the_payments_of_one_invoice_add_up_to_it(lines: list[tuple[int, int]], cuts: list[int]) -> None:
    whole = sum(net + tax for net, tax in lines)
    rows = [invoice_line(net, (tax, "exclusive")) for net, tax in lines]
    left = whole
    for cut in [*cuts, whole]:
        paid = min(cut, left)
        left -= paid
        if paid:
            assert total(invoiced(paid, *rows, paid=paid, total=whole)) == paid


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    *("description", "price", "quantity", "pricing", "unit_cost", "subtotal", "tax", "taxes", "discount_amounts"),
    *("amount_subtotal", "amount_discount", "amount_tax", "amount_total"),
]
LOOSE = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))


@given(amount=st.integers(0, 10**9), items=st.lists(LOOSE, max_size=3), details=JSON, metadata=JSON, billing=JSON)
def test_no_shape_raises_and_a_plain_payment_always_adds_up(
    amount: int, items: list[Json], details: Any, metadata: Any, billing: Any
) -> None:
    """Whatever does not add up here is stopped by the planner; nothing may fail before that."""
    loose = {"amount_details": details, "metadata": metadata}
    of_charge = {"billing_details": billing if isinstance(billing, dict) else None}
    rows = tuple(items)
    paid = PaidInvoice({"id": "in_1"}, rows, amount)
    for more in ({"session_items": rows, "session": session()}, {"invoices": (paid,)}, {"detail_lines": rows}, {}):
        found = facts(amount, loose, of_charge, **more)
        assert all(isinstance(line, Line) for line in found.lines)
        assert found.digest
    assert total(facts(amount, loose, of_charge)) == amount
