"""What an auditor runs: the journal that Beancount's own checker judges, and the proof by looking all of it up."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from core.accounting.mock.adapter import MockAccountingAdapter
from core.books.documents import DocumentKind
from core.config import Settings
from core.db.models import BalanceTransaction, BooksDocument, Connection
from core.reports.journal import write_journal
from core.sync.prove import Proof, prove
from tests import examples
from tests.outside import BASE
from tests.play import Play, playing
from tests.practice_hand import OwnersHand
from web.sandbox.quickbooks.client import QuickBooksControl

BEAN_CHECK = Path(sys.executable).with_name("bean-check")


@pytest.fixture(params=["mock", "quickbooks"])
async def play(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, migrated_file: Path
) -> AsyncIterator[Play]:
    """The first payout of example A, with a name that wants to break out of its quotation."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with playing(settings, request.param, tmp_path) as opened:
        story = await examples.open_a(opened, taxed="Taxable", free="Non-taxable")
        await opened.start()
        for step in ("A1", "A2", "A3", "A4", "A5", "A6"):
            await examples.A_ACTS[step](story)
            await opened.pass_time(hours=0.1)
        await opened.next_day()
        assert await opened.open_items() == []
        yield opened


async def journal(play: Play) -> str:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        connection = await session.get_one(Connection, play.books_id)
        return "\n".join([line async for line in write_journal(session, connection)]) + "\n"


def bean_check(text: str, folder: Path) -> tuple[int, str]:
    path = folder / "books.beancount"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([BEAN_CHECK, path], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


async def test_an_outside_checker_accepts_the_journal_and_no_cent_less(play: Play, tmp_path: Path) -> None:
    text = await journal(play)
    assert bean_check(text, tmp_path) == (0, "")
    assert " balance Assets:Stripe-clearing  209.92 ~ 0 USD" in text
    assert text.count('"Invoice') == 4
    assert "Expenses:Booking-platform-fees  15.25 USD" in text
    assert "not in the books" not in text
    # A document that does not balance.
    code, said = bean_check(
        text.replace("Expenses:Stripe-fees  12.86 USD", "Expenses:Stripe-fees  12.85 USD"), tmp_path
    )
    assert code != 0
    assert "does not balance" in said
    # Stripe says a cent more than the documents.
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        first_sale = select(BalanceTransaction).where(BalanceTransaction.net_minor == 42014)
        row = (await session.execute(first_sale)).scalar_one()
        row.amount_minor, row.net_minor = row.amount_minor + 1, row.net_minor + 1
    code, said = bean_check(await journal(play), tmp_path)
    assert code != 0
    assert "Balance failed" in said


async def found(play: Play) -> list[Proof]:
    return [proof async for proof in prove(play.wiring, tenant_id=play.owner.tenant_id, connection_id=play.books_id)]


async def test_every_document_stands_once_and_one_taken_away_is_named(play: Play) -> None:
    proofs = await found(play)
    assert all(proof.holds for proof in proofs), [proof for proof in proofs if not proof.holds]
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        documents = (await session.execute(select(BooksDocument))).scalars().all()
    assert sorted(proof.external_id for proof in proofs) == sorted(str(row.external_id) for row in documents)
    assert {proof.kind for proof in proofs} >= {DocumentKind.INVOICE, DocumentKind.PAYMENT, DocumentKind.TRANSFER}
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        transfer = (
            await session.execute(select(BooksDocument).where(BooksDocument.kind == DocumentKind.TRANSFER))
        ).scalar_one()
    if isinstance(play.provider, MockAccountingAdapter):
        OwnersHand(play.provider.books).delete(DocumentKind.TRANSFER, str(transfer.external_id))
    else:
        await QuickBooksControl(BASE, play.http).delete_document(play.company, "transfer", str(transfer.external_id))
    broken = [proof for proof in await found(play) if not proof.holds]
    assert [(proof.external_id, proof.count) for proof in broken] == [(transfer.external_id, 0)]
    assert "not in the books any more" in broken[0].problem
