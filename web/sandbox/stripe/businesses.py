"""Businesses and their consent: accounts, keys, grants to the platform."""

from web.sandbox.stripe import shapes
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.world import Account, Grant, Json, Key, World

__all__ = ["Grant", "create", "grant", "install_object", "issue_token", "restricted_key", "revoke"]

_CURRENCY = {"US": "usd", "AU": "aud", "GB": "gbp", "CA": "cad", "NZ": "nzd", "JP": "jpy", "DE": "eur", "IE": "eur"}


def create(
    world: World,
    *,
    name: str,
    email: str,
    country: str = "US",
    currency: str | None = None,
    account_id: str | None = None,
    payout_delay_days: int = 2,
    platform_controlled: bool = False,
) -> Account:
    """A new business with its own secret key."""
    account = Account(
        id=account_id or world.new_id("acct_1", 15),
        name=name,
        email=email,
        country=country,
        currency=currency or _CURRENCY.get(country, "eur"),
        created=world.now(),
        secret_key=world.new_id("sk_test_", 32),
        payout_delay_days=payout_delay_days,
        platform_controlled=platform_controlled,
    )
    world.accounts[account.id] = account
    world.keys[account.secret_key] = Key(account.secret_key, account.id)
    return account


def restricted_key(world: World, account: Account, permissions: list[str]) -> Key:
    """An ``rk_`` key that may do only what is listed (``charge_read``, ``rak_charge_read``...)."""
    names = frozenset(name.removeprefix("rak_") for name in permissions)
    key = Key(world.new_id("rk_test_", 32), account.id, names)
    world.keys[key.secret] = key
    return key


def grant(world: World, account: Account, flow: str) -> Grant:
    """The business lets the platform in; allowing again keeps the one grant."""
    for found in world.grants:
        if found.account == account.id and found.flow == flow and found.active:
            return found
    made = Grant(account=account.id, flow=flow, install_id=world.new_id("appin_"))
    world.grants.append(made)
    return made


def issue_token(world: World, held: Grant, *, expires_in: int | None) -> tuple[str, str]:
    """A new access token and a new refresh token; the refresh token before it is dead from now on."""
    permissions = frozenset(world.settings.stripe_app_permissions) if held.flow == "app" else None
    access = world.new_id("sk_test_", 40)
    expires_at = None if expires_in is None else world.clock.timestamp() + expires_in
    world.keys[access] = Key(access, held.account, permissions, expires_at)
    held.access_tokens.append(access)
    held.refresh_token = world.new_id("rt_", 40)
    return access, held.refresh_token


def revoke(world: World, account: Account, *, flow: str | None = None) -> bool:
    """End the grants of a business (of one flow); the platform is told, then its tokens stop working."""
    ended = [g for g in world.grants if g.account == account.id and g.active and flow in {None, g.flow}]
    if not ended:
        return False
    application = shapes.application(world.settings.stripe_client_id, "Tieout")
    emit(world, account, "account.application.deauthorized", application)
    for held in ended:
        held.active = False
        held.refresh_token = ""
        for token in held.access_tokens:
            world.keys[token].revoked = True
        if held.flow == "app":
            emit(world, world.platform, "apps.install.deleted", install_object(world, held))
    return True


def install_object(world: World, held: Grant) -> Json:
    permissions = list(world.settings.stripe_app_permissions)
    nothing: Json = {"connect_src": [], "image_src": []}
    return {
        "id": held.install_id,
        "object": "apps.install",
        "account": held.account,
        "app": "com.example.tieout",
        "approval_required": False,
        "auth_code": None,
        "channel": "testing",
        "content_security_policy_granted": dict(nothing),
        "content_security_policy_pending": dict(nothing),
        "created": world.accounts[held.account].created,
        "created_by": None,
        "endpoints_granted": [],
        "endpoints_pending": [],
        "livemode": False,
        "permissions_granted": permissions,
        "permissions_pending": [],
        "status": "installed" if held.active else "uninstalling",
    }
