"""Lines of a sale: quantities, discounts and taxes, the arithmetic that sessions and invoices share."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from web.sandbox.stripe import shapes, shapes_billing
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.world import Account, Json, World


@dataclass
class Tax:
    """One tax on a line. ``amount`` overrides the arithmetic."""

    percentage: float
    inclusive: bool = False
    display_name: str = "Sales tax"
    amount: int | None = None
    rate_id: str | None = None


@dataclass
class Line:
    """One thing sold."""

    name: str = ""
    unit_amount: int = 0
    quantity: int = 1
    price: Json | None = None
    product: str | None = None
    """Sold at a price of its own, as ``price_data`` with a product does."""
    discount: int = 0
    taxes: list[Tax] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def subtotal(self) -> int:
        return self.unit_amount * self.quantity

    def tax_amount(self, tax: Tax) -> int:
        if tax.amount is not None:
            return tax.amount
        taxable = Decimal(self.subtotal - self.discount)
        rate = Decimal(str(tax.percentage)) / 100
        exact = taxable - taxable / (1 + rate) if tax.inclusive else taxable * rate
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    @property
    def tax(self) -> int:
        return sum(self.tax_amount(tax) for tax in self.taxes)

    @property
    def total(self) -> int:
        added = sum(self.tax_amount(tax) for tax in self.taxes if not tax.inclusive)
        return self.subtotal - self.discount + added


def line_of_price(account: Account, price: Json, quantity: int) -> Line:
    product = account.get("product", price["product"])
    name = product["name"] if product else price["product"]
    return Line(name=name, unit_amount=price["unit_amount"] or 0, quantity=quantity, price=price)


def new_product(
    world: World, account: Account, name: str, unit_amount: int | None, currency: str, *, emit_events: bool = True
) -> tuple[Json, Json | None]:
    """A product and, with an amount, its default price."""
    product = shapes.product(world, account, name)
    account.add(product)
    price = None
    if unit_amount is not None:
        price = shapes.price(world, account, product["id"], unit_amount, currency)
        product["default_price"] = price["id"]
        account.add(price)
    if emit_events:
        emit(world, account, "product.created", product)
        if price:
            emit(world, account, "price.created", price)
    return product, price


def ensure_price(world: World, account: Account, line: Line, currency: str) -> Json:
    """A line without a price gets an ad-hoc one, inactive and with its own product, as ``price_data`` makes."""
    if line.price is None and line.product is not None:
        line.price = account.add(shapes.price(world, account, line.product, line.unit_amount, currency))
        line.price["active"] = False
    elif line.price is None:
        product, price = new_product(world, account, line.name or "Item", line.unit_amount, currency, emit_events=False)
        product.update(active=False, default_price=None)
        assert price is not None  # noqa: S101 - new_product makes one when it gets an amount
        price["active"] = False
        line.price = price
    return line.price


def tax_rate_of(world: World, account: Account, tax: Tax) -> Json:
    """The tax rate object behind ``tax``; equal taxes share one."""
    if tax.rate_id:
        found = account.get("tax_rate", tax.rate_id)
        if found:
            return found
    for rate in account.shelf("tax_rate").newest_first():
        same = (rate["display_name"], rate["percentage"], rate["inclusive"])
        if same == (tax.display_name, tax.percentage, tax.inclusive):
            tax.rate_id = rate["id"]
            return rate
    rate = shapes.tax_rate(world, account, tax.display_name, tax.percentage, inclusive=tax.inclusive)
    tax.rate_id = rate["id"]
    return account.add(rate)


def session_item(world: World, account: Account, line: Line, currency: str) -> Json:
    price = ensure_price(world, account, line, currency)
    made = shapes_billing.item(world, account, currency, line.name, price)
    made.update(
        quantity=line.quantity,
        amount_subtotal=line.subtotal,
        amount_discount=line.discount,
        amount_tax=line.tax,
        amount_total=line.total,
        metadata=dict(line.metadata),
    )
    made["_taxes"] = [
        {
            "amount": line.tax_amount(tax),
            "rate": tax_rate_of(world, account, tax),
            "taxability_reason": "standard_rated",
            "taxable_amount": line.subtotal - line.discount,
        }
        for tax in line.taxes
    ]
    if line.discount:
        made["_discounts"] = [{"amount": line.discount, "discount": _discount(world, line.discount, currency)}]
    account.line_items[made["id"]] = made
    return made


def invoice_taxes(world: World, account: Account, line: Line) -> list[Json]:
    return [
        {
            "amount": line.tax_amount(tax),
            "tax_behavior": "inclusive" if tax.inclusive else "exclusive",
            "tax_rate_details": {"tax_rate": tax_rate_of(world, account, tax)["id"]},
            "taxability_reason": "standard_rated",
            "taxable_amount": line.subtotal - line.discount,
            "type": "tax_rate_details",
        }
        for tax in line.taxes
    ]


def _discount(world: World, amount: int, currency: str) -> Json:
    coupon = world.new_id("", 8)
    return {
        "id": world.new_id("di_"),
        "object": "discount",
        "checkout_session": None,
        "customer": None,
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {"coupon": coupon, "type": "coupon"},
        "start": world.now(),
        "subscription": None,
        "subscription_item": None,
        "metadata": {"amount_off": str(amount), "currency": currency},
    }
