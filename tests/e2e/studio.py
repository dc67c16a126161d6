"""A business that somebody sets up through the pages: Stripe and QuickBooks by consent, services, the first day."""

from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import expect

from tests.e2e.person import Person
from tests.e2e.processes import eventually
from web.sandbox.client import Payment
from web.sandbox.stripe.inputs import LineInput


@dataclass(slots=True)
class Studio:
    """The business at Stripe, its company at QuickBooks, and the person who looks at both through our pages."""

    person: Person
    name: str
    account: str = ""
    realm: str = ""
    products: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)

    # What happens outside

    async def offer(self, service: str, price: int) -> None:
        """Sell something new at Stripe."""
        made = await self.person.site.stripe.create_product(self.account, service, unit_amount=price)
        self.products[service] = made["product"]

    async def pay(self, client: str, service: str, **options: Any) -> Payment:
        """Let a client pay now, by Stripe's checkout."""
        stripe = self.person.site.stripe
        if client not in self.clients:
            email = f"{client.split(maxsplit=1)[0].lower()}@example.com"
            self.clients[client] = (await stripe.create_customer(self.account, name=client, email=email))["id"]
        line = LineInput(product=self.products[service])
        return await stripe.pay(
            self.account, via="checkout", customer=self.clients[client], lines=[line], bt_delay_s=0.5, **options
        )

    async def pay_out(self) -> None:
        """Let Stripe pay everything out, and the worker book it: the transfer is in the books afterwards."""
        site = self.person.site
        await site.stripe.payout(self.account, include_pending=True, arrival_days=0, until="paid")

        async def has_arrived() -> bool:
            return bool(await site.quickbooks.documents(self.realm, "Transfer"))

        await eventually(has_arrived, within_s=30)

    async def invoices(self) -> list[dict[str, Any]]:
        return await self.person.site.quickbooks.documents(self.realm, "Invoice")

    async def customers(self, name: str) -> list[dict[str, Any]]:
        """Customers in the books of this name or made from it."""
        found = await self.person.site.quickbooks.documents(self.realm, "Customer")
        return [customer for customer in found if customer["DisplayName"].startswith(name)]

    async def balance(self) -> dict[str, int]:
        """The trial balance, debits positive, without the accounts that stand at nothing."""
        found = await self.person.site.quickbooks.trial_balance(self.realm)
        return {account: amount for account, amount in found.items() if amount}

    # What the person does

    async def connect_stripe(self) -> None:
        """From the connections page through the consent page, where a new business is made."""
        person, page = self.person, self.person.page
        await person.go("/connections")
        await person.press("Connect Stripe")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Connect your Stripe account")
        await page.get_by_label("Create a new business").check()
        await page.get_by_label("Name of the new business").fill(self.name)
        await person.press("Allow")
        await person.reads("Stripe is connected.")
        accounts = await person.site.stripe.accounts()
        self.account = next(account.id for account in accounts if account.name == self.name)

    async def connect_quickbooks(self) -> None:
        """The same with a new company."""
        await self.person.go("/connections")
        await self.person.press("Connect QuickBooks")
        await self.choose_company(None, name=f"{self.name} LLC")
        await self.person.reads("QuickBooks is connected.")
        companies = await self.person.site.quickbooks.list_companies()
        self.realm = next(company.realm_id for company in companies if company.name == f"{self.name} LLC")

    async def choose_company(self, realm: str | None, *, name: str = "") -> None:
        """On Intuit's consent page: choose a company, or make one."""
        page = self.person.page
        await expect(page.get_by_role("heading", level=1)).to_have_text("Connect to QuickBooks")
        await page.locator(f'input[name="realm"][value="{realm or "new"}"]').check()
        if realm is None:
            await page.get_by_label("Name of the new company").fill(name)
        await self.person.press("Connect")

    async def map(self, service: str, account: str) -> None:
        """Choose an income account for a service that Stripe has told us of."""
        person, page = self.person, self.person.page
        chooser = page.get_by_label(f"Income account for {service}", exact=True)

        async def is_listed() -> bool:
            await person.go("/mapping")
            return await chooser.count() == 1

        await eventually(is_listed)
        await chooser.select_option(label=account)
        await person.save_without_script(service)
        await expect(page.locator("tr", has_text=service).get_by_role("status")).to_have_text("Saved")

    async def create_clearing_account(self) -> None:
        await self.person.go("/mapping")
        chooser = self.person.page.get_by_label("Stripe clearing")
        await chooser.select_option("create")
        await self.person.save_without_script("")
        await expect(chooser.locator("option:checked")).to_have_text("Stripe clearing")

    async def book_everything(self, bank: str) -> None:
        """Let the missing accounts be created, pay out to ``bank``, and book each fee at once instead of by the day."""
        person, page = self.person, self.person.page
        await person.go("/accounts")
        await page.locator("#create-button").click()
        await expect(page.locator("#create-button")).to_have_count(0, timeout=30_000)
        await page.get_by_label("Bank account for payouts").select_option(label=bank)
        await expect(page.locator("#role-bank-h")).to_contain_text("Saved")
        await page.get_by_label("Stripe's fees become").select_option("per_charge")
        await person.reads("Saved. It applies from now on")

    async def start_today(self) -> None:
        """Choose today as the first day; afterwards the payments page is open."""
        person, page = self.person, self.person.page
        await page.get_by_role("navigation", name="Main").get_by_role("link", name="Get started").click()
        day = page.get_by_label("First day")
        await day.fill(await day.get_attribute("max") or "")
        await person.press("Start syncing")
        await person.reads("Syncing has started")
        await expect(page.get_by_role("link", name="Get started")).to_have_count(0)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Payments")

    async def set_up(self, email: str) -> None:
        """Everything from signing up to the open payments page, with one mapped service."""
        await self.person.sign_up(self.name, email)
        await self.connect_stripe()
        await self.offer("Portrait session", 42000)
        await self.connect_quickbooks()
        await self.map("Portrait session", "Session Income")
        await self.create_clearing_account()
        await self.start_today()
