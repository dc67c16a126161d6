"""Builds what a sale consists of: checkout sessions, payment links, invoices and their lines."""

from typing import Any

from web.sandbox.stripe.shapes import base, list_object
from web.sandbox.stripe.world import Account, Json, World

SESSION_LIFE_S = 86_400


def checkout_session(world: World, account: Account, currency: str, *, at: int | None = None) -> Json:
    made = base(world, account, "checkout.session", "cs_test_", at=at)
    return {
        **made,
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "allowed_payment_method_types": None,
        "amount_subtotal": 0,
        "amount_total": 0,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": None,
        "client_reference_id": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": None,
        "customer_email": None,
        "discounts": [],
        "expires_at": made["created"] + SESSION_LIFE_S,
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": None,
        "locale": None,
        "managed_payments": None,
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{world.settings.base_url}/_pages/checkout/{made['id']}",
        "wallet_options": None,
        "_items": [],
    }


def item(world: World, account: Account, currency: str, description: str, price: Json | None) -> Json:
    """One line of a checkout session. ``_taxes`` and ``_discounts`` show only when expanded."""
    return {
        "id": world.new_id("li_"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": 0,
        "amount_tax": 0,
        "amount_total": 0,
        "currency": currency,
        "description": description,
        "metadata": {},
        "price": price,
        "quantity": 1,
        "_taxes": [],
        "_discounts": [],
    }


def payment_link(world: World, account: Account, currency: str) -> Json:
    made = base(world, account, "payment_link", "plink_")
    return {
        **made,
        "active": True,
        "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
        "allow_promotion_codes": False,
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_address_collection": "auto",
        "consent_collection": None,
        "currency": currency,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_creation": "if_required",
        "inactive_message": None,
        "invoice_creation": None,
        "managed_payments": None,
        "on_behalf_of": None,
        "payment_intent_data": None,
        "payment_method_collection": "always",
        "payment_method_options": None,
        "payment_method_types": None,
        "phone_number_collection": {"enabled": False},
        "restrictions": None,
        "shipping_address_collection": None,
        "shipping_options": [],
        "submit_type": "auto",
        "subscription_data": None,
        "tax_id_collection": {"enabled": False, "required": "never"},
        "transfer_data": None,
        "url": f"{world.settings.base_url}/_pages/links/{made['id']}",
        "_items": [],
    }


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
