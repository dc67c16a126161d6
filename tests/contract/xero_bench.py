"""Xero as the sandbox plays it, in this process, with everything between adapter and ledger in place."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.accounting import registry
from core.accounting.port import AccountingProvider, AccountType, Company, PreparedWrite, TaxCode
from core.accounting.settings import ProviderSettings
from core.accounting.xero.oauth import SCOPE
from core.books.documents import DocumentKind
from core.errors import OutcomeUnknownError
from core.outgoing import Outgoing
from tests.xero_openapi import SPEC_FILE, query_problems, request_problems
from web.sandbox.clock import SandboxClock
from web.sandbox.control import shared_control
from web.sandbox.doors import Doors
from web.sandbox.edge import Edge
from web.sandbox.faults import FaultKind, FaultRule, Faults
from web.sandbox.log import RequestLog
from web.sandbox.scheduler import Scheduler
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero import XeroSandbox
from web.sandbox.xero.client import Tokens, XeroControl

BASE = "http://sandbox.test"
KNOWN = SandboxSettings()
SETTINGS = ProviderSettings(
    api_base=BASE,
    app_base=BASE,
    client_id=KNOWN.xero_client_id,
    client_secret=KNOWN.xero_client_secret,
    authorize_url=f"{BASE}/identity/connect/authorize",
    token_url=f"{BASE}/connect/token",
)
CLEARING, INCOME = "Stripe Clearing", "Session Fees"
ROLES = {
    "clearing": (CLEARING,),
    "income": (INCOME,),
    "tax": ("Sales Tax", "VAT"),
    "receivable": ("Accounts Receivable",),
}
RATES: dict[str, Mapping[str, int | None]] = {
    "US": {"City Sales Tax": 15_000, "Tax Exempt": 0, "Texas Sales Tax": 82_500},
    "AU": {
        "BAS Excluded": 0,
        "GST Free Exports": 0,
        "GST Free Income": 0,
        "GST on Income": 100_000,
    },
    "GB": {
        "20% (VAT on Income)": 200_000,
        "5% (VAT on Income)": 50_000,
        "Exempt Income": 0,
        "No VAT": 0,
        "Zero Rated Income": 0,
    },
}
TAXED = {
    "US": ("Texas Sales Tax", "Tax Exempt"),
    "AU": ("GST on Income", "GST Free Exports"),
    "GB": ("20% (VAT on Income)", "Zero Rated Income"),
}
ELEMENTS = {
    "invoice": "Invoice",
    "payment": "Payment",
    "customer": "Contact",
    "sales_receipt": "BankTransaction",
    "expense": "BankTransaction",
    "deposit": "BankTransaction",
}


def sandbox(clock: SandboxClock) -> tuple[Edge, Faults, RequestLog]:
    faults, log = Faults(clock), RequestLog()
    stand_in = XeroSandbox(clock, faults, log, SandboxSettings())
    control = shared_control(clock, Scheduler(clock), faults, log)
    doors = Doors([*stand_in.route_handlers, *stand_in.control_handlers, *control])
    return Edge(doors, clock=clock, faults=faults, log=log), faults, log


class SchemaChecked(httpx.AsyncBaseTransport):
    """Passes requests on; a body or a parameter that Xero's own file does not know fails the test on its way out."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _, found, path = request.url.path.partition("/api.xro/2.0/")
        if found and SPEC_FILE.is_file():
            assert query_problems(request.method, path, list(request.url.params)) == []
            if request.method != "GET":
                assert request_problems(request.method, path, await request.aread()) == []
        return await self._inner.handle_async_request(request)


class XeroBench:
    def __init__(
        self, transport: httpx.AsyncBaseTransport, faults: Faults, log: RequestLog, clock: SandboxClock
    ) -> None:
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE)
        self.control = XeroControl(BASE, self.http)
        self.outgoing = Outgoing(SETTINGS.urls, transport=SchemaChecked(transport))
        self.faults, self.log, self.clock = faults, log, clock
        self.tenant = self.currency = ""
        self.income_account = self.clearing_account = ""
        self.tax_codes: Mapping[str, int | None] = {}
        self.provider: AccountingProvider
        self.tokens: Tokens
        self._country = ""
        self._codes: list[TaxCode] = []
        self._income_code: str | None = None

    async def start(self, country: str) -> None:
        self._country = country
        self.tax_codes = RATES[country]
        self.tenant = (await self.control.create_organisation("Lima Studio", country)).tenant_id
        # Pace is the engine's business; one test turns the limit on again.
        await self.behave(throttle=False)
        self.tokens = await self.control.connect(self.tenant, scope=SCOPE)
        # First opened knowing only the organisation's id, as right after the callback.
        self.provider = self.opened(Company(self.tenant, "", "", "", {}))
        self.provider = await self.reopen()
        self._codes = await self.provider.list_tax_codes()
        created = await self.provider.create_account(CLEARING, AccountType.BANK, key="clearing-1")
        self.clearing_account = created.external_id
        accounts = {account.name: account for account in await self.provider.list_accounts()}
        self.income_account, self._income_code = accounts[INCOME].external_id, accounts[INCOME].number

    def line_tax(self, *, taxed: bool) -> dict[str, Any]:
        name = TAXED[self._country][0 if taxed else 1]
        code = next(code for code in self._codes if code.name == name)
        return {
            "tax_code_id": code.external_id,
            "tax_code_name": code.name,
            "tax_rate_ppm": code.rate_ppm,
            "income_account_number": self._income_code,
        }

    async def reopen(self) -> AccountingProvider:
        company = await self.provider.read_company()
        self.currency = company.home_currency
        return self.opened(company)

    async def lose_the_answer(self, write: PreparedWrite) -> None:
        self.fail(FaultKind.DROP_AFTER_COMMIT, write.path)
        with pytest.raises(OutcomeUnknownError):
            await self.provider.execute(write)

    async def add_customer(self, name: str, email: str | None) -> str:
        body = {"Name": name, **({"EmailAddress": email} if email else {})}
        return str((await self.control.create_record(self.tenant, "Contact", body))["ContactID"])

    async def archive_customer(self, external_id: str) -> None:
        await self.control.act(self.tenant, "Contact", external_id, "archive")

    async def archive_account(self, external_id: str) -> None:
        await self.control.act(self.tenant, "Account", external_id, "archive")

    async def take_number(self, reference: str) -> None:
        body = {
            "Type": "ACCREC",
            "Status": "AUTHORISED",
            "Contact": {"ContactID": await self.add_customer("Somebody else", None)},
            "Date": "2026-11-01",
            "DueDate": "2026-11-01",
            "InvoiceNumber": reference,
            "LineAmountTypes": "NoTax",
            "LineItems": [{"Description": "Work", "UnitAmount": 1, "AccountID": self.income_account}],
        }
        await self.control.create_record(self.tenant, "Invoice", body)

    async def close_books(self, day: str) -> None:
        await self.behave(period_lock_date=day)

    async def names(self) -> list[str]:
        return [contact["Name"] for contact in await self.control.records(self.tenant, "Contact")]

    async def count(self, kind: str) -> int:
        return len(await self.control.records(self.tenant, ELEMENTS[kind]))

    async def balances(self) -> Mapping[str, int]:
        found = await self.control.trial_balance(self.tenant)
        return {role: sum(found.get(name, 0) for name in names) for role, names in ROLES.items()}

    async def trial_balance(self) -> Mapping[str, int]:
        return await self.control.trial_balance(self.tenant)

    async def edit(self, kind: DocumentKind, external_id: str) -> None:
        found = (await self.control.record(self.tenant, ELEMENTS[kind], external_id))["record"]
        kept = ("LineItemID", "Description", "Quantity", "UnitAmount", "AccountID", "TaxType")
        lines = [{name: line[name] for name in kept} for line in found["LineItems"]]
        lines[0]["UnitAmount"] += 1
        await self.control.edit_record(self.tenant, ELEMENTS[kind], external_id, {"LineItems": lines})

    async def remove(self, kind: DocumentKind, external_id: str) -> None:
        # A transfer to or from an account that is no bank account is money spent or received.
        for element in ("BankTransfer", "BankTransaction") if kind is DocumentKind.TRANSFER else (ELEMENTS[kind],):
            records = await self.control.records(self.tenant, element)
            if any(record[f"{element}ID"] == external_id for record in records):
                await self.control.act(self.tenant, element, external_id, "delete")

    async def now(self) -> datetime:
        return self.clock.now()

    async def pass_time(self, *, minutes: float) -> None:
        self.clock.advance(60 * minutes)

    async def is_balanced(self) -> bool:
        return sum((await self.control.trial_balance(self.tenant)).values()) == 0

    async def behave(self, **switches: Any) -> None:
        await self.control.set_behaviour(self.tenant, **switches)

    def fail(self, kind: FaultKind, path: str, **rule: Any) -> None:
        self.faults.add(FaultRule(kind=kind, provider="xero", method="PUT", path=rf"{path}(\?|$)", **rule))

    def opened(self, company: Company) -> AccountingProvider:
        return registry.get("xero").open(
            outgoing=self.outgoing, settings=SETTINGS, access_token=self.tokens.access_token, company=company
        )


@asynccontextmanager
async def xero_bench(_: Path, country: str) -> AsyncIterator[XeroBench]:
    clock = SandboxClock(seed=1)
    app, faults, log = sandbox(clock)
    bench = XeroBench(httpx.ASGITransport(app=app), faults, log, clock)
    await bench.start(country)
    yield bench
    # Never the same key with other bytes, never XML by accident, no field that Xero does not know.
    assert await bench.control.violations(bench.tenant) == []
