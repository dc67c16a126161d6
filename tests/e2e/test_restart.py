"""A process that dies, and one that is asked to end: every payment is in the books once, and open pages recover."""

import re
import signal
import time
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.person import Person, visiting
from tests.e2e.processes import eventually
from tests.e2e.site import Site, running_on_sqlite
from tests.e2e.studio import Studio
from web.sandbox.faults import FaultKind, FaultRule

pytestmark = pytest.mark.e2e

WELL_WITHIN_GRACE_S = 10
RECONNECTS_WITHIN_MS = 30_000
LOST = re.compile(r"ERR_(CONNECTION|INCOMPLETE|EMPTY|NETWORK)|network error|Failed to fetch")


@pytest.fixture(scope="module")
async def site(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_on_sqlite(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
async def person(browser: Browser, site: Site) -> AsyncIterator[Person]:
    """A person whose browser may say that the server was away, and nothing else."""
    async with visiting(browser, site) as visitor:
        yield visitor
        visitor.complaints = [text for text in visitor.complaints if not LOST.search(text)]


@pytest.mark.parametrize(
    ("document", "is_done"),
    [
        pytest.param("invoice", False, id="before the invoice was made"),
        pytest.param("invoice", True, id="after the invoice was made, before its answer"),
        pytest.param("payment", True, id="after the payment was made, before its answer"),
    ],
)
async def test_killed_while_posting(person: Person, site: Site, document: str, is_done: bool) -> None:
    studio = Studio(person, f"Killed At {document} {is_done}")
    await studio.set_up(f"{document}-{is_done}@studio.example".lower())
    rule = await hang(site, document, is_done=is_done)
    await studio.pay("Anna Berg", "Portrait session")
    await was_hit(site, rule)
    assert await site.web.signal(signal.SIGKILL) == -signal.SIGKILL

    site.web.start()
    await site.web.ready(f"{site.url}/ready")
    await person.go("/payments")
    await person.sees_rows(1, "Anna Berg", state="synced")
    (invoice,) = await studio.invoices()
    assert (float(invoice["TotalAmt"]), float(invoice["Balance"])) == (420.0, 0.0)
    assert len(await site.quickbooks.documents(studio.realm, "Payment")) == 1
    assert await studio.balance() == {"Stripe clearing": 42000, "Session Income": -42000}
    assert await site.quickbooks.requestid_violations(studio.realm) == []


async def test_asked_to_end_it_finishes_and_open_pages_recover(person: Person, site: Site) -> None:
    studio = Studio(person, "Asked To End")
    await studio.set_up("end@studio.example")
    await person.is_live()
    await person.stays()
    rule = await site.stripe.add_fault(
        FaultRule(kind=FaultKind.DELAY, provider="quickbooks", method="POST", path="/invoice", delay_s=1.5)
    )
    await studio.pay("Anna Berg", "Portrait session")
    await was_hit(site, rule)
    began = time.monotonic()
    assert await site.web.signal(signal.SIGTERM) == 0, site.web.output
    assert time.monotonic() - began < WELL_WITHIN_GRACE_S
    # The call that was under way was waited for; the next one was not begun, or finished too.
    assert len(await studio.invoices()) == 1
    note = person.page.locator("#live-note")
    await expect(note).to_contain_text("Updates paused")
    await studio.pay("Marcus Bell", "Portrait session")

    site.web.start()
    await site.web.ready(f"{site.url}/ready")
    await expect(note).to_have_text("Live", timeout=RECONNECTS_WITHIN_MS)
    await person.sees_rows(2, state="synced")
    assert await person.has_stayed()
    assert len(await studio.invoices()) == 2
    assert await studio.balance() == {"Stripe clearing": 84000, "Session Income": -84000}


async def hang(site: Site, document: str, *, is_done: bool) -> FaultRule:
    """Let the next write of this document get no answer, with or without being done."""
    return await site.stripe.add_fault(
        FaultRule(kind=FaultKind.HANG, provider="quickbooks", method="POST", path=f"/{document}", after_commit=is_done)
    )


async def was_hit(site: Site, rule: FaultRule) -> None:
    async def hit() -> bool:
        return any(found.id == rule.id and found.hits for found in await site.stripe.faults())

    await eventually(hit)
