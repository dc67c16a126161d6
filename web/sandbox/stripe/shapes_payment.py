"""Builds payment objects: intents, charges, refunds, disputes, payouts, transfers."""

from web.sandbox.stripe.shapes import base, billing_details, list_object
from web.sandbox.stripe.world import Account, Json, World

_EVIDENCE_FIELDS = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)

EVIDENCE_WINDOW_S = 9 * 86_400


def payment_intent(world: World, account: Account, amount: int, currency: str, *, at: int | None = None) -> Json:
    made = base(world, account, "payment_intent", "pi_", at=at)
    return {
        **made,
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{made['id']}_secret_{world.new_id('', 20)}",
        "confirmation_method": "automatic",
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "managed_payments": None,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"installments": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(world: World, account: Account, amount: int, currency: str, *, prefix: str, at: int | None = None) -> Json:
    made = base(world, account, "charge", prefix, at=at)
    return {
        **made,
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": billing_details(),
        "calculated_statement_descriptor": account.name.upper()[:22],
        "captured": False,
        "currency": currency,
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "on_behalf_of": None,
        "outcome": {
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 12,
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242", "country": "US"}},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": f"{world.settings.base_url}/_pages/receipts/{made['id']}",
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(world: World, account: Account, charge_object: Json, amount: int, *, prefix: str) -> Json:
    made = base(world, account, "refund", prefix)
    made.pop("livemode")
    return {
        **made,
        "amount": amount,
        "balance_transaction": None,
        "charge": charge_object["id"],
        "currency": charge_object["currency"],
        "customer": charge_object["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "payment_intent": charge_object["payment_intent"],
        "payment_method": charge_object["payment_method"],
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def dispute(world: World, account: Account, charge_object: Json, amount: int) -> Json:
    made = base(world, account, "dispute", "du_")
    return {
        **made,
        "amount": amount,
        "balance_transactions": [],
        "charge": charge_object["id"],
        "currency": charge_object["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE_FIELDS), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": made["created"] + EVIDENCE_WINDOW_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": False,
        "network_reason_code": "10.4",
        "payment_intent": charge_object["payment_intent"],
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"},
            "type": "card",
        },
        "reason": "fraudulent",
        "status": "needs_response",
        "_rows": [],
    }


def bank_account_id(account: Account) -> str:
    return f"ba_{account.id.removeprefix('acct_')[:20]}"


def bank_account(account: Account) -> Json:
    """Where the payouts of a business go."""
    return {
        "id": bank_account_id(account),
        "object": "bank_account",
        "account": account.id,
        "account_holder_name": account.name,
        "account_holder_type": "individual",
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": account.country,
        "created": account.created,
        "currency": account.currency,
        "customer": None,
        "default_for_currency": True,
        "fingerprint": account.id[-16:],
        "last4": "6789",
        "metadata": {},
        "routing_number": "110000000",
        "status": "new",
    }


def payout(world: World, account: Account, amount: int, currency: str, *, arrival_date: int) -> Json:
    return {
        **base(world, account, "payout", "po_"),
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": arrival_date,
        "automatic": True,
        "balance_transaction": None,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": bank_account_id(account),
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "in_progress",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }


def transfer(world: World, account: Account, amount: int, currency: str, destination: str) -> Json:
    made = base(world, account, "transfer", "tr_")
    return {
        **made,
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "currency": currency,
        "description": None,
        "destination": destination,
        "destination_payment": None,
        "reversals": list_object(f"/v1/transfers/{made['id']}/reversals"),
        "reversed": False,
        "source_transaction": None,
        "source_type": "card",
        "transfer_group": None,
    }


def application_fee(world: World, account: Account, charge_object: Json, amount: int, client_id: str) -> Json:
    """Lives on the platform; ``account`` is the business that paid it."""
    made = base(world, account, "application_fee", "fee_")
    made.pop("metadata")
    return {
        **made,
        "account": account.id,
        "amount": amount,
        "amount_refunded": 0,
        "application": client_id,
        "balance_transaction": None,
        "charge": charge_object["id"],
        "currency": charge_object["currency"],
        "fee_source": {"charge": charge_object["id"], "type": "charge"},
        "originating_transaction": None,
        "refunded": False,
        "refunds": list_object(f"/v1/application_fees/{made['id']}/refunds"),
    }
