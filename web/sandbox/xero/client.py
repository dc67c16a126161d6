"""The control API of the Xero stand-in, as typed calls for tests and the demo."""

from typing import Any

import httpx
import msgspec

from web.sandbox.xero.amounts import decode, encode

Json = dict[str, Any]


class ControlRefused(Exception):  # noqa: N818 - reads as what happened
    """The control API said no; 422 where the books refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class OrganisationSummary(msgspec.Struct, kw_only=True):
    """One organisation as the control API lists it."""

    tenant_id: str
    name: str
    country: str
    currency: str
    short_code: str
    behaviour: Json


class Tokens(msgspec.Struct, kw_only=True):
    """Tokens of a consent that was given without a browser."""

    access_token: str
    expires_in: int
    token_type: str
    scope: str
    tenant_id: str
    connection_id: str
    user_id: str
    auth_event_id: str
    refresh_token: str = ""
    id_token: str = ""


class XeroControl:
    """Steers one sandbox; ``http`` is anybody's client, ``base_url`` where the sandbox listens."""

    def __init__(self, base_url: str, http: httpx.AsyncClient) -> None:
        self._root = base_url.rstrip("/") + "/_control/xero"
        self._http = http

    async def create_organisation(
        self, name: str, country: str = "GB", currency: str | None = None
    ) -> OrganisationSummary:
        """Countries: AU, NZ, GB, US."""
        body = {"name": name, "country": country, "currency": currency}
        return msgspec.convert(await self._call("POST", "/organisations", body), OrganisationSummary)

    async def list_organisations(self) -> list[OrganisationSummary]:
        return msgspec.convert(await self._call("GET", "/organisations"), list[OrganisationSummary])

    async def trial_balance(self, tenant_id: str, as_of: str | None = None) -> dict[str, int]:
        """Account name to cents of the base currency, debit positive; ``as_of`` is a date."""
        query = f"?as_of={as_of}" if as_of else ""
        return msgspec.convert(await self._tenant("GET", tenant_id, f"/trial-balance{query}"), dict[str, int])

    async def records(self, tenant_id: str, element: str) -> list[Json]:
        """All records of one element ("Invoice", "Contact", "BankTransaction"...), as the API would answer them."""
        return msgspec.convert(await self._tenant("GET", tenant_id, f"/records/{element}"), list[Json])

    async def record(self, tenant_id: str, element: str, record_id: str) -> Json:
        """``{"record": ..., "postings": [{"account", "amount_minor"}]}`` by id or number."""
        return await self._object(tenant_id, "GET", f"/records/{element}/{record_id}")

    async def create_record(self, tenant_id: str, element: str, body: Json) -> Json:
        """Make one as the owner would, through the same rules as the API."""
        return await self._object(tenant_id, "POST", f"/records/{element}", body)

    async def edit_record(self, tenant_id: str, element: str, record_id: str, changes: Json) -> Json:
        """Change it as the owner would on the screen: rename a contact, set an account's code, delete a tax rate."""
        return await self._object(tenant_id, "PUT", f"/records/{element}/{record_id}", changes)

    async def act(self, tenant_id: str, element: str, record_id: str, action: str) -> Json:
        """``void``, ``delete``, ``reconcile``, ``unreconcile``, ``archive``, ``restore``, where the element has it."""
        return await self._object(tenant_id, "POST", f"/records/{element}/{record_id}/{action}")

    async def set_behaviour(self, tenant_id: str, **switches: Any) -> Json:
        """Lock dates, limits and open questions; names: :class:`web.sandbox.xero.organisation.Behaviour`."""
        return await self._object(tenant_id, "PUT", "/behaviour", switches)

    async def set_rates(self, tenant_id: str, rates: Json) -> Json:
        """Day rates, foreign units for one base unit; a new currency is subscribed as well."""
        return await self._object(tenant_id, "PUT", "/rates", rates)

    async def break_next(self, tenant_id: str, *, after_elements: int = 0, status: int = 500) -> None:
        """Let the next write die after so many stored elements; the answer is kept under its idempotency key."""
        body = {"after_elements": after_elements, "status": status}
        await self._tenant("POST", tenant_id, "/break", body)

    async def archive_between(self, tenant_id: str, account_id: str, *, after_elements: int) -> None:
        """Let the owner archive an account while the next write is at work, after so many elements."""
        body = {"after_elements": after_elements, "archives": account_id}
        await self._tenant("POST", tenant_id, "/break", body)

    async def connect(self, tenant_id: str, *, user: str | None = None, scope: str | None = None) -> Tokens:
        """Give the configured app access without the consent page."""
        told = {"user": user, "scope": scope}
        body = {key: value for key, value in told.items() if value is not None}
        return msgspec.convert(await self._tenant("POST", tenant_id, "/connect", body), Tokens)

    async def disconnect(self, tenant_id: str) -> None:
        """Disconnect the app as the owner would inside Xero: refresh still works, calls answer 403."""
        await self._tenant("POST", tenant_id, "/disconnect")

    async def expire_tokens(self, *, refresh: bool = False) -> None:
        """Let all access tokens run out; with ``refresh`` the refresh tokens, too."""
        await self._call("POST", "/tokens/expire", {"refresh": refresh})

    async def connections(self) -> list[Json]:
        return msgspec.convert(await self._call("GET", "/connections"), list[Json])

    async def configure(self, **switches: Any) -> Json:
        """Switches of the platform; names: :class:`web.sandbox.xero.world.Platform`."""
        return msgspec.convert(await self._call("PUT", "/platform", switches), Json)

    async def counters(self, tenant_id: str) -> dict[str, int]:
        """calls, reads, writes, elements, throttled, replayed, egress_bytes; and ``PUT X``, ``elements X``."""
        return msgspec.convert(await self._tenant("GET", tenant_id, "/counters"), dict[str, int])

    async def clear_counters(self, tenant_id: str) -> None:
        await self._tenant("DELETE", tenant_id, "/counters")

    async def violations(self, tenant_id: str) -> list[Json]:
        """``{"kind", "detail"}``: idempotency keys reused, XML by accident, unknown fields and parameters..."""
        return msgspec.convert(await self._tenant("GET", tenant_id, "/violations"), list[Json])

    async def forget_idempotency(self) -> int:
        return int((await self._call("DELETE", "/idempotency"))["forgotten"])

    async def _object(self, tenant_id: str, method: str, path: str, body: Json | None = None) -> Json:
        return msgspec.convert(await self._tenant(method, tenant_id, path, body), Json)

    async def _tenant(self, method: str, tenant_id: str, path: str, body: Json | None = None) -> Any:
        return await self._call(method, f"/organisations/{tenant_id}{path}", body)

    async def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        content = encode(body) if body is not None else None
        response = await self._http.request(method, self._root + path, content=content)
        if response.status_code >= 400:
            raise ControlRefused(response.status_code, _message(response))
        return decode(response.content)


def _message(response: httpx.Response) -> str:
    try:
        return str(decode(response.content)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.text
