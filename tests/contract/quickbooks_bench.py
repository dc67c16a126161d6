"""QuickBooks as the sandbox plays it, in this process, with everything between adapter and ledger in place."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.accounting import registry
from core.accounting.port import AccountingProvider, AccountType, Company, PreparedWrite, TaxCode
from core.accounting.quickbooks.entities import entity_of
from core.accounting.settings import ProviderSettings
from core.books.documents import DocumentKind
from core.errors import OutcomeUnknownError
from core.outgoing import Outgoing
from tests.quickbooks_xsd import SCHEMA_FOLDER, validate_request
from web.sandbox.clock import SandboxClock
from web.sandbox.control import shared_control
from web.sandbox.doors import Doors
from web.sandbox.edge import Edge
from web.sandbox.faults import Faults
from web.sandbox.log import RequestLog
from web.sandbox.quickbooks import QuickBooksSandbox
from web.sandbox.scheduler import Scheduler
from web.sandbox.settings import SandboxSettings

BASE = "http://sandbox.test"
SETTINGS = ProviderSettings(
    api_base=BASE,
    app_base=BASE,
    client_id="intuit_sandbox_client",
    client_secret="intuit_sandbox_secret",
    authorize_url=f"{BASE}/connect/oauth2",
    token_url=f"{BASE}/oauth2/v1/tokens/bearer",
    revoke_url=f"{BASE}/v2/oauth2/tokens/revoke",
)
RATES: dict[str, Mapping[str, int | None]] = {
    "US": {"Taxable": None, "Non-taxable": 0},
    "GB": {"20.0% S": 200_000, "0.0% Z": 0, "Exempt": 0},
}
ROLES = {
    "clearing": ("Stripe clearing",),
    "income": ("Session Income",),
    "tax": ("Sales Tax Payable", "VAT Control", "GST Liabilities Payable"),
    "receivable": ("Accounts Receivable (A/R)",),
}
ENTITIES = (
    "Customer Vendor Item Account Invoice Payment SalesReceipt RefundReceipt Purchase Deposit Transfer".split()  # noqa: SIM905
)
PATHS = {"/batch": "BatchItemRequest", **{f"/{name.lower()}": name for name in ENTITIES}}


def sandbox() -> Edge:
    clock = SandboxClock(seed=1)
    faults, log = Faults(clock), RequestLog()
    stand_in = QuickBooksSandbox(clock, faults, log, SandboxSettings())
    control = shared_control(clock, Scheduler(clock), faults, log)
    doors = Doors([*stand_in.route_handlers, *stand_in.control_handlers, *control])
    return Edge(doors, clock=clock, faults=faults, log=log)


class SchemaChecked(httpx.AsyncBaseTransport):
    """Passes requests on; a body that Intuit's schema does not know fails the test on its way out."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        entity = next((name for path, name in PATHS.items() if request.url.path.endswith(path)), None)
        if request.method == "POST" and entity and SCHEMA_FOLDER.is_dir():
            assert validate_request(entity, await request.aread()) == []
        return await self._inner.handle_async_request(request)


class QuickBooksBench:
    def __init__(self, transport: httpx.AsyncBaseTransport, realm: str) -> None:
        self.control = httpx.AsyncClient(transport=transport, base_url=f"{BASE}/_control")
        self.outgoing = Outgoing(SETTINGS.urls, transport=SchemaChecked(transport))
        self.realm = realm
        self.root = f"/quickbooks/companies/{realm}"
        self.namespace = UUID(int=int(realm))
        self.currency = ""
        self.tax_codes: Mapping[str, int | None] = {}
        self.income_account = self.clearing_account = ""
        self.provider: AccountingProvider
        self._token = ""
        self._codes: list[TaxCode] = []

    async def start(self) -> None:
        # Pace is the engine's business; one test turns the limit on again.
        await self.behave(throttle=False)
        self._token = (await self.ask("POST", f"{self.root}/connect"))["access_token"]
        # First opened knowing only the company's id, as right after the callback.
        self.provider = self._opened(Company(self.realm, "", "", "", {}))
        self.provider = await self.reopen()
        self._codes = await self.provider.list_tax_codes()
        created = await self.provider.create_account("Stripe clearing", AccountType.BANK, key="clearing-1")
        self.clearing_account = created.external_id
        accounts = await self.provider.list_accounts()
        self.income_account = next(a.external_id for a in accounts if a.name == ROLES["income"][0])

    def line_tax(self, *, taxed: bool) -> dict[str, Any]:
        names = ("20.0% S", "Taxable", "GST") if taxed else ("0.0% Z", "Non-taxable", "GST free")
        code = next(code for code in self._codes if code.name in names)
        return {
            "tax_code_id": code.external_id,
            "tax_code_name": code.name,
            "tax_rate_ppm": code.rate_ppm,
            "tax_rate_id": code.rate_external_id,
        }

    async def reopen(self) -> AccountingProvider:
        company = await self.provider.read_company()
        self.currency = company.home_currency
        return self._opened(company)

    async def lose_the_answer(self, write: PreparedWrite) -> None:
        await self.fail(kind="drop_after_commit", path=write.path)
        with pytest.raises(OutcomeUnknownError):
            await self.provider.execute(write)

    async def add_customer(self, name: str, email: str | None) -> str:
        body: dict[str, Any] = {"DisplayName": name}
        if email:
            body["PrimaryEmailAddr"] = {"Address": email}
        return str((await self.ask("POST", f"{self.root}/documents/customer", body))["Id"])

    async def archive_customer(self, external_id: str) -> None:
        await self.ask("POST", f"{self.root}/documents/customer/{external_id}/deactivate")

    async def archive_account(self, external_id: str) -> None:
        await self.ask("POST", f"{self.root}/documents/account/{external_id}/deactivate")

    async def take_number(self, reference: str) -> None:
        owner = await self.add_customer("Somebody else", None)
        item = (await self.ask("GET", f"{self.root}/documents/item"))[0]["Id"]
        tax_code = self.line_tax(taxed=False)["tax_code_id"]
        detail = {"ItemRef": {"value": item}, "TaxCodeRef": {"value": tax_code}}
        body = {
            "CustomerRef": {"value": owner},
            "DocNumber": reference,
            "TxnDate": "2026-11-01",
            "Line": [{"Amount": 1.00, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}],
        }
        await self.ask("POST", f"{self.root}/documents/invoice", body)

    async def close_books(self, day: str) -> None:
        await self.behave(book_close_date=day)

    async def names(self) -> list[str]:
        return [row["DisplayName"] for row in await self.ask("GET", f"{self.root}/documents/customer")]

    async def count(self, kind: str) -> int:
        return len(await self.ask("GET", f"{self.root}/documents/{kind}"))

    async def balances(self) -> Mapping[str, int]:
        found = await self.ask("GET", f"{self.root}/trial-balance")
        return {role: sum(found.get(name, 0) for name in names) for role, names in ROLES.items()}

    async def trial_balance(self) -> Mapping[str, int]:
        return dict(await self.ask("GET", f"{self.root}/trial-balance"))

    async def edit(self, kind: DocumentKind, external_id: str) -> None:
        path = f"{self.root}/documents/{entity_of(kind).name.lower()}/{external_id}"
        found = (await self.ask("GET", path))["document"]
        await self.ask("PATCH", path, _made_larger(found))

    async def remove(self, kind: DocumentKind, external_id: str) -> None:
        entity = entity_of(kind).name.lower()
        await self.ask("POST", f"{self.root}/documents/{entity}/{external_id}/delete")

    async def now(self) -> datetime:
        return datetime.fromtimestamp((await self.ask("GET", "/clock"))["now"], UTC)

    async def pass_time(self, *, minutes: float) -> None:
        await self.ask("POST", "/clock/advance", {"seconds": 60 * minutes})

    async def is_balanced(self) -> bool:
        return bool(sum(dict(await self.ask("GET", f"{self.root}/trial-balance")).values()) == 0)

    async def behave(self, **switches: Any) -> None:
        await self.ask("PATCH", f"{self.root}/behaviour", switches)

    async def fail(self, **rule: Any) -> None:
        await self.ask("POST", "/faults", {"provider": "quickbooks", "method": "POST", **rule})

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.control.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def _opened(self, company: Company) -> AccountingProvider:
        return registry.get("quickbooks").open(
            outgoing=self.outgoing, settings=SETTINGS, access_token=self._token, company=company
        )


def _made_larger(found: dict[str, Any]) -> dict[str, Any]:
    """What an owner would change to make the document one unit larger."""
    if "FromAccountRef" in found:
        return {"Amount": found["Amount"] + 1}
    if "UnappliedAmt" in found:
        return {"TotalAmt": found["TotalAmt"] + 1}
    lines = [line for line in found["Line"] if line["DetailType"] != "SubTotalLineDetail"]
    lines[0]["Amount"] += 1
    detail = lines[0].get("SalesItemLineDetail")
    if detail is not None:
        detail["UnitPrice"] = lines[0]["Amount"]
    return {"Line": lines}


@asynccontextmanager
async def quickbooks_bench(_: Path, country: str) -> AsyncIterator[QuickBooksBench]:
    transport = httpx.ASGITransport(app=sandbox())
    async with httpx.AsyncClient(transport=transport, base_url=f"{BASE}/_control") as owner:
        created = await owner.post("/quickbooks/companies", json={"name": "Lima Studio", "country": country})
        bench = QuickBooksBench(transport, created.json()["realm_id"])
        bench.tax_codes = RATES.get(country, {})
        await bench.start()
        yield bench
        violations = await bench.ask("GET", f"{bench.root}/requestids/violations")
        # Never the same key with other bytes: QuickBooks' answer to that is nobody's promise.
        assert violations == []
