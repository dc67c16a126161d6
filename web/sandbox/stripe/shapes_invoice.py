"""Builds invoices, their items, lines and payments, and credit notes."""

from typing import Any

from web.sandbox.stripe.shapes import base, list_object
from web.sandbox.stripe.world import Account, Json, World


def invoice_item(world: World, account: Account, customer_id: str, amount: int, currency: str) -> Json:
    now = world.now()
    return {
        **base(world, account, "invoiceitem", "ii_"),
        "amount": amount,
        "currency": currency,
        "customer": customer_id,
        "customer_account": None,
        "date": now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "net_amount": amount,
        "parent": None,
        "period": {"end": now, "start": now},
        "pricing": {"type": "price_details", "unit_amount_decimal": str(amount)},
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
        "_price": None,
        "_discount": 0,
        "_taxes": [],
    }


def invoice_line(world: World, account: Account, invoice_id: str, source: Json) -> Json:
    """The line that an invoice item becomes."""
    pricing: Json = {"type": "price_details", "unit_amount_decimal": source["pricing"]["unit_amount_decimal"]}
    price = source["_price"]
    if price:
        pricing["price_details"] = {"price": price["id"], "product": price["product"]}
    return {
        "id": world.new_id("il_"),
        "object": "line_item",
        "amount": source["amount"],
        "currency": source["currency"],
        "description": source["description"],
        "discount_amounts": (
            [{"amount": source["_discount"], "discount": world.new_id("di_")}] if source["_discount"] else []
        ),
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": account.livemode,
        "metadata": dict(source["metadata"]),
        "parent": {
            "invoice_item_details": {
                "invoice_item": source["id"],
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": dict(source["period"]),
        "pretax_credit_amounts": [],
        "pricing": pricing if price or source["amount"] else None,
        "quantity": source["quantity"],
        "quantity_decimal": str(source["quantity"]),
        "subscription": None,
        "subtotal": source["amount"],
        "taxes": list(source["_taxes"]),
    }


def invoice(world: World, account: Account, customer: Json, currency: str) -> Json:
    made = base(world, account, "invoice", "in_")
    return {
        **made,
        "account_country": account.country,
        "account_name": account.name,
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": list_object(f"/v1/invoices/{made['id']}/lines"),
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": made["created"],
        "period_start": made["created"],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": made["created"],
        "_lines": [],
        "_payments": [],
    }


def invoice_payment(world: World, account: Account, invoice_object: Json, payment: dict[str, Any], amount: int) -> Json:
    made = base(world, account, "invoice_payment", "inpay_")
    made.pop("metadata")
    return {
        **made,
        "amount_paid": None,
        "amount_requested": amount,
        "currency": invoice_object["currency"],
        "invoice": invoice_object["id"],
        "is_default": True,
        "payment": payment,
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def credit_note(world: World, account: Account, invoice_object: Json, amount: int, lines: list[Json]) -> Json:
    made = base(world, account, "credit_note", "cn_")
    return {
        **made,
        "amount": amount,
        "amount_shipping": 0,
        "currency": invoice_object["currency"],
        "customer": invoice_object["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": made["created"],
        "invoice": invoice_object["id"],
        "lines": list_object(f"/v1/credit_notes/{made['id']}/lines", lines),
        "memo": None,
        "number": f"{invoice_object['number']}-CN-01",
        "out_of_band_amount": None,
        "pdf": f"{world.settings.base_url}/_pages/credit_notes/{made['id']}",
        "post_payment_amount": 0,
        "pre_payment_amount": amount,
        "pretax_credit_amounts": [],
        "reason": None,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "pre_payment",
        "voided_at": None,
    }
