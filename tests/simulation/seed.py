"""One seed: things happen, things go wrong, everything heals, and then the books must hold what Stripe holds."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from random import Random
from typing import Any

from sqlalchemy import select

from core.books.roles import FeeStyle, SaleStyle
from core.db.models import ConnectionStatus, ItemState, SyncItem
from core.sync.acts import retry_item
from tests.histories import _KINDS, History
from tests.simulation import disk
from tests.simulation.amends import make_amends
from tests.simulation.catalogue import hit
from tests.simulation.check import check
from tests.simulation.scene import Scene
from tests.simulation.stage import Theatre
from tests.simulation.troubles import draw

KINDS = ("quickbooks", "xero", "quickbooks", "xero", "mock")
STYLES = tuple((sale, fee) for sale in SaleStyle for fee in (*FeeStyle, FeeStyle.PER_CHARGE, FeeStyle.PER_PAYOUT))
"""Fees by the day are drawn half as often: they make a seed wait for the end of its days."""
FIRST: tuple[Callable[[History], Awaitable[None]], ...] = (
    *[History.sell] * 3, *[History.sell_abroad] * 2, History.sell_slowly
)  # fmt: skip
SETTLES_H = 76
"""In this time slow money settles, payouts arrive and fees of every day so far are due."""
SOON_H = 1.5
"""In this time whatever no event told of is found, and what was tried in vain is tried again."""
QUICK = {"sell", "sell_abroad"}
"""Deeds after which nothing happens by itself, unless the fees of a day are booked when it is over."""
ROUNDS = 16
STANDING = ("catch_up", "sweep", "keep_alive", "verify", "changes")


def kind_of(seed: int) -> str:
    """Which books a seed plays with."""
    return KINDS[seed % len(KINDS)]


async def play(theatre: Theatre, seed: int, words: list[str]) -> None:
    """Play one seed on a fresh theatre, and put down in ``words`` what it is about.

    Raises:
        AssertionError: something of N1-N10 or I1-I8 does not hold.
    """
    theatre.begin(seed)
    dice = Random(seed * 7919 + 1)
    scene = Scene(theatre, dice)
    history = theatre.history
    styles = dice.choice(STYLES)
    if styles != history.styles:
        await theatre.choose(styles)
    deeds = dice.choice((1, 1, 1, 1, 1, 1, 2, 3))
    troubles = draw(dice, theatre.kind, dice.choice((1, 1, 2, 2, 3)))
    words += [theatre.kind, *(one.__name__ for one in troubles)]
    when = [dice.randrange(deeds) for _ in troubles]
    told = len(words)
    for number in range(deeds):
        for trouble, slot in zip(troubles, when, strict=True):
            if slot == number:
                await trouble(scene, dice)
        await _happen(history, dice, scene, words, is_first=number == 0)
        await scene.work()
        theatre.runtime.forward(hours=dice.choice((0, 0.1, 0.5, 11)))
    await heal(scene)
    takes_days = not QUICK.issuperset(words[told:]) or styles[1] is FeeStyle.DAILY or scene.changes
    await come_to_rest(scene, hours=SETTLES_H if takes_days or dice.random() < 0.2 else SOON_H)
    if await make_amends(scene):
        await come_to_rest(scene, hours=0.1)
    await check(scene)


async def _happen(history: History, dice: Random, scene: Scene, words: list[str], *, is_first: bool) -> None:
    many = 3 if scene.wants_many else 1
    scene.wants_many = False
    for _ in range(many):
        deed = dice.choice(FIRST[:5]) if many > 1 else dice.choice(FIRST if is_first else _KINDS)
        words.append(deed.__name__)
        await deed(history)


async def heal(scene: Scene) -> None:
    """Let everything work again, as it does after every outage; what a person must do is done later."""
    last, scene.last = scene.last, []
    scene.database.heal()
    for act in last:
        await act()
    scene.database.heal()
    scene.sandbox.faults.clear()
    scene.wire.spoils.clear()
    scene.wire.dies_after_write, scene.wire.is_turbulent = None, False
    await scene.knobs()
    if scene.clock_ahead_s:
        scene.mend_clock()
    if scene.is_closed:
        await scene.hand.close_books(None)
    for account in dict.fromkeys(scene.archived):
        await scene.hand.restore_account(account)


async def come_to_rest(scene: Scene, *, hours: float) -> None:
    """Let time go by until nothing is open; a person does what the product asks for."""
    theatre = scene.theatre
    theatre.runtime.forward(hours=hours)
    await theatre.quiet()
    for number in range(ROUNDS):
        if not open_items(theatre.runtime.now()) and not _wants_sign_in():
            return
        await _do_what_is_asked(scene)
        theatre.runtime.forward(seconds=(20, 600, 4 * 3600, 25 * 3600)[min(number // 3, 3)])
        await theatre.quiet()


def _wants_sign_in() -> bool:
    """Whether the pages ask for a sign-in, which a person gives though nothing waits for it."""
    database = disk.peek()
    try:
        return bool(database.execute("SELECT count(*) FROM connection WHERE status = 'needs_reconnect'").fetchone()[0])
    finally:
        database.close()


async def _do_what_is_asked(scene: Scene) -> None:
    """Sign in again, and click retry on what waits for a click."""
    play = scene.play
    async with scene.wiring.db.tenant(play.owner.tenant_id) as session:
        from core.db.models import Connection

        connection = await session.get_one(Connection, play.books_id)
        stopped = select(SyncItem.id).where(SyncItem.state == ItemState.NEEDS_ATTENTION, SyncItem.kind.not_in(STANDING))
        ids = (await session.execute(stopped)).scalars().all()
    if connection.status is ConnectionStatus.NEEDS_RECONNECT:
        hit("F17")
        await scene.connect(play.company)
    for item_id in ids:
        await _retry(scene, item_id)


async def _retry(scene: Scene, item_id: Any) -> None:
    async def click() -> None:
        async with scene.wiring.db.tenant(scene.play.owner.tenant_id, write=True) as session:
            item = await session.get_one(SyncItem, item_id)
            if item.reason is not None and item.reason.value == "changed_in_books":
                return
            await retry_item(session, item_id, by_user_id=scene.play.owner.user_id, now=scene.runtime.now())

    await scene.wiring.db.unit(click)


def open_items(now: datetime) -> list[dict[str, Any]]:
    """Return what is not settled ``now``, by the database alone; rounds count where they are overdue."""
    moment = now.strftime("%Y-%m-%d %H:%M:%S.%f")
    database = disk.peek()
    try:
        rows = database.execute(
            "SELECT i.kind, i.source_id, i.state, i.reason, i.reason_detail, i.provider_text, i.due_at, i.tries,"
            " i.due_at <= ? AS is_due"
            " FROM sync_item i JOIN connection c ON c.id = i.connection_id"
            " WHERE i.state NOT IN ('done', 'ignored') AND c.status <> 'closed'"
            f" AND (i.kind NOT IN ({', '.join('?' * len(STANDING))}) OR i.due_at <= ?)", (moment, *STANDING, moment),
        ).fetchall()  # fmt: skip
    finally:
        database.close()
    return [dict(row) for row in rows if row["reason"] != "changed_in_books" and not _only_looks_again(row)]


def _only_looks_again(row: Any) -> bool:
    """What may still change at Stripe is read again some days later: nothing waits for that, until it is overdue."""
    is_at_rest = row["state"] == "pending" and not row["reason"] and not row["tries"]
    return str(row["kind"]).startswith("fetch_") and is_at_rest and not row["is_due"]
