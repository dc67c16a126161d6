"""The main tasks without script, and by keyboard alone."""

import csv
import io

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.person import Person, visiting
from tests.e2e.processes import eventually
from tests.e2e.site import Site
from tests.e2e.studio import Studio
from web.demo import cast

pytestmark = pytest.mark.e2e

MOST_TABS = 150


async def test_everything_works_without_script(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo, java_script_enabled=False) as person:
        studio = Studio(person, "No Script At All")
        await studio.set_up("plain@studio.example")
        await studio.offer("Heirloom album", 89050)
        await studio.offer("Print credit", 15000)
        client = await demo.quickbooks.create_document(studio.realm, "Customer", {"DisplayName": "Grace Kim"})
        await demo.quickbooks.deactivate(studio.realm, "Customer", client["Id"])
        await studio.pay("Anna Berg", "Portrait session")
        await studio.pay("Marcus Bell", "Heirloom album")
        await studio.pay("Marcus Bell", "Print credit")
        await studio.pay("Grace Kim", "Portrait session")
        await reloads_until(person, "synced", 1)
        await reloads_until(person, "needs_attention", 3)

        await filter_and_search(person)
        await demo.quickbooks.activate(studio.realm, "Customer", client["Id"])
        await person.press("Retry Grace Kim")
        await person.reads("Trying again now.")
        await reloads_until(person, "synced", 2)
        await person.follow("Choose account for Heirloom album")
        await studio.map("Heirloom album", "Print Sales")
        await reloads_until(person, "synced", 3)
        await ignore(person)
        await export(person)
        await person.press("Sign out")
        await person.go("/payments")
        await expect(person.page.get_by_role("heading", level=1)).to_have_text("Sign in")


async def filter_and_search(person: Person) -> None:
    await person.follow("Needs attention 3")
    await person.sees_rows(3)
    await person.page.get_by_label("Search payments").fill("marcus")
    await person.page.get_by_label("Search payments").press("Enter")
    await person.sees_rows(2)
    await expect(person.page.get_by_label("Search payments")).to_have_value("marcus")
    await person.go("/payments")


async def ignore(person: Person) -> None:
    page = person.page
    await person.rows("Print credit").get_by_role("link", name="Marcus Bell").click()
    await page.get_by_text("Ignore this payment").click()
    await page.get_by_label("Why").fill("Entered by hand")
    await person.press("Leave it out of the books")
    await person.reads("Left out of the books.")
    await expect(page.get_by_role("region", name="State")).to_contain_text("Ignored")
    await person.go("/payments?show=ignored")
    await person.sees_rows(1, "Marcus Bell", state="ignored")
    await person.go("/payments")


async def export(person: Person) -> None:
    await person.press("Export CSV")
    async with person.page.expect_download() as begun:
        await person.follow("All payments")
    path = await (await begun.value).path()
    header, *rows, total = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    assert len(rows) == 4
    assert total[header.index("gross")] == "1880.50"


async def reloads_until(person: Person, state: str, count: int) -> None:
    """Look again until so many rows are in a state: without script nothing comes by itself."""

    async def are_there() -> bool:
        await person.go("/payments")
        return await person.rows(state=state).count() == count

    await eventually(are_there, within_s=20)


async def test_payment_is_retried_by_keyboard_alone(browser: Browser, demo: Site) -> None:
    await demo.has_history()
    companies = await demo.quickbooks.list_companies()
    realm = next(company.realm_id for company in companies if company.name == cast.COMPANY)
    clients = await demo.quickbooks.documents(realm, "Customer")
    client = next(found for found in clients if found["DisplayName"].startswith(cast.INACTIVE_CLIENT))
    async with visiting(browser, demo) as person:
        page, keyboard = person.page, person.page.keyboard
        await person.go("/sign-in")
        await keyboard.type(cast.EMAIL)
        await keyboard.press("Tab")
        await keyboard.type(cast.PASSWORD)
        await keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
        await tab_to(person, "Mapping")
        await keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Mapping")
        await tab_to(person, "Payments")
        await keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
        await person.sees_counts(syncing=0, waiting=0)
        stopped = await person.rows(cast.INACTIVE_CLIENT, state="needs_attention").count()
        assert stopped > 0, "the demo has nothing to retry"

        await demo.quickbooks.activate(realm, "Customer", client["Id"])
        await tab_to(person, f"Retry {cast.INACTIVE_CLIENT}")
        await keyboard.press("Enter")
        await person.reads("Trying again now.")
        await person.sees_rows(stopped - 1, cast.INACTIVE_CLIENT, state="needs_attention")
        await person.sees_rows(1, cast.INACTIVE_CLIENT, state="synced")
        await demo.quickbooks.deactivate(realm, "Customer", client["Id"])


async def tab_to(person: Person, name: str) -> None:
    """Press Tab until what has the focus begins with ``name``."""
    for _ in range(MOST_TABS):
        await person.page.keyboard.press("Tab")
        words = await person.page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')")
        if words.startswith(name):
            return
    raise AssertionError(f"{name} cannot be reached with the Tab key")
