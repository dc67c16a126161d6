"""The control API of the QuickBooks stand-in, as typed calls for tests and the demo."""

from typing import Any

import httpx
import msgspec

from web.sandbox.quickbooks.amounts import decode, encode

Json = dict[str, Any]


class ControlRefused(Exception):  # noqa: N818 - reads as what happened
    """The control API said no; ``code`` is QuickBooks' own where the books refused."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code


class CompanySummary(msgspec.Struct, kw_only=True):
    """One company as the control API lists it."""

    realm_id: str
    name: str
    country: str
    home_currency: str
    behaviour: Json


class Counters(msgspec.Struct, kw_only=True):
    """What the calls of one company cost."""

    requests: int
    core: int
    core_plus: int
    throttled: int


class Tokens(msgspec.Struct, kw_only=True):
    """Tokens of a consent that was given without a browser."""

    access_token: str
    refresh_token: str
    expires_in: int
    x_refresh_token_expires_in: int
    x_refresh_token_hard_expires_in: int
    realm_id: str = msgspec.field(name="realmId")


class QuickBooksControl:
    """Steers one sandbox; ``http`` is anybody's client, ``base_url`` where the sandbox listens."""

    def __init__(self, base_url: str, http: httpx.AsyncClient) -> None:
        self._root = base_url.rstrip("/") + "/_control/quickbooks"
        self._http = http

    async def create_company(self, name: str, country: str = "US", home_currency: str | None = None) -> CompanySummary:
        body = {"name": name, "country": country, "home_currency": home_currency}
        return msgspec.convert(await self._call("POST", "/companies", body), CompanySummary)

    async def list_companies(self) -> list[CompanySummary]:
        return msgspec.convert(await self._call("GET", "/companies"), list[CompanySummary])

    async def trial_balance(self, realm_id: str, as_of: str | None = None) -> dict[str, int]:
        """Account name to minor units of the home currency, debit positive; ``as_of`` is a date."""
        query = f"?as_of={as_of}" if as_of else ""
        return msgspec.convert(await self._realm("GET", realm_id, f"/trial-balance{query}"), dict[str, int])

    async def documents(self, realm_id: str, entity: str) -> list[Json]:
        """All objects of one entity ("Invoice", "Customer"...), as the API would answer them."""
        return msgspec.convert(await self._realm("GET", realm_id, f"/documents/{entity.lower()}"), list[Json])

    async def document(self, realm_id: str, entity: str, record_id: str) -> Json:
        """``{"document": ..., "postings": [{"account", "amount_minor"}]}`` of one object."""
        return await self._object(realm_id, "GET", f"/documents/{entity.lower()}/{record_id}")

    async def create_document(self, realm_id: str, entity: str, body: Json) -> Json:
        return await self._object(realm_id, "POST", f"/documents/{entity.lower()}", body)

    async def edit_document(self, realm_id: str, entity: str, record_id: str, changes: Json) -> Json:
        """Change it as the owner would on the screen."""
        return await self._object(realm_id, "PATCH", f"/documents/{entity.lower()}/{record_id}", changes)

    async def void_document(self, realm_id: str, entity: str, record_id: str) -> Json:
        return await self._act(realm_id, entity, record_id, "void")

    async def delete_document(self, realm_id: str, entity: str, record_id: str) -> Json:
        return await self._act(realm_id, entity, record_id, "delete")

    async def match_to_bank(self, realm_id: str, entity: str, record_id: str) -> Json:
        """Match a transaction to the bank feed: it is frozen from then on (6480)."""
        return await self._act(realm_id, entity, record_id, "match")

    async def deactivate(self, realm_id: str, entity: str, record_id: str) -> Json:
        """Make an account, customer, item or tax code inactive."""
        return await self._act(realm_id, entity, record_id, "deactivate")

    async def activate(self, realm_id: str, entity: str, record_id: str) -> Json:
        return await self._act(realm_id, entity, record_id, "activate")

    async def archive_between(self, realm_id: str, account_id: str, *, after_items: int) -> None:
        """Let the owner archive an account while the next batch is at work, after so many of its items."""
        await self._realm("POST", realm_id, "/archive-between", {"account": account_id, "after_items": after_items})

    async def set_behaviour(self, realm_id: str, **switches: Any) -> Json:
        """Change preferences and open questions; names: :class:`web.sandbox.quickbooks.company.Behaviour`."""
        return await self._object(realm_id, "PATCH", "/behaviour", switches)

    async def set_rates(self, realm_id: str, rates: Json) -> Json:
        return await self._object(realm_id, "PATCH", "/rates", rates)

    async def reset_company(self, realm_id: str) -> None:
        """Answer everything with 10200 from now on."""
        await self._realm("POST", realm_id, "/reset")

    async def connect(self, realm_id: str) -> Tokens:
        """Give the configured app access without the consent page."""
        return msgspec.convert(await self._realm("POST", realm_id, "/connect"), Tokens)

    async def expire_tokens(self, realm_id: str, *, refresh: bool = False) -> None:
        """Let the access tokens run out; with ``refresh`` the refresh tokens, too."""
        await self._realm("POST", realm_id, "/tokens/expire", {"refresh": refresh})

    async def revoke_tokens(self, realm_id: str) -> None:
        """Disconnect the app as the owner would inside QuickBooks."""
        await self._realm("POST", realm_id, "/tokens/revoke")

    async def configure_oauth(self, **switches: Any) -> Json:
        """``punish_reuse`` (bool), ``refresh_pause_s`` (float)."""
        return msgspec.convert(await self._call("PATCH", "/oauth", switches), Json)

    async def counters(self, realm_id: str) -> Counters:
        return msgspec.convert(await self._realm("GET", realm_id, "/counters"), Counters)

    async def clear_counters(self, realm_id: str) -> None:
        await self._realm("DELETE", realm_id, "/counters")

    async def requestid_violations(self, realm_id: str) -> list[Json]:
        return msgspec.convert(await self._realm("GET", realm_id, "/requestids/violations"), list[Json])

    async def forget_requestids(self, realm_id: str) -> int:
        return int((await self._object(realm_id, "DELETE", "/requestids"))["forgotten"])

    async def _act(self, realm_id: str, entity: str, record_id: str, action: str) -> Json:
        return await self._object(realm_id, "POST", f"/documents/{entity.lower()}/{record_id}/{action}")

    async def _object(self, realm_id: str, method: str, path: str, body: Json | None = None) -> Json:
        return msgspec.convert(await self._realm(method, realm_id, path, body), Json)

    async def _realm(self, method: str, realm_id: str, path: str, body: Json | None = None) -> Any:
        return await self._call(method, f"/companies/{realm_id}{path}", body)

    async def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        content = encode(body) if body is not None else None
        response = await self._http.request(method, self._root + path, content=content)
        if response.status_code >= 400:
            raise _refusal(response)
        return decode(response.content)


def _refusal(response: httpx.Response) -> ControlRefused:
    try:
        problem = msgspec.convert(decode(response.content), Json)
    except (msgspec.DecodeError, msgspec.ValidationError):
        problem = {}
    return ControlRefused(response.status_code, str(problem.get("code", "")), str(problem.get("detail", response.text)))
