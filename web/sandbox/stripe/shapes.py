"""Builds whole objects: every field that API 2026-10-28.endive requires, with the values a plain account shows."""

from typing import Any

from web.sandbox.stripe.world import API_VERSION, Account, Json, World

EMPTY_ADDRESS: Json = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}


def address(given: Json | None) -> Json | None:
    """A full address out of a partial one."""
    if not given:
        return None
    return {**EMPTY_ADDRESS, **{key: value or None for key, value in given.items() if key in EMPTY_ADDRESS}}


def billing_details(given: Json | None = None) -> Json:
    source = given or {}
    return {
        "address": address(source.get("address")) or dict(EMPTY_ADDRESS),
        "email": source.get("email") or None,
        "name": source.get("name") or None,
        "phone": source.get("phone") or None,
        "tax_id": source.get("tax_id") or None,
    }


def shipping(given: Json | None) -> Json | None:
    if not given:
        return None
    return {
        "address": address(given.get("address")) or dict(EMPTY_ADDRESS),
        "carrier": given.get("carrier"),
        "name": given.get("name") or "",
        "phone": given.get("phone"),
        "tracking_number": given.get("tracking_number"),
    }


def list_object(url: str, data: list[Json] | None = None, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data or [], "has_more": has_more, "url": url}


def base(world: World, account: Account, kind: str, prefix: str, *, at: int | None = None) -> Json:
    return {
        "id": world.new_id(prefix),
        "object": kind,
        "created": world.now() if at is None else at,
        "livemode": account.livemode,
        "metadata": {},
    }


def account_object(account: Account) -> Json:
    """The body of ``GET /v1/account``."""
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": None,
            "minority_owned_business_designation": None,
            "name": account.name,
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "individual",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": account.country,
        "created": account.created,
        "default_currency": account.currency,
        "details_submitted": True,
        "email": account.email,
        "external_accounts": list_object(f"/v1/accounts/{account.id}/external_accounts"),
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "dashboard": {"display_name": account.name, "timezone": "Etc/UTC"},
            "payouts": {
                "debit_negative_balances": True,
                "schedule": {"delay_days": account.payout_delay_days, "interval": "daily"},
                "statement_descriptor": None,
            },
        },
        "type": "standard",
    }


def customer(world: World, account: Account) -> Json:
    return {
        **base(world, account, "customer", "cus_"),
        "address": None,
        "balance": 0,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": world.new_id("", 8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def product(world: World, account: Account, name: str) -> Json:
    made = base(world, account, "product", "prod_")
    return {
        **made,
        "active": True,
        "default_price": None,
        "description": None,
        "images": [],
        "marketing_features": [],
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": made["created"],
        "url": None,
    }


def price(world: World, account: Account, product_id: str, unit_amount: int | None, currency: str) -> Json:
    return {
        **base(world, account, "price", "price_"),
        "active": True,
        "billing_scheme": "per_unit",
        "currency": currency,
        "custom_unit_amount": None,
        "lookup_key": None,
        "nickname": None,
        "product": product_id,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": None if unit_amount is None else str(unit_amount),
    }


def tax_rate(world: World, account: Account, display_name: str, percentage: float, *, inclusive: bool) -> Json:
    return {
        **base(world, account, "tax_rate", "txr_"),
        "active": True,
        "country": account.country,
        "description": None,
        "display_name": display_name,
        "effective_percentage": None,
        "flat_amount": None,
        "inclusive": inclusive,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "percentage": int(percentage) if percentage == int(percentage) else percentage,
        "rate_type": "percentage",
        "state": None,
        "tax_type": "sales_tax",
    }


def payment_method(world: World, account: Account, card: Json, billing: Json | None = None) -> Json:
    return {
        **base(world, account, "payment_method", "pm_"),
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(billing),
        "customer": None,
        "customer_account": None,
        "type": "card",
        "card": {
            "brand": "visa",
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": "visa",
            "exp_month": 8,
            "exp_year": 2030,
            "fingerprint": world.new_id("", 16),
            "funding": "credit",
            "generated_from": None,
            "last4": "4242",
            "networks": {"available": ["visa"], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
            **card,
        },
    }


def webhook_endpoint(world: World, account: Account, url: str, enabled_events: list[str]) -> Json:
    return {
        **base(world, account, "webhook_endpoint", "we_"),
        "api_version": None,
        "application": None,
        "description": None,
        "enabled_events": enabled_events,
        "status": "enabled",
        "url": url,
        "_secret": world.new_id("whsec_", 32),
        "_connect": False,
        "_version": API_VERSION,
    }


def setup_intent(world: World, account: Account) -> Json:
    made = base(world, account, "setup_intent", "seti_")
    return {
        **made,
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{made['id']}_secret_{world.new_id('', 20)}",
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "mandate": None,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
    }


def deleted(item: Json) -> Json:
    return {"id": item["id"], "object": item["object"], "deleted": True}


def application(client_id: str, name: str) -> dict[str, Any]:
    return {"id": client_id, "object": "application", "name": name}
