"""What a person does about documents that somebody changed in the books, once the product has named them (F21)."""

from uuid import UUID

from core.sync.acts import retry_item
from core.sync.recreate import recreate
from tests.simulation import human
from tests.simulation.check import Ledger, changes_are_named
from tests.simulation.human import Change
from tests.simulation.scene import Scene


async def make_amends(scene: Scene) -> bool:
    """Let people put right what they changed, by what the product offers for it; some leave it as it is.

    Raises:
        AssertionError: something was changed, and nobody was told.
    """
    if not scene.changes:
        return False
    if scene.was_restored:
        # Books that keep keys for ever tell of their first answer again: that the document is gone shows in a reading.
        for _ in range(2):
            scene.runtime.forward(hours=25)
            await scene.theatre.quiet()
    ledger = Ledger(scene)
    try:
        changes_are_named(scene, ledger)
        leaves_it = scene.dice.random() < 0.5
        standing = {change.external_id: _how_it_stands(ledger, change) for change in scene.changes}
    finally:
        ledger.database.close()
    is_amended = [
        await _amend(scene, change, standing[change.external_id])
        for change in list(scene.changes)
        # What the restored database has never proven is not in the books for us: it cannot be left at that.
        if not leaves_it or standing[change.external_id] != "known"
    ]
    return any(is_amended)


def _how_it_stands(ledger: Ledger, change: Change) -> str:
    """Tell what the product knows of the document: it is known, in doubt, or forgotten with a lost database."""
    what = (change.external_id, change.kind)
    if ledger.all("SELECT 1 FROM books_document WHERE external_id = ? AND kind = ? AND state = 'posted'", *what):
        return "known"
    doubted = "SELECT 1 FROM sync_item WHERE kind = ? AND source_id = ? AND reason = 'changed_in_books'"
    return "in doubt" if ledger.all(doubted, *change.item) else "forgotten"


async def _amend(scene: Scene, change: Change, how_it_stands: str) -> bool:
    if how_it_stands == "forgotten":
        # Nobody can know that it ever stood there: it was made as if for the first time.
        assert change.how != "edit", "F31: a document that stands in the books was not found there"
        scene.changes.remove(change)
        return True
    if change.how == "edit":
        await human.put_back(scene.theatre, change)
        await _click(scene, change)
    elif how_it_stands == "in doubt":
        await human.clear_away(scene.theatre, change)
        await _click(scene, change)
    elif not await _ask_to_recreate(scene, change):
        return False
    scene.changes.remove(change)
    return True


async def _click(scene: Scene, change: Change) -> None:
    async def click() -> None:
        async with scene.wiring.db.tenant(scene.play.owner.tenant_id, write=True) as session:
            await retry_item(
                session, _item(scene, change), by_user_id=scene.play.owner.user_id, now=scene.runtime.now()
            )

    await scene.wiring.db.unit(click)


async def _ask_to_recreate(scene: Scene, change: Change) -> bool:
    async def click() -> bool:
        async with scene.wiring.db.tenant(scene.play.owner.tenant_id, write=True) as session:
            return await recreate(
                session, _item(scene, change), by_user_id=scene.play.owner.user_id, now=scene.runtime.now()
            )

    return bool(await scene.wiring.db.unit(click))


def _item(scene: Scene, change: Change) -> UUID:
    ledger = Ledger(scene)
    try:
        ours = "SELECT id FROM sync_item WHERE kind = ? AND source_id = ? AND connection_id = ?"
        return UUID(ledger.all(ours, *change.item, scene.play.books_id.hex)[0]["id"])
    finally:
        ledger.database.close()
