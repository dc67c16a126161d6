"""The worked examples, from Stripe's webhooks to the trial balance: the same cents in every set of books."""

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from core.books.roles import BookkeepingSettings
from core.config import Settings
from tests import examples
from tests.examples import Act, Story
from tests.play import PROVIDERS, Play, playing

TAX = {
    ("quickbooks", "US"): ("Taxable", "Non-taxable"),
    ("xero", "US"): ("Texas Sales Tax", "Tax Exempt"),
    ("mock", "US"): ("Taxable", "Non-taxable"),
    ("quickbooks", "AU"): ("GST", "GST free"),
    ("xero", "AU"): ("GST on Income", "GST Free Income"),
    ("mock", "AU"): ("GST", "GST free"),
}
FEE_TAX = {"quickbooks": "GST", "xero": "GST on Expenses", "mock": "GST"}


Stage = Callable[[str], AbstractAsyncContextManager[Play]]


@pytest.fixture(params=PROVIDERS)
def stage(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, migrated_file: Path) -> Stage:
    """Opens a play in a country, with the books of each provider in turn."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    return lambda country: playing(settings, request.param, tmp_path, country=country)


async def tell(story: Story, acts: dict[str, Act], net: dict[str, int], clearing: dict[str, int]) -> None:
    """Play step by step, one a day, and hold Stripe and the books against the figures after each."""
    play, before = story.play, 0
    for step, act in acts.items():
        await act(story)
        await play.next_day()
        after = await play.stripe_balance()
        assert after - before == net[step], step
        assert await play.open_items() == [], step
        assert await play.clearing() == clearing[step], (step, await play.balances())
        before = after


async def test_an_american_month_with_sales_tax_on_top(stage: Stage) -> None:
    async with stage("US") as play:
        taxed, free = TAX[play.kind, "US"]
        story = await examples.open_a(play, taxed=taxed, free=free)
        await play.start()
        await tell(story, examples.A_ACTS, examples.A_STRIPE_NET, examples.A_CLEARING)
        assert await play.balances() == examples.A_BALANCE


async def test_an_australian_month_with_gst_inside(stage: Stage) -> None:
    async with stage("AU") as play:
        taxed, free = TAX[play.kind, "AU"]
        story = await examples.open_b(play, taxed=taxed, free=free)
        await play.settle_on(BookkeepingSettings(fee_tax_code_id=await play.tax_code(FEE_TAX[play.kind])))
        await play.start()
        await tell(story, examples.B_ACTS, examples.B_STRIPE_NET, examples.B_CLEARING)
        assert await play.balances() == examples.B_BALANCE
