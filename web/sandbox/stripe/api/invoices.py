"""Invoices, their items and payments, credit notes."""

from typing import Any

from web.sandbox.stripe import billing, payments, shapes_invoice
from web.sandbox.stripe.api.common import given, metadata_of, remove, texts, update
from web.sandbox.stripe.cards import behaviour_of, method_of
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, page_of, resource
from web.sandbox.stripe.params import boolean, integer, mapping, mappings, required_text, text
from web.sandbox.stripe.sales import Line
from web.sandbox.stripe.shapes import deleted
from web.sandbox.stripe.world import Json

TABLE = Table()

_FIELDS = texts("description", "footer", "statement_descriptor", "collection_method", "default_payment_method")


def _of_payment(call: Call, row: Json, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(row["payment"].get(name) == wanted for name, wanted in value.items())


resource(
    TABLE,
    "/v1/invoices",
    "invoice",
    filters={
        "customer": field("customer"),
        "status": field("status"),
        "collection_method": field("collection_method"),
    },
)
resource(
    TABLE,
    "/v1/invoice_payments",
    "invoice_payment",
    filters={"invoice": field("invoice"), "status": field("status"), "payment": _of_payment},
)
resource(TABLE, "/v1/invoiceitems", "invoiceitem", filters={"customer": field("customer"), "invoice": field("invoice")})
resource(TABLE, "/v1/credit_notes", "credit_note", filters={"invoice": field("invoice"), "customer": field("customer")})


@TABLE.post("/v1/invoiceitems", "invoice_write")
def create_item(call: Call) -> Json:
    customer = call.load("customer", required_text(call.params, "customer"), param="customer")
    pricing = mapping(call.params, "pricing")
    price_id = text(pricing, "price") or text(call.params, "price")
    quantity = integer(call.params, "quantity") or 1
    if price_id:
        price = call.load("price", price_id, param="price")
        line = Line(unit_amount=price["unit_amount"] or 0, quantity=quantity, price=price)
        product = call.account.get("product", price["product"])
        line.name = product["name"] if product else ""
        currency = price["currency"]
    else:
        line = Line(unit_amount=integer(call.params, "amount") or 0, quantity=quantity)
        currency = (text(call.params, "currency") or call.account.currency).lower()
    line.name = text(call.params, "description") or line.name
    line.metadata = metadata_of(call)
    item = billing.add_item(call.world, call.account, customer["id"], line, currency)
    invoice_id = text(call.params, "invoice")
    if invoice_id:
        invoice = call.load("invoice", invoice_id, param="invoice")
        billing.attach_item(call.world, call.account, invoice, item)
        billing.recalculate(invoice)
    return item


@TABLE.delete("/v1/invoiceitems/{id}", "invoice_write")
def delete_item(call: Call) -> Json:
    removed = remove(call, "invoiceitem")
    for waiting in call.account.pending_invoice_items.values():
        waiting[:] = [item for item in waiting if item["id"] != removed["id"]]
    return removed


@TABLE.post("/v1/invoices", "invoice_write")
def create(call: Call) -> Json:
    customer = call.load("customer", required_text(call.params, "customer"), param="customer")
    currency = (text(call.params, "currency") or call.account.currency).lower()
    take = text(call.params, "pending_invoice_items_behavior") != "exclude"
    invoice = billing.draft(call.world, call.account, customer, currency, take_pending=take)
    invoice.update(given(call.params, _FIELDS), metadata=metadata_of(call))
    days = integer(call.params, "days_until_due")
    if days is not None:
        invoice["due_date"] = call.world.now() + days * 86_400
    return invoice


@TABLE.post("/v1/invoices/{id}", "invoice_write")
def change(call: Call) -> Json:
    return update(call, "invoice", _FIELDS)


@TABLE.delete("/v1/invoices/{id}", "invoice_write")
def delete(call: Call) -> Json:
    invoice = call.load("invoice")
    if invoice["status"] != "draft":
        message = "You can only delete draft invoices."
        raise StripeError(message)
    call.account.shelf("invoice").remove(invoice["id"])
    emit(call.world, call.account, "invoice.deleted", invoice)
    return deleted(invoice)


@TABLE.get("/v1/invoices/{id}/lines", "invoice_read")
def lines(call: Call) -> Json:
    invoice = call.load("invoice")
    return page_of(call, invoice["_lines"], f"/v1/invoices/{invoice['id']}/lines")


@TABLE.post("/v1/invoices/{id}/finalize", "invoice_write")
def finalize(call: Call) -> Json:
    return billing.finalize(call.world, call.account, call.load("invoice"))


@TABLE.post("/v1/invoices/{id}/send", "invoice_write")
def send(call: Call) -> Json:
    invoice = call.load("invoice")
    if invoice["status"] == "draft":
        billing.finalize(call.world, call.account, invoice)
    emit(call.world, call.account, "invoice.sent", invoice)
    return invoice


@TABLE.post("/v1/invoices/{id}/pay", "invoice_write")
def pay(call: Call) -> Json:
    world, account = call.world, call.account
    invoice = call.load("invoice")
    if invoice["status"] == "draft":
        billing.finalize(world, account, invoice)
    if invoice["status"] != "open":
        message = "Invoice is already paid" if invoice["status"] == "paid" else "Invoice cannot be paid"
        raise StripeError(message)
    if boolean(call.params, "paid_out_of_band"):
        billing.mark_paid(world, account, invoice)
        return invoice
    token = text(call.params, "payment_method")
    method = method_of(world, account, token) if token else None
    card = behaviour_of(method)
    intent = billing.intent_of(account, invoice)
    if card.decline_code and intent:
        payments.decline(world, account, intent, card.decline_code)
        emit(world, account, "invoice.payment_failed", invoice)
        message = "Your card was declined."
        raise StripeError(message, status=402, type="card_error", code="card_declined")
    if card.needs_action:
        emit(world, account, "invoice.payment_failed", invoice)
        emit(world, account, "invoice.payment_action_required", invoice)
        message = "This payment requires additional user action before it can be completed successfully."
        raise StripeError(message, status=402, type="card_error", code="invoice_payment_intent_requires_action")
    billing.pay(world, account, invoice, payment_method=method["id"] if method else None)
    return invoice


@TABLE.post("/v1/invoices/{id}/void", "invoice_write")
def void(call: Call) -> Json:
    return _end(call, "void", "voided_at", "invoice.voided")


@TABLE.post("/v1/invoices/{id}/mark_uncollectible", "invoice_write")
def mark_uncollectible(call: Call) -> Json:
    return _end(call, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


@TABLE.post("/v1/credit_notes", "credit_note_write")
def create_credit_note(call: Call) -> Json:
    invoice = call.load("invoice", required_text(call.params, "invoice"), param="invoice")
    amount = sum(
        (integer(line, "unit_amount") or 0) * (integer(line, "quantity") or 1)
        for line in mappings(call.params, "lines")
    )
    note = shapes_invoice.credit_note(
        call.world, call.account, invoice, amount or integer(call.params, "amount") or 0, []
    )
    note["metadata"] = metadata_of(call)
    call.account.add(note)
    emit(call.world, call.account, "credit_note.created", note)
    return note


@TABLE.post("/v1/credit_notes/{id}", "credit_note_write")
def change_credit_note(call: Call) -> Json:
    return update(call, "credit_note", texts("memo"))


@TABLE.post("/v1/credit_notes/{id}/void", "credit_note_write")
def void_credit_note(call: Call) -> Json:
    note = call.load("credit_note")
    note.update(status="void", voided_at=call.world.now())
    emit(call.world, call.account, "credit_note.voided", note)
    return note


def _end(call: Call, status: str, stamp: str, event: str) -> Json:
    invoice = call.load("invoice")
    if invoice["status"] != "open":
        message = f"You can only pass in open invoices. This invoice is {invoice['status']}."
        raise StripeError(message)
    invoice["status"] = status
    invoice["status_transitions"][stamp] = call.world.now()
    emit(call.world, call.account, event, invoice)
    return invoice
