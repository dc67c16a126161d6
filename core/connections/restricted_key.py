"""Stripe by a pasted restricted key, for a workspace without a platform: its rights, and an endpoint of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import stripe as stripe_lib
from sqlalchemy import select

from core.connections.attach import Person, attach, is_taken, refuse_if_occupied
from core.connections.providers import STRIPE
from core.connections.refresh import uncancelled
from core.connections.refusals import ConnectError, not_answering, taken_elsewhere
from core.connections.secrets import seal, unseal
from core.crypto import hash_token, new_token
from core.db.models import Connection, ConnectionMode, ConnectionStatus
from core.errors import (
    AccessExpiredError,
    CredentialError,
    InputError,
    NotFoundError,
    ProviderRejectedError,
    ReconnectRequiredError,
    TieoutError,
)
from core.identity.members import require_owner
from core.intake.handlers import subscribed_events
from core.intake.stripe_client import STRIPE_API_VERSION, make_stripe, stripe_errors
from core.intake.stripe_oauth import read_account, wrong_mode
from core.oauth import Identity
from core.wiring import Wiring

FIELD = "restricted_key"

_KEY = re.compile(r"rk_(test|live)_[A-Za-z0-9]{10,250}")
_PLATFORM_ONLY = ("account.application.", "apps.")
"""Events about an app's installation; an account's own endpoint never gets them."""


@dataclass(frozen=True, slots=True)
class Right:
    """One right that the key needs: its name at Stripe, and in the link that opens Stripe's form with it ticked."""

    label: str
    permission: str


RIGHTS = (
    Right("Balance: read", "balance_read"),
    Right("Balance transaction sources: read", "balance_transaction_source_read"),
    Right("Charges and refunds: read", "charge_read"),
    Right("Checkout Sessions: read", "checkout_session_read"),
    Right("Connected accounts: read", "connected_account_read"),
    Right("Customers: read", "customer_read"),
    Right("Disputes: read", "dispute_read"),
    Right("Events: read", "event_read"),
    Right("Invoices: read", "invoice_read"),
    Right("Payment Intents: read", "payment_intent_read"),
    Right("Payouts: read", "payout_read"),
    Right("Prices: read", "plan_read"),
    Right("Products: read", "product_read"),
    Right("Webhook Endpoints: write", "webhook_write"),
)

_PROBES: tuple[tuple[str, str], ...] = (
    ("Balance: read", "balance_transactions"),
    ("Charges and refunds: read", "charges"),
    ("Checkout Sessions: read", "checkout.sessions"),
    ("Customers: read", "customers"),
    ("Disputes: read", "disputes"),
    ("Events: read", "events"),
    ("Invoices: read", "invoices"),
    ("Payment Intents: read", "payment_intents"),
    ("Payouts: read", "payouts"),
    ("Prices: read", "prices"),
    ("Products: read", "products"),
)
"""One cheap list for each right; Stripe has no call that tells what a key may do."""


@dataclass(frozen=True, slots=True, repr=False)
class _Endpoint:
    """A webhook endpoint in the tenant's account. ``secret`` is shown by Stripe this once."""

    id: str
    secret: str
    token_hash: str
    is_new: bool

    def __repr__(self) -> str:
        return f"_Endpoint(id={self.id!r}, ***)"


def key_form_url(dashboard_base: str) -> str:
    """Return Stripe's form for a new restricted key, with our name and rights filled in."""
    query = [("name", "Tieout"), *(("permissions[]", f"rak_{right.permission}") for right in RIGHTS)]
    return f"{dashboard_base}/apikeys/create?{urlencode(query)}"


async def connect_restricted_key(wiring: Wiring, person: Person, pasted: str) -> UUID:
    """Check the key, make its webhook endpoint, store both. Return the connection.

    Raises:
        InputError: the key cannot be used; the message says what to change. Never shows the key.
        ConnectError: as :func:`core.connections.attach.attach`.
        NotAllowedError: the person is no owner.
    """
    key = _read_key(wiring, pasted)
    async with wiring.db.tenant(person.tenant_id) as session:
        await require_owner(session, tenant_id=person.tenant_id, user_id=person.user_id)
        await refuse_if_occupied(session, STRIPE)
    client = make_stripe(wiring.outgoing, wiring.settings, wiring.runtime, key)
    identity = await _check(wiring, client, key)
    async with wiring.db.tenant(person.tenant_id) as session:
        await refuse_if_occupied(session, STRIPE, identity)
    if await is_taken(wiring, person, STRIPE, identity.external_id):
        raise taken_elsewhere(STRIPE)
    return await uncancelled(_connect(wiring, person, client, key, identity))


async def delete_endpoint(wiring: Wiring, api_key: str, endpoint_id: str) -> None:
    """Remove our endpoint from the tenant's account; one that is gone is as good.

    Raises:
        ProviderError: as every call to Stripe.
    """
    client = make_stripe(wiring.outgoing, wiring.settings, wiring.runtime, api_key)
    try:
        with stripe_errors():
            await client.v1.webhook_endpoints.delete_async(endpoint_id)
    except NotFoundError:
        return


def _read_key(wiring: Wiring, pasted: str) -> str:
    key = pasted.strip()
    if key.startswith("sk_"):
        raise InputError(
            "That is a secret key, which may do everything. Please make a restricted key; it starts with rk_.",
            field=FIELD,
        )
    match = _KEY.fullmatch(key)
    if match is None:
        raise InputError("That is not a restricted key. It starts with rk_live_ or rk_test_.", field=FIELD)
    if (match[1] == "live") is not wiring.settings.is_live:
        raise InputError(wrong_mode(wiring.settings), field=FIELD)
    return key


async def _check(wiring: Wiring, client: stripe_lib.StripeClient, key: str) -> Identity:
    """Ask whose key it is and try each right, so that every missing one is named at once."""
    try:
        identity = await read_account(wiring.outgoing, wiring.settings, wiring.runtime, key)
    except AccessExpiredError:
        raise InputError("Stripe does not know this key. Was it deleted, or cut while copying?", field=FIELD) from None
    except ReconnectRequiredError:
        raise _missing(["Connected accounts: read"]) from None
    except TieoutError:
        raise not_answering(STRIPE) from None
    missing = [label for label, path in _PROBES if not await _may_list(client, path)]
    if missing:
        raise _missing(missing)
    return identity


async def _may_list(client: stripe_lib.StripeClient, path: str) -> bool:
    service: Any = client.v1
    for name in path.split("."):
        service = getattr(service, name)
    try:
        with stripe_errors():
            await service.list_async({"limit": 1})
    except (ReconnectRequiredError, AccessExpiredError):
        return False
    except TieoutError:
        raise not_answering(STRIPE) from None
    return True


def _missing(labels: Sequence[str]) -> InputError:
    return InputError(
        f"This key is not allowed enough. Add at Stripe: {'; '.join(labels)}. Then paste it again.", field=FIELD
    )


async def _connect(
    wiring: Wiring, person: Person, client: stripe_lib.StripeClient, key: str, identity: Identity
) -> UUID:
    endpoint = await _endpoint(wiring, person, client, identity)

    def put_secrets(row: Connection) -> None:
        row.access_token = seal(wiring.keys, row, "access_token", key)
        row.webhook_secret = seal(wiring.keys, row, "webhook_secret", endpoint.secret)
        row.webhook_endpoint_id, row.endpoint_token_hash = endpoint.id, endpoint.token_hash

    try:
        return await attach(
            wiring, person, kind=STRIPE, mode=ConnectionMode.RESTRICTED_KEY, identity=identity, put_secrets=put_secrets
        )
    except TieoutError:
        if endpoint.is_new:
            await _forget(wiring, key, endpoint.id)
        raise


async def _endpoint(wiring: Wiring, person: Person, client: stripe_lib.StripeClient, identity: Identity) -> _Endpoint:
    """Keep the endpoint of an earlier key if Stripe still sends to it, so that no event falls between two."""
    kept = await _kept_endpoint(wiring, person, identity)
    if kept is not None and await _is_enabled(client, kept.id):
        return kept
    token = new_token(wiring.runtime)
    params: Any = {
        "url": f"{wiring.settings.app_base_url.rstrip('/')}/webhooks/stripe/{token}",
        "enabled_events": [name for name in subscribed_events() if not name.startswith(_PLATFORM_ONLY)],
        "api_version": STRIPE_API_VERSION,
        "description": "Tieout",
    }
    try:
        with stripe_errors():
            made = await client.v1.webhook_endpoints.create_async(params)
    except (ReconnectRequiredError, AccessExpiredError):
        raise _missing(["Webhook Endpoints: write"]) from None
    except ProviderRejectedError as exc:
        raise ConnectError(
            STRIPE, "Stripe did not accept our address", f"Stripe could not register this installation: {exc.text}"
        ) from None
    except TieoutError:
        raise not_answering(STRIPE) from None
    return _Endpoint(id=made.id, secret=str(made.secret), token_hash=hash_token(token), is_new=True)


async def _kept_endpoint(wiring: Wiring, person: Person, identity: Identity) -> _Endpoint | None:
    async with wiring.db.tenant(person.tenant_id) as session:
        row = await session.scalar(
            select(Connection).where(
                Connection.kind == STRIPE,
                Connection.external_id == identity.external_id,
                Connection.status != ConnectionStatus.CLOSED,
            )
        )
    if row is None or row.webhook_endpoint_id is None or row.endpoint_token_hash is None:
        return None
    try:
        secret = unseal(wiring.keys, row, "webhook_secret")
    except CredentialError:
        return None
    return _Endpoint(row.webhook_endpoint_id, secret, row.endpoint_token_hash, is_new=False)


async def _is_enabled(client: stripe_lib.StripeClient, endpoint_id: str) -> bool:
    try:
        with stripe_errors():
            found = await client.v1.webhook_endpoints.retrieve_async(endpoint_id)
    except TieoutError:
        return False
    return bool(found.status == "enabled")


async def _forget(wiring: Wiring, key: str, endpoint_id: str) -> None:
    try:
        await delete_endpoint(wiring, key, endpoint_id)
    except TieoutError:
        return
