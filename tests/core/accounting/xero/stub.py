"""A Xero that answers what a test tells it, for answers that no honest stand-in gives."""

from collections.abc import Callable
from typing import Any

import httpx

from core.accounting.port import AccountingProvider, Company
from core.accounting.settings import ProviderSettings
from core.accounting.xero.connect import open_books
from core.outgoing import Outgoing

TENANT = "5e0c1b2a-0001-4000-8000-000000000001"
CONTACT = "5e0c1b2a-0002-4000-8000-000000000002"
INVOICE = "5e0c1b2a-0003-4000-8000-000000000003"
PAYMENT = "5e0c1b2a-0004-4000-8000-000000000004"
INCOME = "5e0c1b2a-0005-4000-8000-000000000005"
CLEARING = "5e0c1b2a-0006-4000-8000-000000000006"
NO_ID = "00000000-0000-0000-0000-000000000000"

SETTINGS = ProviderSettings(
    api_base="https://xero.test",
    app_base="https://go.xero.test",
    client_id="client",
    client_secret="secret",
    authorize_url="https://consent.test/identity/connect/authorize",
    token_url="https://tokens.test/connect/token",
)


def outgoing(handler: Callable[[httpx.Request], httpx.Response]) -> Outgoing:
    return Outgoing(SETTINGS.urls, transport=httpx.MockTransport(handler))


def organisation(**changes: Any) -> Company:
    """British books in pounds without a lock, unless told otherwise; unknown names become options."""
    options = {"version": "UK", "book_close_date": "", "short_code": "!AbCd", "is_demo": "false"}
    fields = {"external_id": TENANT, "name": "Lima Studio", "country": "GB", "home_currency": "GBP"}
    for name, value in changes.items():
        (fields if name in fields else options)[name] = value
    return Company(**fields, options=options)


def opened(
    handler: Callable[[httpx.Request], httpx.Response] | None = None, *, company: Company | None = None
) -> AccountingProvider:
    return open_books(
        outgoing=outgoing(handler or (lambda request: httpx.Response(500))),
        settings=SETTINGS,
        access_token="access",
        company=company or organisation(),
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


def found(name: str, *rows: dict[str, Any]) -> httpx.Response:
    """The envelope, which says OK whatever its elements say."""
    body = {"Id": TENANT, "Status": "OK", "ProviderName": "Tieout", "DateTimeUTC": "/Date(1762041600000)/", name: rows}
    return httpx.Response(200, json=body, headers={"xero-correlation-id": "corr-1"})


def refused(name: str, *messages: str, **fields: Any) -> httpx.Response:
    """A refused element inside a 200, as summarizeErrors=false brings it."""
    element = {
        "HasErrors": True,
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": message} for message in messages],
        **fields,
    }
    return found(name, element)


def exception(*messages: str, kind: str = "ValidationException") -> httpx.Response:
    """A refusal as a 400."""
    elements = [{"ValidationErrors": [{"Message": message} for message in messages]}]
    body = {"ErrorNumber": 10, "Type": kind, "Message": "A validation exception occurred", "Elements": elements}
    return httpx.Response(400, json=body, headers={"xero-correlation-id": "corr-1"})


def problem(status: int, detail: str) -> httpx.Response:
    body = {"Type": None, "Title": "Title", "Status": status, "Detail": detail, "Instance": NO_ID, "Extensions": {}}
    return httpx.Response(status, json=body)
