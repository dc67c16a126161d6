"""What was sold, line by line, with tax, discounts, tips and shipping as Stripe states them.

The first source that answers is read: checkout, invoice, the payment's own line items, and last its own words. Nothing
here is made to fit: lines that do not add up to the payment stop it before it is posted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.books.documents import LineKind
from core.books.posting import rescale
from core.intake.facts import Line, PaidInvoice, ServiceRef, Sources
from core.intake.loose import clean_text, dig, integer, rows_of
from core.intake.read_service import service_by_words, service_of_product, text_service


def read_lines(sources: Sources, amount: int) -> Iterator[Line]:
    """Yield the parts of a payment of ``amount`` minor units."""
    lines = list(_sold(sources, amount))
    tip = _tip(sources)
    if tip and not any(line.kind is LineKind.TIP for line in lines):
        lines = [*_without_tip(lines, tip, amount), _tip_line(tip)]
    yield from (line for line in lines if line.amount_minor or line.tax_minor or line.kind is LineKind.SERVICE)


def _tip(sources: Sources) -> int:
    return integer(dig(sources.intent, "amount_details", "tip", "amount"))


def _tip_line(tip: int) -> Line:
    return Line(
        LineKind.TIP,
        text_service("Tip"),
        "Tip",
        1,
        tip,
        0,
        True,
        "payment_intent.amount_details.tip.amount",
        "Stripe's own tip field",
    )


def _without_tip(lines: list[Line], tip: int, amount: int) -> list[Line]:
    """A line that stands for the whole payment contains the tip; Stripe's own lines do not."""
    if len(lines) == 1 and lines[0].amount_minor + lines[0].tax_minor == amount:
        only = lines[0]
        return [replace(only, amount_minor=only.amount_minor - tip, stripe_field=f"{only.stripe_field} - tip")]
    return lines


def _sold(sources: Sources, amount: int) -> Iterator[Line]:
    if sources.session_items:
        yield from _session_lines(sources)
    elif any(paid.lines for paid in sources.invoices):
        for paid in sources.invoices:
            yield from _paid_part(paid, list(_invoice_lines(paid)))
    elif sources.detail_lines:
        yield from _detail_lines(sources)
    else:
        yield from _whole(sources, amount)


def _whole(sources: Sources, amount: int) -> Iterator[Line]:
    """Nothing but the payment itself: one line, less what Stripe sets apart."""
    service, found_by = service_by_words(sources)
    words = (sources.intent or {}).get("description") or sources.charge.get("description") or service.name
    tax, shipping, tip = _order_tax(sources), list(_order_shipping(sources)), _tip(sources)
    apart = (tax or 0) + sum(line.amount_minor for line in shipping) + (tip if shipping else 0)
    yield Line(
        LineKind.SERVICE,
        service,
        clean_text(words, 500),
        1,
        amount - apart,
        tax or 0,
        tax is not None,
        "payment_intent.amount_received" if sources.intent else "charge.amount",
        found_by,
    )
    yield from shipping


# Checkout


def _session_lines(sources: Sources) -> Iterator[Line]:
    is_automatic = dig(sources.session, "automatic_tax", "enabled") is True
    knows_tax = is_automatic or any(integer(item.get("amount_tax")) for item in sources.session_items)
    for item in sources.session_items:
        service = service_of_product(dig(item, "price", "product"), item.get("description"))
        sold = _Sold(
            service=service,
            description=clean_text(item.get("description") or service.name, 500),
            quantity=integer(item.get("quantity")) or 1,
            subtotal=integer(item.get("amount_subtotal")),
            discount=integer(item.get("amount_discount")),
            tax=integer(item.get("amount_tax")),
            total=integer(item.get("amount_total")),
            knows_tax=knows_tax,
            field="checkout.session.line_items.data.amount_subtotal",
            found_by="Stripe checkout line",
        )
        yield from _with_discount(sold)
    cost = dig(sources.session, "shipping_cost")
    yield from _shipping(cost, knows_tax, "checkout.session.shipping_cost.amount_total", "Stripe checkout shipping")


def _shipping(cost: Any, knows_tax: bool, field: str, found_by: str) -> Iterator[Line]:
    total, tax = integer(dig(cost, "amount_total")), integer(dig(cost, "amount_tax"))
    if total:
        service = ServiceRef("text:shipping", "Shipping")
        yield Line(LineKind.SHIPPING, service, "Shipping", 1, total - tax, tax, knows_tax or tax != 0, field, found_by)


# One line of Stripe's


@dataclass(frozen=True, slots=True)
class _Sold:
    """One line as Stripe puts it, in minor units: ``total = subtotal - discount`` plus what tax is not in there yet."""

    service: ServiceRef
    description: str
    quantity: int
    subtotal: int
    discount: int
    tax: int
    total: int
    knows_tax: bool
    field: str
    found_by: str


def _with_discount(sold: _Sold) -> Iterator[Line]:
    """Split one line into what was sold and what was taken off, each net and with its share of the tax."""
    inside = sold.subtotal - sold.discount + sold.tax - sold.total
    tax_on, tax_off = _shared(sold.tax, sold)
    inside_on, inside_off = _shared(inside, sold)
    yield Line(
        LineKind.SERVICE,
        sold.service,
        sold.description,
        sold.quantity,
        sold.subtotal - inside_on,
        tax_on,
        sold.knows_tax,
        sold.field,
        sold.found_by,
    )
    if sold.discount:
        yield Line(
            LineKind.DISCOUNT,
            sold.service,
            f"Discount on {sold.description}"[:500],
            1,
            -sold.discount - inside_off,
            tax_off,
            sold.knows_tax,
            sold.field.replace("amount_subtotal", "amount_discount"),
            sold.found_by,
        )


def _shared(part: int, sold: _Sold) -> tuple[int, int]:
    """Share an amount out between what was sold and what was taken off (negative)."""
    if not part or not sold.discount or sold.subtotal <= sold.discount:
        return part, 0
    on, off = rescale(part, [sold.subtotal, -sold.discount])
    return on, off


# Invoices


def _invoice_lines(paid: PaidInvoice) -> Iterator[Line]:
    knows_tax = dig(paid.invoice, "automatic_tax", "enabled") is True or any(
        rows_of(item.get("taxes")) for item in paid.lines
    )
    for item in paid.lines:
        service = service_of_product(dig(item, "pricing", "price_details", "product"), item.get("description"))
        taxes = rows_of(item.get("taxes"))
        added = sum(integer(tax.get("amount")) for tax in taxes if tax.get("tax_behavior") != "inclusive")
        subtotal = integer(item.get("subtotal") if item.get("subtotal") is not None else item.get("amount"))
        discount = sum(integer(off.get("amount")) for off in rows_of(item.get("discount_amounts")))
        sold = _Sold(
            service=service,
            description=clean_text(item.get("description") or service.name, 500),
            quantity=integer(item.get("quantity")) or 1,
            subtotal=subtotal,
            discount=discount,
            tax=sum(integer(tax.get("amount")) for tax in taxes),
            total=subtotal - discount + added,
            knows_tax=knows_tax,
            field="invoice.lines.data.amount_subtotal",
            found_by="Stripe invoice line",
        )
        yield from _with_discount(sold)
    cost = paid.invoice.get("shipping_cost")
    yield from _shipping(cost, knows_tax, "invoice.shipping_cost.amount_total", "Stripe invoice shipping")


def _paid_part(paid: PaidInvoice, lines: list[Line]) -> list[Line]:
    """An invoice may be paid in parts by several payments: take this payment's share of every line.

    Only of an invoice that was read right: where the lines are not its total, they are left to stop the payment.
    """
    parts = [part for line in lines for part in (line.amount_minor, line.tax_minor)]
    whole, stated = sum(parts), paid.invoice.get("total")
    if paid.paid_minor is None or not 0 < paid.paid_minor < whole or stated not in (None, whole):
        return lines
    shares = rescale(paid.paid_minor, parts)
    return [
        replace(
            line,
            amount_minor=shares[2 * i],
            tax_minor=shares[2 * i + 1],
            stripe_field=f"{line.stripe_field} × invoice_payment.amount_paid",
        )
        for i, line in enumerate(lines)
    ]


# The payment's own line items


def _detail_lines(sources: Sources) -> Iterator[Line]:
    """Tax and discount stand on the lines or on the payment as a whole, never on both."""
    items = sources.detail_lines
    nets = [integer(item.get("unit_cost")) * (integer(item.get("quantity")) or 1) for item in items]
    taxes = [dig(item, "tax", "total_tax_amount") for item in items]
    order_tax = _order_tax(sources)
    knows_tax = order_tax is not None or any(tax is not None for tax in taxes)
    tax_of = _each_or_spread([integer(tax) for tax in taxes], order_tax or 0, nets)
    order_off = integer(dig(sources.intent, "amount_details", "discount_amount"))
    off_of = _each_or_spread([integer(item.get("discount_amount")) for item in items], order_off, nets)
    for item, net, tax, off in zip(items, nets, tax_of, off_of, strict=True):
        name = clean_text(item.get("product_name"), 300) or "Sale"
        sold = _Sold(
            service=ServiceRef(text_service(clean_text(item.get("product_code"), 100) or name).key, name),
            description=name,
            quantity=integer(item.get("quantity")) or 1,
            subtotal=net,
            discount=off,
            tax=tax,
            total=net - off + tax,
            knows_tax=knows_tax,
            field="payment_intent.amount_details.line_items.data",
            found_by="Stripe payment line",
        )
        yield from _with_discount(sold)
    yield from _order_shipping(sources)


def _each_or_spread(each: list[int], whole: int, nets: list[int]) -> list[int]:
    if any(each) or not whole or sum(nets) <= 0:
        return each
    return rescale(whole, nets)


def _order_tax(sources: Sources) -> int | None:
    tax = dig(sources.intent, "amount_details", "tax", "total_tax_amount")
    return None if tax is None else integer(tax)


def _order_shipping(sources: Sources) -> Iterator[Line]:
    shipping: Mapping[str, Any] = {"amount_total": dig(sources.intent, "amount_details", "shipping", "amount")}
    yield from _shipping(shipping, True, "payment_intent.amount_details.shipping.amount", "Stripe payment shipping")
