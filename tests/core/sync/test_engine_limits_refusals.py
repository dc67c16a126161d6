"""Refusals of what is no sale (F20), each kind for itself: nothing is written, nothing is lost."""

from sqlalchemy import select

from core.books.roles import AccountRole
from core.db.models import ItemKind, ItemState, SyncItem
from core.reasons import Reason
from tests.core.sync.test_refusals import SERVICE, Scene, Stage, everywhere, stage

__all__ = ["stage"]


async def stopped(scene: Scene) -> dict[ItemKind, Reason | None]:
    """Return what needs a person, with its reason."""
    play = scene.play
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        needing = select(SyncItem).where(
            SyncItem.connection_id == play.books_id, SyncItem.state == ItemState.NEEDS_ATTENTION
        )
        return {row.kind: row.reason for row in (await session.execute(needing)).scalars()}


async def sold_with_a_fee(scene: Scene) -> dict[str, int]:
    """Sell before anything is wrong; return the balances then. The fee of that day is not booked yet."""
    await scene.story.sell("R1", scene.story.line(SERVICE, 40_000, 8.25), fee=1_200)
    await scene.settle()
    return await scene.play.balances()


async def everything_else(scene: Scene) -> None:
    """Give a part back, pay the rest out, and let the day of fees end."""
    await scene.story.refund("R2", "R1", 5_000)
    await scene.settle()
    await scene.story.pay_out("R3")
    await scene.play.next_day()


async def stands_once(scene: Scene) -> None:
    play = scene.play
    assert await play.open_items() == []
    assert await stopped(scene) == {}
    assert await play.clearing() == await play.stripe_balance()
    balances = await play.balances()
    await scene.retry()
    await play.next_day()
    assert await play.balances() == balances


@everywhere
async def test_a_closed_period_holds_refund_fees_and_payout_each_for_itself(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        before = await sold_with_a_fee(scene)
        await scene.hand.close_books("2026-03-31")
        await everything_else(scene)
        kinds = (ItemKind.REFUND, ItemKind.FEES, ItemKind.PAYOUT)
        assert await stopped(scene) == dict.fromkeys(kinds, Reason.PERIOD_CLOSED)
        await scene.retry()
        assert await scene.play.balances() == before
        await scene.hand.close_books(None)
        assert await scene.retry() == len(kinds)
        await stands_once(scene)


@everywhere
async def test_an_archived_fee_account_stops_the_fees_alone(stage: Stage, kind: str) -> None:
    """In one round with a refund and a payout: those stand, the one that is refused names its account."""
    async with stage(kind) as scene:
        await sold_with_a_fee(scene)
        fees = next(name for name in scene.play.accounts if name.casefold().startswith("stripe fees"))
        account = scene.play.accounts[fees]
        if account == fees:
            account = await account_of(scene, fees)
        await scene.hand.archive_account(account)
        await everything_else(scene)
        assert await stopped(scene) == {ItemKind.FEES: Reason.ACCOUNT_INACTIVE}
        await scene.hand.restore_account(account)
        await scene.play.role(AccountRole.FEES, account)
        await scene.settle()
        await stands_once(scene)


async def account_of(scene: Scene, name: str) -> str:
    found = [
        one.external_id for one in await scene.play.provider.list_accounts() if one.name.casefold() == name.casefold()
    ]
    return found[0]
