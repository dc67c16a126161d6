"""Stripe, Intuit and Xero on this machine, and a person who consents on their pages."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec

from core.config import Settings
from core.outgoing import Outgoing
from core.wiring import Wiring
from web.sandbox.app import Sandbox, create_sandbox
from web.sandbox.settings import SandboxSettings

BASE = "http://127.0.0.1:8001"
SANDBOX = SandboxSettings(base_url=BASE, seed=7, stripe_rate_limit=None)


def sandbox_settings(settings: Settings, **changes: Any) -> Settings:
    """Point every provider address of ``settings`` at the sandbox."""
    known = {
        "xero_client_id": SANDBOX.xero_client_id,
        "xero_client_secret": SANDBOX.xero_client_secret,
        "xero_api_base": BASE,
        "xero_authorize_url": f"{BASE}/identity/connect/authorize",
        "xero_token_url": f"{BASE}/connect/token",
    }
    return msgspec.structs.replace(
        settings,
        stripe_client_id=SANDBOX.stripe_client_id,
        stripe_secret_key=SANDBOX.stripe_platform_key,
        stripe_api_base=BASE,
        stripe_connect_base=BASE,
        stripe_app_authorize_url=f"{BASE}/oauth/v2/authorize",
        quickbooks_client_id=SANDBOX.intuit_client_id,
        quickbooks_client_secret=SANDBOX.intuit_client_secret,
        quickbooks_api_base=BASE,
        quickbooks_authorize_url=f"{BASE}/connect/oauth2",
        quickbooks_token_url=f"{BASE}/oauth2/v1/tokens/bearer",
        quickbooks_revoke_url=f"{BASE}/v2/oauth2/tokens/revoke",
        **(known | changes),
    )


class Outside:
    """The sandbox in this process, on the clock of the application under test."""

    def __init__(self, wiring: Wiring, **changes: Any) -> None:
        self.sandbox: Sandbox = create_sandbox(SANDBOX, wiring.runtime)
        self.transport = httpx.ASGITransport(app=self.sandbox.app)
        settings = sandbox_settings(wiring.settings, **changes)
        self.wiring = replace(
            wiring, settings=settings, outgoing=Outgoing(settings.outgoing_urls, transport=self.transport)
        )

    async def business(self, name: str = "Anna Berg Photography") -> str:
        """Open a Stripe account; return its id."""
        made: str = (await self.control("POST", "/_control/stripe/accounts", name=name))["id"]
        return made

    async def company(self, name: str = "Anna Berg Photography LLC", country: str = "US") -> str:
        """Open a QuickBooks company; return its realm."""
        made = await self.control("POST", "/_control/quickbooks/companies", name=name, country=country)
        return str(made["realm_id"])

    async def organisation(self, name: str = "Anna Berg Photography Ltd", country: str = "GB") -> str:
        """Open an organisation of Xero; return its id."""
        made = await self.control("POST", "/_control/xero/organisations", name=name, country=country)
        return str(made["tenant_id"])

    async def control(self, method: str, path: str, /, **body: Any) -> Any:
        async with httpx.AsyncClient(transport=self.transport, base_url=BASE) as http:
            answer = await http.request(method, path, json=body)
        assert answer.status_code < 400, answer.text
        return answer.json()

    async def calls(self, path: str) -> list[dict[str, Any]]:
        """Requests that providers saw whose path contains ``path``."""
        return [entry for entry in await self.control("GET", "/_control/log") if path in entry["path"]]

    async def consent(self, url: str, *choices: str, allow: bool = True, user: str = "") -> dict[str, str]:
        """Open the consent page, choose an account or company, decide; return the query of the callback.

        Only Xero lets a person choose several, and only there does ``user`` matter: tokens are a person's.
        """
        asked = dict(parse_qsl(urlsplit(url).query))
        choice = choices[0] if choices else ""
        async with httpx.AsyncClient(transport=self.transport, base_url=BASE) as http:
            page = await http.get(url)
            assert page.status_code == 200, page.text
            if "identity/connect" in url:
                decided = {**asked, "tenant": list(choices), "decision": "allow" if allow else "deny", "user": user}
                answer = await http.post("/identity/connect/authorize", data=decided)
            elif "connect/oauth2" in url:
                form = {**asked, "realm": choice, "decision": "connect" if allow else "cancel"}
                answer = await http.post("/connect/oauth2", data=form)
            else:
                flow = "app" if "/v2/" in url else "connect"
                form = {**asked, "flow": flow, "account": choice, "decision": "allow" if allow else "deny"}
                answer = await http.post("/oauth/decide", data=form)
        assert answer.status_code in (302, 303), answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))
