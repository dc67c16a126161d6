"""A QuickBooks sandbox in this process, and short words for talking to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.quickbooks_xsd import SCHEMA_FOLDER, validate_response
from tests.runtime import VirtualRuntime
from web.sandbox.clock import SandboxClock
from web.sandbox.doors import Doors
from web.sandbox.edge import Edge
from web.sandbox.faults import Faults
from web.sandbox.log import RequestLog
from web.sandbox.quickbooks import QuickBooksSandbox
from web.sandbox.quickbooks.amounts import decode, encode
from web.sandbox.settings import SandboxSettings

JSON = {"accept": "application/json", "content-type": "application/json"}
BASE = "http://sandbox.test"


@dataclass
class Intuit:
    """The whole stand-in, seen from outside."""

    http: httpx.AsyncClient
    sandbox: QuickBooksSandbox
    clock: SandboxClock
    faults: Faults
    log: RequestLog
    settings: SandboxSettings

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        response = await self.http.request(method, f"/_control/quickbooks{path}", content=encode(body or {}))
        assert response.status_code < 300, response.text
        return decode(response.content)

    async def company(self, name: str = "Lumen Studio", country: str = "US", **behaviour: Any) -> "Books":
        made = await self.control("POST", "/companies", {"name": name, "country": country})
        realm = made["realm_id"]
        await self.control("PATCH", f"/companies/{realm}/behaviour", {"throttle": False, **behaviour})
        tokens = await self.control("POST", f"/companies/{realm}/connect")
        books = Books(self, realm, tokens["access_token"])
        for account in await self.control("GET", f"/companies/{realm}/documents/account"):
            books.accounts[account["Name"]] = account["Id"]
        return books


@dataclass
class Books:
    """One connected company."""

    intuit: Intuit
    realm: str
    token: str
    accounts: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, **params: str) -> httpx.Response:
        headers = {**JSON, "authorization": f"Bearer {self.token}"}
        content = body if isinstance(body, bytes) else None if body is None else encode(body)
        url = f"/v3/company/{self.realm}/{path}"
        response = await self.intuit.http.request(method, url, content=content, params=params, headers=headers)
        if SCHEMA_FOLDER.is_dir() and response.status_code in (200, 400):
            assert validate_response(decode(response.content)) == []
        return response

    async def send(self, entity: str, body: Any, **params: str) -> Any:
        """POST that must succeed; returns the object."""
        response = await self.call("POST", entity.lower(), body, **params)
        assert response.status_code == 200, response.text
        return decode(response.content)[entity]

    async def refused(self, entity: str, body: Any, **params: str) -> str:
        """POST that must be refused; returns the code."""
        response = await self.call("POST", entity.lower(), body, **params)
        assert response.status_code == 400, response.text
        return str(decode(response.content)["Fault"]["Error"][0]["code"])

    async def get(self, entity: str, record_id: str) -> Any:
        response = await self.call("GET", f"{entity.lower()}/{record_id}")
        assert response.status_code == 200, response.text
        return decode(response.content)[entity]

    async def query(self, statement: str) -> Any:
        response = await self.call("GET", "query", query=statement)
        assert response.status_code == 200, response.text
        return decode(response.content)["QueryResponse"]

    async def query_refused(self, statement: str) -> str:
        response = await self.call("GET", "query", query=statement)
        assert response.status_code == 400, response.text
        return str(decode(response.content)["Fault"]["Error"][0]["code"])

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        return await self.intuit.control(method, f"/companies/{self.realm}{path}", body)

    async def behave(self, **switches: Any) -> None:
        await self.control("PATCH", "/behaviour", switches)

    async def trial_balance(self, as_of: str | None = None) -> dict[str, int]:
        balance: dict[str, int] = await self.control("GET", "/trial-balance" + (f"?as_of={as_of}" if as_of else ""))
        assert sum(balance.values()) == 0
        return balance

    async def customer(self, name: str = "Ana Lima", **more: Any) -> str:
        made = await self.send("Customer", {"DisplayName": name, **more})
        return str(made["Id"])

    async def item(self, name: str = "Portrait session", account: str = "Session Income", **more: Any) -> str:
        body = {"Name": name, "Type": "Service", "IncomeAccountRef": self.ref(account), "Taxable": False, **more}
        made = await self.send("Item", body)
        return str(made["Id"])

    async def sale(self, entity: str = "Invoice", *lines: Any, customer: str, **more: Any) -> Any:
        return await self.send(entity, sale(*lines, customer=customer, **more))

    def ref(self, account: str) -> dict[str, str]:
        return {"value": self.accounts[account]}


def line(item: str | None, amount: Any, code: str | None = None, **detail: Any) -> dict[str, Any]:
    inside = dict(detail)
    if item:
        inside["ItemRef"] = {"value": item}
    if code:
        inside["TaxCodeRef"] = {"value": code}
    return {"Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": inside}


def sale(*lines: Any, customer: str, **more: Any) -> dict[str, Any]:
    return {"CustomerRef": {"value": customer}, "TxnDate": "2026-03-02", "Line": list(lines), **more}


def payment(customer: str, total: Any, *links: tuple[str, Any], **more: Any) -> dict[str, Any]:
    lines = [{"Amount": amount, "LinkedTxn": [{"TxnId": txn, "TxnType": "Invoice"}]} for txn, amount in links]
    return {"CustomerRef": {"value": customer}, "TotalAmt": total, "TxnDate": "2026-03-02", "Line": lines, **more}


@asynccontextmanager
async def running_intuit() -> AsyncIterator[Intuit]:
    clock = SandboxClock(VirtualRuntime(), seed=7)
    faults, log, settings = Faults(clock), RequestLog(), SandboxSettings(base_url=BASE)
    sandbox = QuickBooksSandbox(clock, faults, log, settings)
    doors = Doors([*sandbox.route_handlers, *sandbox.control_handlers])
    edge = Edge(doors, clock=clock, faults=faults, log=log)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=edge), base_url=BASE) as http:
        yield Intuit(http, sandbox, clock, faults, log, settings)
