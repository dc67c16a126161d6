"""Accounts, events, webhook endpoints, app installs."""

from typing import Any

from web.sandbox.stripe import businesses, shapes
from web.sandbox.stripe.api.common import given, metadata_of, texts
from web.sandbox.stripe.errors import StripeError, invalid_param, missing_param
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import resource
from web.sandbox.stripe.params import boolean, mapping, required_text, sequence, text
from web.sandbox.stripe.shapes import list_object
from web.sandbox.stripe.world import API_VERSION, Account, Json

TABLE = Table()

_MAX_ENDPOINTS = 16


def _of_type(call: Call, row: Json, value: Any) -> bool:
    wanted = str(value)
    if wanted.endswith(".*"):
        return bool(row["type"].startswith(wanted[:-1]))
    return wanted in {"*", row["type"]}


def _of_types(call: Call, row: Json, value: Any) -> bool:
    return row["type"] in (value if isinstance(value, list) else [value])


def _delivered(call: Call, row: Json, value: Any) -> bool:
    return (row["pending_webhooks"] == 0) is (value == "true")


resource(
    TABLE,
    "/v1/events",
    "event",
    filters={"type": _of_type, "types": _of_types, "delivery_success": _delivered},
)


@TABLE.get("/v1/account", "connected_account_read")
def own_account(call: Call) -> Json:
    return shapes.account_object(call.account)


@TABLE.get("/v1/accounts", "connected_account_read")
def connected_accounts(call: Call) -> Json:
    _platform_only(call)
    seen = {grant.account for grant in call.world.grants if grant.active}
    accounts = [call.world.accounts[account_id] for account_id in sorted(seen)]
    return list_object("/v1/accounts", [shapes.account_object(account) for account in accounts])


@TABLE.get("/v1/accounts/{id}", "connected_account_read")
def one_account(call: Call) -> Json:
    return shapes.account_object(_reachable(call))


@TABLE.post("/v1/accounts", "connected_account_write")
def create_account(call: Call) -> Json:
    _platform_only(call)
    profile = mapping(call.params, "business_profile")
    account = businesses.create(
        call.world,
        name=text(profile, "name") or "Untitled business",
        email=text(call.params, "email") or "",
        country=text(call.params, "country") or "US",
    )
    businesses.grant(call.world, account, "created")
    body = shapes.account_object(account)
    emit(call.world, account, "account.updated", body)
    return body


@TABLE.post("/v1/accounts/{id}", "connected_account_write")
def change_account(call: Call) -> Json:
    account = _reachable(call)
    account.email = text(call.params, "email") or account.email
    body = {**shapes.account_object(account), "metadata": metadata_of(call)}
    emit(call.world, account, "account.updated", body, previous={"metadata": {}})
    return body


@TABLE.delete("/v1/accounts/{id}", "connected_account_write")
def delete_account(call: Call) -> Json:
    account = _reachable(call)
    businesses.revoke(call.world, account)
    return {"id": account.id, "object": "account", "deleted": True}


@TABLE.get("/v1/webhook_endpoints", "webhook_read")
def list_endpoints(call: Call) -> Json:
    return list_object("/v1/webhook_endpoints", list(call.account.shelf("webhook_endpoint").newest_first()))


@TABLE.get("/v1/webhook_endpoints/{id}", "webhook_read")
def one_endpoint(call: Call) -> Json:
    return call.load("webhook_endpoint")


@TABLE.post("/v1/webhook_endpoints", "webhook_write")
def create_endpoint(call: Call) -> Json:
    url = _url(call)
    enabled = [str(name) for name in sequence(call.params, "enabled_events")]
    if not enabled:
        raise missing_param("enabled_events")
    if len(call.account.shelf("webhook_endpoint")) >= _MAX_ENDPOINTS:
        message = f"You have reached the maximum of {_MAX_ENDPOINTS} test webhook endpoints."
        raise StripeError(message)
    endpoint = shapes.webhook_endpoint(call.world, call.account, url, enabled)
    version = text(call.params, "api_version")
    endpoint.update(
        api_version=version,
        description=text(call.params, "description"),
        metadata=metadata_of(call),
        _connect=boolean(call.params, "connect"),
        _version=version or API_VERSION,
    )
    call.account.add(endpoint)
    # The secret is shown this once.
    return {**endpoint, "secret": endpoint["_secret"]}


@TABLE.post("/v1/webhook_endpoints/{id}", "webhook_write")
def change_endpoint(call: Call) -> Json:
    endpoint = call.load("webhook_endpoint")
    if "url" in call.params:
        endpoint["url"] = _url(call)
    if "enabled_events" in call.params:
        endpoint["enabled_events"] = [str(name) for name in sequence(call.params, "enabled_events")]
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if boolean(call.params, "disabled") else "enabled"
    endpoint.update(given(call.params, texts("description")))
    return endpoint


@TABLE.delete("/v1/webhook_endpoints/{id}", "webhook_write")
def delete_endpoint(call: Call) -> Json:
    endpoint = call.load("webhook_endpoint")
    call.account.shelf("webhook_endpoint").remove(endpoint["id"])
    return shapes.deleted(endpoint)


@TABLE.get("/v1/apps/installs")
def list_installs(call: Call) -> Json:
    _platform_only(call)
    wanted = text(call.params, "account")
    found = [
        businesses.install_object(call.world, grant)
        for grant in call.world.grants
        if grant.flow == "app" and grant.active and wanted in {None, grant.account}
    ]
    return list_object("/v1/apps/installs", found)


@TABLE.get("/v1/apps/installs/{id}")
def one_install(call: Call) -> Json:
    return businesses.install_object(call.world, _install(call))


@TABLE.post("/v1/apps/installs/{id}/uninstall")
def uninstall(call: Call) -> Json:
    grant = _install(call)
    businesses.revoke(call.world, call.world.accounts[grant.account], flow="app")
    return businesses.install_object(call.world, grant)


def _install(call: Call) -> businesses.Grant:
    _platform_only(call)
    for grant in call.world.grants:
        if grant.install_id == call.ids[0] and grant.flow == "app":
            return grant
    message = f"No such install: '{call.ids[0]}'"
    raise StripeError(message, status=404, code="resource_missing", param="id")


def _platform_only(call: Call) -> None:
    if call.account is not call.world.platform:
        message = "Only a platform account may use this endpoint."
        raise StripeError(message, status=403)


def _reachable(call: Call) -> Account:
    wanted = call.ids[0]
    own = wanted == call.account.id
    if not own and not (call.account is call.world.platform and call.world.grant_of(wanted)):
        message = (
            f"The provided key does not have access to account '{wanted}' (or that account does not exist). "
            "Application access may have been revoked."
        )
        raise StripeError(message, status=403, code="account_invalid")
    return call.world.accounts[wanted]


def _url(call: Call) -> str:
    url = required_text(call.params, "url")
    if not url.startswith(("http://", "https://")):
        raise invalid_param("url", "Invalid URL: An explicit scheme (such as https) must be provided.")
    return url
