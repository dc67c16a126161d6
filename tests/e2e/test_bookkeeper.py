"""A bookkeeper's morning: somebody changed an amount in QuickBooks by hand, and a payout does not tie any more."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.e2e.person import PATIENCE_MS, Person, visiting
from tests.e2e.site import Site
from tests.e2e.studio import Studio

pytestmark = pytest.mark.e2e

CLIENTS = ("Anna Berg", "Marcus Bell", "Grace Kim")
ODD = "Marcus Bell"


@pytest.fixture
async def studio(browser: Browser, demo: Site) -> AsyncIterator[Studio]:
    """A studio whose payout of three payments has arrived and ties out."""
    async with visiting(browser, demo) as person:
        studio = Studio(person, "Lakeside Portraits")
        await studio.set_up("books@lakeside.example")
        await studio.book_everything("Checking")
        for client in CLIENTS:
            await studio.pay(client, "Portrait session")
        await person.go("/payments")
        await person.sees_rows(len(CLIENTS), state="synced")
        await studio.pay_out()
        yield studio


async def test_amount_changed_by_hand_is_found_named_and_printed(studio: Studio) -> None:
    person, page = studio.person, studio.person.page
    await person.go("/reconciliation")
    payout = page.locator("#payouts tbody tr")
    await expect(payout).to_have_count(1)
    await shows_state(payout, "tied")
    before = await studio.balance()

    await lower_payment(studio, ODD, by=20)
    await person.stays()
    await person.press("Check the books now")
    await person.reads("Reading your books now.")
    await shows_state(payout, "off")
    await expect(payout).to_contain_text("$20.00")
    assert await person.has_stayed(), "the page follows without a reload"

    await payout.get_by_role("link").first.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Payout of")
    await one_odd_row(page.locator("#lines tbody tr"))
    await expect(page.locator("#proof .diff")).to_contain_text("$20.00")
    await prints(person)
    # Nothing was overwritten: what the person did stands until a person puts it right.
    assert (await studio.balance())["Stripe clearing"] == before.get("Stripe clearing", 0) - 2000

    await lower_payment(studio, ODD, by=0)
    await person.press("Check the books now")
    await expect(page.locator("#proof .diff")).to_contain_text("Tied out", timeout=PATIENCE_MS)
    assert await studio.balance() == before


async def shows_state(payout: Locator, state: str) -> None:
    await expect(payout).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


async def lower_payment(studio: Studio, client: str, *, by: int) -> None:
    """Type another amount into the payment of a client, as its owner would on QuickBooks' own screen."""
    books = studio.person.site.quickbooks
    (customer,) = await studio.customers(client)
    payments = await books.documents(studio.realm, "Payment")
    (payment,) = [found for found in payments if found["CustomerRef"]["value"] == customer["Id"]]
    amount = 420 - by
    lines: list[dict[str, Any]] = [{"Amount": amount, "LinkedTxn": payment["Line"][0]["LinkedTxn"]}]
    await books.edit_document(studio.realm, "Payment", payment["Id"], {"TotalAmt": amount, "Line": lines})


async def one_odd_row(rows: Locator) -> None:
    """Of all lines of the payout one is odd, and says which document, what it was and what it is now."""
    await expect(rows).to_have_count(len(CLIENTS))
    odd = rows.and_(rows.page.locator('[data-state="off"]'))
    await expect(odd).to_have_count(1)
    await expect(odd).to_contain_text(ODD)
    await expect(odd).to_contain_text(re.compile(r"Payment \S+: Total was \$420\.00, now \$400\.00"))
    await expect(odd).to_contain_text("−$20.00")


async def prints(person: Person) -> None:
    """On paper there is the certificate alone: no navigation, no buttons, and the total once, at the end."""
    page = person.page
    navigation, tools = page.get_by_role("navigation", name="Main"), page.locator(".tools")
    await expect(navigation).to_be_visible()
    await page.emulate_media(media="print")
    await expect(navigation).to_be_hidden()
    await expect(tools).to_be_hidden()
    await expect(page.locator("#proof")).to_be_visible()
    await expect(page.get_by_text("Prepared by Tieout on")).to_be_visible()
    total = page.locator("#lines tfoot")
    await expect(total).to_have_count(1)
    # A footer of the usual kind would stand again at the end of each sheet.
    await expect(total).to_have_css("display", "table-row-group")
    await expect(page.locator('#lines tbody tr[data-state="off"]')).to_contain_text(ODD)
    assert (await page.pdf()).startswith(b"%PDF-")
    await page.emulate_media(media="screen")
