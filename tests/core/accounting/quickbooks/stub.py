"""A QuickBooks that answers what a test tells it, for answers that no honest stand-in gives."""

from collections.abc import Callable
from typing import Any

import httpx

from core.accounting import registry
from core.accounting.port import AccountingProvider, Company
from core.accounting.settings import ProviderSettings
from core.outgoing import Outgoing
from tests.core.accounting.documents import company as a_company

SETTINGS = ProviderSettings(
    api_base="https://quickbooks.test",
    app_base="https://app.quickbooks.test",
    client_id="client",
    client_secret="secret",
    authorize_url="https://consent.test/connect/oauth2",
    token_url="https://tokens.test/tokens/bearer",
    revoke_url="https://tokens.test/revoke",
)


def outgoing(handler: Callable[[httpx.Request], httpx.Response]) -> Outgoing:
    return Outgoing(SETTINGS.urls, transport=httpx.MockTransport(handler))


def opened(
    handler: Callable[[httpx.Request], httpx.Response] | None = None, *, company: Company | None = None
) -> AccountingProvider:
    return registry.get("quickbooks").open(
        outgoing=outgoing(handler or (lambda request: httpx.Response(500))),
        settings=SETTINGS,
        access_token="access",
        company=company or a_company(),
    )


def answering(
    *answers: httpx.Response | Exception, company: Company | None = None
) -> tuple[AccountingProvider, list[httpx.Request]]:
    """Return books that give these answers one after the other, and the requests that they got."""
    waiting, requests = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return opened(handle, company=company), requests


def found(entity: str, *rows: dict[str, Any]) -> httpx.Response:
    inner = {entity: list(rows), "startPosition": 1, "maxResults": len(rows)} if rows else {}
    return httpx.Response(200, json={"QueryResponse": inner, "time": "2026-11-20T01:02:03.004-08:00"})


def fault(
    code: str, *, status: int = 400, detail: str = "", element: str = "", kind: str = "ValidationFault"
) -> httpx.Response:
    error = {"Message": "Message", "Detail": detail, "code": code, "element": element}
    return httpx.Response(status, json={"Fault": {"Error": [error], "type": kind}}, headers={"intuit_tid": "1-abc"})
