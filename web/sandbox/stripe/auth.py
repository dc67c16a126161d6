"""Who is calling, for which business, and what the key may do."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.world import Account, Key, World

# Reading one of these needs `<word>_read`; Stripe names prices after their ancestors, the plans.
PERMISSION_OF_KIND = {
    "account": "connected_account",
    "application_fee": "application_fee",
    "apps.install": "apps_install",
    "balance": "balance",
    "balance_transaction": "balance",
    "charge": "charge",
    "checkout.session": "checkout_session",
    "credit_note": "credit_note",
    "customer": "customer",
    "dispute": "dispute",
    "event": "event",
    "invoice": "invoice",
    "invoice_payment": "invoice",
    "invoiceitem": "invoice",
    "payment_intent": "payment_intent",
    "payment_link": "payment_links",
    "payment_method": "payment_method",
    "payout": "payout",
    "price": "plan",
    "product": "product",
    "refund": "charge",
    "setup_intent": "setup_intent",
    "tax_rate": "tax_rates",
    "topup": "topup",
    "transfer": "transfer",
    "webhook_endpoint": "webhook",
}
_IMPLIED = {"checkout_session_read": {"payment_intent_read", "payment_links_read", "product_read"}}


@dataclass
class Caller:
    """One authenticated request."""

    key: Key
    account: Account

    def may(self, permission: str) -> bool:
        granted = self.key.permissions
        if granted is None or permission in granted:
            return True
        if permission.endswith("_read") and permission.removesuffix("_read") + "_write" in granted:
            return True
        return any(permission in implied for name, implied in _IMPLIED.items() if name in granted)

    def require(self, permission: str) -> None:
        if not self.may(permission):
            message = (
                f"The provided key '{redact(self.key.secret)}' does not have the required permissions for this "
                f"endpoint on account '{self.account.id}'. Having the 'rak_{permission}' permission would allow "
                "this request to continue."
            )
            raise StripeError(message, status=403)

    def require_kind(self, kind: str | None) -> None:
        word = PERMISSION_OF_KIND.get(kind or "")
        if word:
            self.require(f"{word}_read")


def authenticate(world: World, headers: Mapping[str, str]) -> Caller:
    """Find the caller from ``Authorization`` and ``Stripe-Account``.

    Raises:
        StripeError: 401 without a valid key, 403 for a business the key cannot reach.
    """
    secret = _secret(headers.get("authorization", ""))
    key = world.keys.get(secret)
    if key is None or key.revoked:
        message = f"Invalid API Key provided: {redact(secret)}"
        raise StripeError(message, status=401)
    if key.expires_at is not None and key.expires_at <= world.clock.timestamp():
        message = f"Expired API Key provided: {redact(secret)}"
        raise StripeError(message, status=401, code="api_key_expired")
    wanted = headers.get("stripe-account") or headers.get("stripe-context") or key.account
    if wanted != key.account and not (key.account == world.platform.id and world.grant_of(wanted)):
        message = (
            f"The provided key '{redact(secret)}' does not have access to account '{wanted}' (or that account does "
            "not exist). Application access may have been revoked."
        )
        raise StripeError(message, status=403, code="account_invalid")
    return Caller(key=key, account=world.accounts[wanted])


def redact(secret: str) -> str:
    return f"{secret[:8]}{'*' * max(4, len(secret) - 12)}{secret[-4:]}" if len(secret) > 12 else "*" * len(secret)


def _secret(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, _ = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = ""
        if user:
            return user
    message = (
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
        "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
    )
    raise StripeError(message, status=401)
