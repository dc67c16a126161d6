"""Makes payments as the control API describes them, each in the way its business would have taken it."""

import msgspec

from web.sandbox.stripe import billing, cards, checkout, payments, sales, shapes, shapes_billing, shapes_payment
from web.sandbox.stripe.errors import StripeError, no_such
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.inputs import CustomerInput, FeeInput, LineInput, PaymentInput
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.sales import Line, Tax
from web.sandbox.stripe.world import Account, Json, World


def make_payment(world: World, account: Account, wish: PaymentInput) -> Json:
    """Take one payment; returns the ids of everything that came to be."""
    currency = (wish.currency or account.currency).lower()
    terms = settlement(wish)
    customer = _customer(world, account, wish)
    details = _billing(wish, customer)
    if wish.via == "charge":
        return _bare_charge(world, account, wish, currency, details, terms)
    token = wish.payment_method
    if token.startswith(("pm_card_", "tok_")):
        method = cards.make_method(world, account, token, details)
    else:
        method = cards.method_of(world, account, token)
    fields = {**_intent_fields(world, wish), "customer": customer["id"] if customer else None}
    if wish.via == "payment_intent":
        return _bare_intent(world, account, wish, currency, details, fields, method, terms)
    if wish.via == "invoice":
        return _invoice(world, account, wish, currency, customer, details, fields, method, terms)
    return _session(world, account, wish, currency, details, fields, method, terms)


def settlement(wish: PaymentInput) -> Settlement:
    return Settlement(
        fee=wish.fee,
        fee_details=None if wish.fee_details is None else [_fee(line) for line in wish.fee_details],
        fee_tax=wish.fee_tax,
        foreign_card=wish.foreign_card,
        settled_currency=wish.settled_currency,
        settled_amount=wish.settled_amount,
        exchange_rate=wish.exchange_rate,
        available_on=wish.available_on,
        delay_s=wish.bt_delay_s,
        send_events=wish.webhooks,
        imported=wish.created is not None,
    )


def make_customer(world: World, account: Account, wish: CustomerInput, *, send: bool = True) -> Json:
    customer = shapes.customer(world, account)
    customer.update(
        name=wish.name,
        email=wish.email,
        phone=wish.phone,
        address=shapes.address(wish.address),
        metadata=dict(wish.metadata),
    )
    account.add(customer)
    emit(world, account, "customer.created", customer, send=send)
    return customer


def _bare_intent(
    world: World,
    account: Account,
    wish: PaymentInput,
    currency: str,
    details: Json,
    fields: Json,
    method: Json,
    terms: Settlement,
) -> Json:
    amount = wish.amount if wish.amount is not None else sum(line.total for line in _lines(account, wish))
    intent = shapes_payment.payment_intent(world, account, amount + wish.tip + wish.shipping, currency, at=wish.created)
    intent.update(fields)
    intent.update(payment_method=method["id"], _billing=details, _l3=_l3(world, wish))
    if wish.tip:
        intent["amount_details"]["tip"] = {"amount": wish.tip}
    if wish.tax:
        intent["amount_details"]["tax"] = {"total_tax_amount": wish.tax}
    account.add(intent)
    emit(world, account, "payment_intent.created", intent, send=wish.webhooks)
    card = cards.behaviour_of(method)
    if card.decline_code:
        payments.decline(world, account, intent, card.decline_code)
    elif wish.settles_after_s is not None:
        intent["status"] = "processing"
        emit(world, account, "payment_intent.processing", intent, send=wish.webhooks)
        world.scheduler.later(
            wish.settles_after_s, lambda: _forget(payments.charge_intent(world, account, intent, terms))
        )
    else:
        payments.charge_intent(world, account, intent, terms)
    return _made(account, intent)


def _session(
    world: World,
    account: Account,
    wish: PaymentInput,
    currency: str,
    details: Json,
    fields: Json,
    method: Json,
    terms: Settlement,
) -> Json:
    lines = _lines(account, wish)
    session = checkout.open_session(world, account, lines, currency, shipping_amount=wish.shipping, at=wish.created)
    session.update(
        client_reference_id=wish.client_reference_id,
        customer=fields["customer"],
        metadata=dict(wish.session_metadata),
    )
    if wish.via == "payment_link":
        link = shapes_billing.payment_link(world, account, currency)
        link["_items"] = [sales.session_item(world, account, line, currency) for line in lines]
        account.add(link)
        emit(world, account, "payment_link.created", link, send=wish.webhooks)
        session["payment_link"] = link["id"]
    slow = wish.settles_after_s is not None
    intent = checkout.pay_session(
        world,
        account,
        session,
        billing=details,
        payment_method=method["id"],
        intent_fields=fields,
        tip=wish.tip,
        settlement=terms,
        settles_later=slow,
    )
    if wish.settles_after_s is not None:
        world.scheduler.later(wish.settles_after_s, lambda: checkout.money_arrives(world, account, session, terms))
    return {**_made(account, intent), "checkout_session": session["id"], "payment_link": session["payment_link"]}


def _invoice(
    world: World,
    account: Account,
    wish: PaymentInput,
    currency: str,
    customer: Json | None,
    details: Json,
    fields: Json,
    method: Json,
    terms: Settlement,
) -> Json:
    payer = customer or make_customer(world, account, wish.billing or CustomerInput(), send=wish.webhooks)
    invoice = billing.draft_of_lines(world, account, payer, _lines(account, wish), currency, send=wish.webhooks)
    invoice["metadata"] = dict(wish.session_metadata)
    billing.finalize(world, account, invoice, send=wish.webhooks)
    sent_at = world.now() - int(wish.invoiced_days_ago * 86400)
    invoice["created"] = invoice["effective_at"] = invoice["status_transitions"]["finalized_at"] = sent_at
    # An invoice describes its own intent; the wish's description is the invoice's.
    kept = {name: value for name, value in fields.items() if name not in {"description", "customer"}}
    invoice["description"] = wish.description
    intent = billing.pay(
        world,
        account,
        invoice,
        payment_method=method["id"],
        billing=details,
        intent_fields=kept,
        settlement=terms,
    )
    if intent is None:
        return {"invoice": invoice["id"]}
    return {**_made(account, intent), "invoice": invoice["id"]}


def _bare_charge(
    world: World, account: Account, wish: PaymentInput, currency: str, details: Json, terms: Settlement
) -> Json:
    charge = shapes_payment.charge(world, account, wish.amount or 0, currency, prefix="py_", at=wish.created)
    charge.update(
        description=wish.description,
        metadata=dict(wish.metadata),
        billing_details=shapes.billing_details(details),
        source_transfer=world.new_id("tr_"),
        payment_method_details=None,
        calculated_statement_descriptor=None,
        outcome=None,
        receipt_url=None,
    )
    if terms.fee is None and terms.fee_details is None:
        terms.fee = 0
    payments.direct_charge(world, account, charge, terms)
    return {"charge": charge["id"], "payment_intent": None, "status": charge["status"]}


def _intent_fields(world: World, wish: PaymentInput) -> Json:
    fields: Json = {
        "description": wish.description,
        "metadata": dict(wish.metadata),
        "statement_descriptor": wish.statement_descriptor,
        "receipt_email": wish.receipt_email,
        "customer_account": wish.customer_account,
        "application": wish.application,
        "application_fee_amount": wish.application_fee_amount,
        "capture_method": wish.capture_method,
    }
    if wish.application_fee_amount and not wish.application:
        fields["application"] = world.settings.stripe_client_id
    if wish.presentment_amount is not None and wish.presentment_currency:
        fields["presentment_details"] = {
            "presentment_amount": wish.presentment_amount,
            "presentment_currency": wish.presentment_currency,
        }
    return fields


def _lines(account: Account, wish: PaymentInput) -> list[Line]:
    if not wish.lines:
        if wish.amount is None:
            message = "Give an amount or lines."
            raise StripeError(message)
        return [Line(name=wish.description or "Payment", unit_amount=wish.amount)]
    return [_line(account, entry) for entry in wish.lines]


def _line(account: Account, entry: LineInput) -> Line:
    price_id = entry.price
    if price_id is None and entry.product is not None:
        product = account.get("product", entry.product)
        if product is None:
            raise no_such("product", entry.product, "product")
        price_id = product["default_price"] if entry.unit_amount is None else None
    if price_id is None and entry.product is not None:
        name = entry.name or account.shelf("product").by_id[entry.product]["name"]
        line = Line(name=name, unit_amount=entry.unit_amount or 0, quantity=entry.quantity, product=entry.product)
    elif price_id is not None:
        price = account.get("price", price_id)
        if price is None:
            raise no_such("price", price_id, "price")
        line = sales.line_of_price(account, price, entry.quantity)
        line.name = entry.name or line.name
    else:
        line = Line(name=entry.name or "Item", unit_amount=entry.unit_amount or 0, quantity=entry.quantity)
    line.discount = entry.discount
    line.metadata = dict(entry.metadata)
    line.taxes = [Tax(t.percentage, t.inclusive, t.display_name, t.amount) for t in entry.taxes]
    return line


def _customer(world: World, account: Account, wish: PaymentInput) -> Json | None:
    if wish.customer is not None:
        found = account.get("customer", wish.customer)
        if found is None:
            raise no_such("customer", wish.customer, "customer")
        return found
    if wish.new_customer is not None:
        return make_customer(world, account, wish.new_customer, send=wish.webhooks)
    return None


def _billing(wish: PaymentInput, customer: Json | None) -> Json:
    if wish.billing is not None:
        source: Json = {
            "name": wish.billing.name,
            "email": wish.billing.email,
            "phone": wish.billing.phone,
            "address": wish.billing.address,
        }
    elif customer is not None:
        source = {name: customer[name] for name in ("name", "email", "phone", "address")}
    else:
        source = {}
    return shapes.billing_details(source)


def _l3(world: World, wish: PaymentInput) -> list[Json]:
    return [
        {
            "id": world.new_id("uli_"),
            "object": "payment_intent_amount_details_line_item",
            "discount_amount": None,
            "payment_method_options": None,
            "product_code": None,
            "product_name": "Item",
            "quantity": 1,
            "tax": None,
            "unit_cost": 0,
            "unit_of_measure": None,
            **line,
        }
        for line in wish.line_items_l3
    ]


def _fee(line: FeeInput) -> Json:
    return dict(msgspec.to_builtins(line))


def _made(account: Account, intent: Json) -> Json:
    charge = account.get("charge", intent["latest_charge"] or "")
    return {
        "payment_intent": intent["id"],
        "charge": charge["id"] if charge else None,
        "balance_transaction": charge["balance_transaction"] if charge else None,
        "customer": intent["customer"],
        "status": intent["status"],
    }


def _forget(_: object) -> None:
    """Scheduler jobs return nothing."""
