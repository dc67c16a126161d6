"""Invoices: drafted from items, finalized, paid through an intent, voided."""

from collections.abc import Sequence

from web.sandbox.stripe import payments, shapes_invoice, shapes_payment
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.sales import Line, ensure_price, invoice_taxes
from web.sandbox.stripe.shapes import list_object
from web.sandbox.stripe.world import Account, Json, World, public

_FIRST_PAGE = 10


def add_item(world: World, account: Account, customer_id: str, line: Line, currency: str, *, send: bool = True) -> Json:
    """A pending invoice item."""
    made = shapes_invoice.invoice_item(world, account, customer_id, line.subtotal, currency)
    made.update(
        description=line.name or None,
        quantity=line.quantity,
        quantity_decimal=str(line.quantity),
        metadata=dict(line.metadata),
        pricing={"type": "price_details", "unit_amount_decimal": str(line.unit_amount)},
        _price=line.price,
        _discount=line.discount,
        _taxes=invoice_taxes(world, account, line),
    )
    account.add(made)
    account.pending_invoice_items.setdefault(customer_id, []).append(made)
    emit(world, account, "invoiceitem.created", made, send=send)
    return made


def draft(
    world: World, account: Account, customer: Json, currency: str, *, take_pending: bool = True, send: bool = True
) -> Json:
    """A draft invoice; takes the customer's pending items of its currency."""
    invoice = shapes_invoice.invoice(world, account, customer, currency)
    if take_pending:
        for item in _take_pending(account, customer["id"], currency):
            attach_item(world, account, invoice, item)
    recalculate(invoice)
    account.add(invoice)
    emit(world, account, "invoice.created", invoice, send=send)
    return invoice


def attach_item(world: World, account: Account, invoice: Json, item: Json) -> None:
    """Make an invoice item a line of a draft; the totals follow with :func:`recalculate`."""
    item["invoice"] = invoice["id"]
    invoice["_lines"].append(shapes_invoice.invoice_line(world, account, invoice["id"], item))


def _take_pending(account: Account, customer_id: str, currency: str) -> list[Json]:
    waiting = account.pending_invoice_items.pop(customer_id, [])
    taken = [item for item in waiting if item["invoice"] is None and item["currency"] == currency]
    left = [item for item in waiting if item["invoice"] is None and item["currency"] != currency]
    if left:
        account.pending_invoice_items[customer_id] = left
    return taken


def draft_of_lines(
    world: World, account: Account, customer: Json, lines: Sequence[Line], currency: str, *, send: bool = True
) -> Json:
    for line in lines:
        ensure_price(world, account, line, currency)
        add_item(world, account, customer["id"], line, currency, send=send)
    return draft(world, account, customer, currency, send=send)


def recalculate(invoice: Json) -> None:
    """Totals and the first page of lines, from the private full list."""
    lines = invoice["_lines"]
    subtotal = sum(line["subtotal"] for line in lines)
    discount = sum(entry["amount"] for line in lines for entry in line["discount_amounts"])
    taxes = [tax for line in lines for tax in line["taxes"]]
    exclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal - discount + exclusive
    invoice.update(
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal - inclusive,
        total=total,
        total_excluding_tax=total - exclusive - inclusive,
        amount_due=total,
        amount_remaining=total,
        total_discount_amounts=[entry for line in lines for entry in line["discount_amounts"]],
        total_taxes=taxes,
        lines=list_object(
            f"/v1/invoices/{invoice['id']}/lines",
            [public(line) for line in lines[:_FIRST_PAGE]],
            has_more=len(lines) > _FIRST_PAGE,
        ),
    )


def finalize(world: World, account: Account, invoice: Json, *, send: bool = True) -> Json:
    """Numbered and open; its default payment is an intent that waits."""
    if invoice["status"] != "draft":
        message = "This invoice is already finalized, you can't re-finalize a non-draft invoice."
        raise StripeError(message, code="invoice_not_editable")
    account.invoice_sequence += 1
    now = world.now()
    invoice.update(
        status="open",
        number=f"{account.id[-8:].upper()}-{account.invoice_sequence:04d}",
        effective_at=now,
        hosted_invoice_url=f"{world.settings.base_url}/_pages/invoices/{invoice['id']}",
        invoice_pdf=f"{world.settings.base_url}/_pages/invoices/{invoice['id']}.pdf",
    )
    invoice["status_transitions"]["finalized_at"] = now
    if invoice["total"] > 0:
        _attach_intent(world, account, invoice, send=send)
    emit(world, account, "invoice.finalized", invoice, send=send)
    return invoice


def pay(
    world: World,
    account: Account,
    invoice: Json,
    *,
    payment_method: str | None,
    billing: Json | None = None,
    intent_fields: Json | None = None,
    settlement: Settlement | None = None,
) -> Json | None:
    """Pay an open invoice through its intent; returns the intent."""
    terms = settlement or Settlement()
    intent = intent_of(account, invoice)
    if intent is not None:
        intent.update(intent_fields or {})
        intent.update(payment_method=payment_method, _billing=billing)
        payments.charge_intent(world, account, intent, terms)
    mark_paid(world, account, invoice, send=terms.send_events)
    return intent


def mark_paid(world: World, account: Account, invoice: Json, *, send: bool = True) -> None:
    now = world.now()
    invoice.update(
        status="paid", amount_paid=invoice["amount_due"], amount_remaining=0, attempted=True, attempt_count=1
    )
    invoice["status_transitions"]["paid_at"] = now
    for row in payments_of(account, invoice):
        row.update(amount_paid=row["amount_requested"], status="paid")
        row["status_transitions"]["paid_at"] = now
        emit(world, account, "invoice_payment.paid", row, send=send)
    emit(world, account, "invoice.updated", invoice, previous={"status": "open"}, send=send)
    emit(world, account, "invoice.paid", invoice, send=send)
    emit(world, account, "invoice.payment_succeeded", invoice, send=send)


def payments_of(account: Account, invoice: Json) -> list[Json]:
    shelf = account.shelf("invoice_payment")
    return [shelf.by_id[payment_id] for payment_id in invoice["_payments"]]


def intent_of(account: Account, invoice: Json) -> Json | None:
    for row in payments_of(account, invoice):
        found = account.get("payment_intent", row["payment"].get("payment_intent", ""))
        if found:
            return found
    return None


def _attach_intent(world: World, account: Account, invoice: Json, *, send: bool) -> None:
    intent = shapes_payment.payment_intent(world, account, invoice["total"], invoice["currency"])
    intent.update(customer=invoice["customer"], description=f"Payment for Invoice {invoice['number']}")
    account.add(intent)
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    row = account.add(shapes_invoice.invoice_payment(world, account, invoice, payment, invoice["total"]))
    invoice["_payments"].append(row["id"])
    emit(world, account, "payment_intent.created", intent, send=send)
