"""A database restored from an old backup: what was booked since then is found, and nothing is booked twice (F31)."""

import shutil
import sqlite3
from argparse import Namespace
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from core.accounting.mock.adapter import MockAccountingAdapter
from core.config import Settings
from core.sync.adopt import list_adopting
from tests.play import PROVIDERS, Play, playing
from web.cli_adopt import act
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl

TAX_FREE = {"mock": "Non-taxable", "quickbooks": "Non-taxable", "xero": "Tax Exempt"}
Backup = Callable[[], Awaitable[Callable[[], Awaitable[None]]]]


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_nothing_is_booked_twice(settings: Settings, tmp_path: Path, migrated_file: Path, kind: str) -> None:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with playing(settings, kind, tmp_path) as play:
        await _lose_and_restore(play, _backup_of_file(play, tmp_path))


async def _lose_and_restore(play: Play, backup: Backup) -> None:
    """Book, save, book more, lose that, and let the product find it again: the books stay as they are."""
    product = await play.product("Portrait session", "Session income", tax=TAX_FREE[play.kind])
    await play.start()
    first = await _pay(play, product, 10_000)
    await play.pass_time(hours=0.1)
    restore = await backup()
    for amount in (20_000, 30_000, 40_000):
        await _pay(play, product, amount)
    await play.stripe.refund(play.business, first, 2_500)
    await play.pass_time(hours=0.2)
    standing, balances = await _documents(play), await play.balances()
    assert standing["invoice"] == Counter({10_000: 1, 20_000: 1, 30_000: 1, 40_000: 1})

    await restore()
    await _forget_keys(play)
    assert await _adopt(play, "on") == 0
    # The next round of the catch-up reads from Stripe what the database has never heard of.
    await play.pass_time(hours=1.5)
    # Fees of the day are booked when it is over.
    assert [item for item in await play.open_items() if item[0] != "fees"] == []
    assert await _documents(play) == standing
    assert await play.balances() == balances
    assert await _adopt(play, "off") == 0
    assert not any(one.is_on for one in await list_adopting(play.wiring.db))


async def _adopt(play: Play, act_: str) -> int:
    return await act(play.wiring, Namespace(act=act_, workspace=None, anyway=False))


async def _pay(play: Play, product: str, amount: int) -> str:
    made = await play.stripe.pay(
        play.business, via="checkout", lines=[{"product": product, "unit_amount": amount}],
        new_customer={"name": "Anna Berg", "email": "anna@example.com"}, bt_delay_s=2.0,
    )  # fmt: skip
    play.runtime.forward(seconds=3)
    await play.quiet()
    return str(made.payment_intent)


async def _documents(play: Play) -> dict[str, Counter[int]]:
    """Return the totals of the sales, their payments and the refunds, by the books' own account."""
    if isinstance(play.provider, MockAccountingAdapter):
        rows = [(row.kind, row.total_minor) for row in play.provider.books.documents()]
        return {kind: Counter(total for name, total in rows if name == kind) for kind, _ in rows}
    if play.kind == "quickbooks":
        control = QuickBooksControl(play.sandbox.settings.base_url, play.http)
        told = {
            name.lower(): [one["TotalAmt"] for one in await control.documents(play.company, name)]
            for name in ("Invoice", "Payment", "RefundReceipt")
        }
    else:
        organisation = XeroControl(play.sandbox.settings.base_url, play.http)
        told = {
            "invoice": [one["Total"] for one in await organisation.records(play.company, "Invoice")],
            "payment": [one["Amount"] for one in await organisation.records(play.company, "Payment")],
            "credit note": [one["Total"] for one in await organisation.records(play.company, "CreditNote")],
        }
    return {name: Counter(int(Decimal(str(total)) * 100) for total in totals) for name, totals in told.items()}


async def _forget_keys(play: Play) -> None:
    """Nothing but the reference proves anything: the books' memory of keys has run out meanwhile (F9)."""
    base = play.sandbox.settings.base_url
    if play.kind == "quickbooks":
        await QuickBooksControl(base, play.http).forget_requestids(play.company)
    elif play.kind == "xero":
        await XeroControl(base, play.http).forget_idempotency()
    else:
        with closing(sqlite3.connect(play.wiring.settings.mock_books_path)) as db, db:
            db.execute("DELETE FROM answer")


def _backup_of_file(play: Play, folder: Path) -> Backup:
    path, copy = Path(play.wiring.settings.database_url.removeprefix("sqlite:///")), folder / "backup.db"

    async def backup() -> Callable[[], Awaitable[None]]:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return restore

    async def restore() -> None:
        await play.wiring.db.engine.dispose()
        _replace(path, copy)

    return backup


def _replace(path: Path, copy: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    shutil.copyfile(copy, path)
