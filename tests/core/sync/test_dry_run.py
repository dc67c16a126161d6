"""A dry run says to the cent what posting then makes, in every set of books, and writes nothing itself."""

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.books.ledger_lines import RECEIVABLE, SALES_TAX
from core.config import Settings
from core.db.models import BooksAccount, BooksDocument, Connection, DocumentState
from core.sync.dry_run import DryRun, Scope, dry_run
from tests import examples
from tests.core.sync.test_worked_examples import TAX
from tests.play import PROVIDERS, START, Play, playing

Stage = Callable[[str], AbstractAsyncContextManager[Play]]


@pytest.fixture(params=PROVIDERS)
def stage(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, migrated_file: Path) -> Stage:
    """Opens a play in a country, with the books of each provider in turn."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    return lambda country: playing(settings, request.param, tmp_path, country=country)


async def rehearse(play: Play, starts_at: datetime) -> DryRun:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        connection = await session.get_one(Connection, play.books_id)
        found = await dry_run(session, Scope(connection, play.provider, starts_at), now=play.runtime.now())
        assert not session.dirty
        assert not session.new
        return found


async def by_name(play: Play, totals: dict[str, int]) -> dict[str, int]:
    """Name the accounts as the worked examples do."""
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        rows = (
            await session.execute(select(BooksAccount).where(BooksAccount.connection_id == play.books_id))
        ).scalars()
        names = {row.external_id: row.name.casefold() for row in rows}
    ours = {name.casefold(): name for name in play.accounts}
    known = {account: ours[name] for account, name in names.items() if name in ours}
    known |= {RECEIVABLE: RECEIVABLE, SALES_TAX: "Tax"}
    return {known[account]: amount for account, amount in totals.items()}


async def posted(play: Play) -> int:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        statement = select(func.count(BooksDocument.id)).where(BooksDocument.state == DocumentState.POSTED)
        return (await session.execute(statement)).scalar_one()


async def test_what_a_dry_run_says_is_what_posting_makes(stage: Stage) -> None:
    async with stage("US") as play:
        taxed, free = TAX[play.kind, "US"]
        story = await examples.open_a(play, taxed=taxed, free=free)
        for act in examples.A_ACTS.values():
            await act(story)
            await play.next_day()
        first_day = START.replace(hour=5, minute=0)
        said = await rehearse(play, first_day)
        assert await posted(play) == 0
        assert said.stops == []
        assert (said.gross_minor, said.sales) == (417778, 7)
        await play.start(START)
        await play.pass_time(hours=48)
        assert await play.open_items() == []
        assert await play.balances() == examples.A_BALANCE
        assert await by_name(play, said.totals) == examples.A_BALANCE
        assert sum(said.documents.values()) == await posted(play)
        after = await rehearse(play, first_day)
        assert (after.items, after.documents, after.calls) == (0, {}, 0)
        assert after.totals == said.totals
