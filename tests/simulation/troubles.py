"""What may go wrong in a seed. A trouble prepares itself; whether it really happens is counted elsewhere."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

from core.connections.books import refresh_books
from tests.simulation.oddities import ODD_SALES, ODDITIES, sell_oddly, send_poison
from tests.simulation.scene import Scene
from web.sandbox.faults import FaultKind, FaultRule

Trouble = Callable[[Scene, Random], Awaitable[None]]

BOOKS_PATH = r"/v3/company/|/api\.xro/"
TOKEN_PATH = r"/(token|bearer)$"
_RETRY_AFTER = ("3", "0", "-5", "soon", "70", "86400", "Sat, 07 Mar 2026 15:00:00 GMT", None)
_WRITE = {"quickbooks": "POST", "xero": "PUT"}


async def twins(scene: Scene, dice: Random) -> None:
    await scene.knobs(duplicates=dice.choice((1, 2)), twin=dice.random() < 0.5)


async def disorder(scene: Scene, dice: Random) -> None:
    await scene.knobs(shuffle=True, shuffle_window_s=dice.choice((5.0, 7200.0)))


async def silence(scene: Scene, dice: Random) -> None:
    await scene.knobs(drop=dice.choice((".", "charge", "refund", "payout", "payment_intent|checkout", "balance")))


async def odd_events(scene: Scene, dice: Random) -> None:
    kind = dice.choice(("other_mode", "unknown_account", "unknown_type", "old_api_version"))
    await scene.send_odd(kind)


async def poison(scene: Scene, dice: Random) -> None:
    await send_poison(scene, dice.choice(sorted(ODDITIES)))


async def nonsense(scene: Scene, dice: Random) -> None:
    scene.misshape()


async def refused_line(scene: Scene, dice: Random) -> None:
    provider = dice.choice(("stripe", scene.kind))
    scene.rule(FaultRule(kind=FaultKind.DROP_BEFORE_COMMIT, code="refused", provider=provider, **_luck(dice)))


async def cut_before(scene: Scene, dice: Random) -> None:
    provider = dice.choice(("stripe", scene.kind))
    scene.rule(FaultRule(kind=FaultKind.DROP_BEFORE_COMMIT, provider=provider, path=_path(provider), **_luck(dice)))


async def lost_answer(scene: Scene, dice: Random) -> None:
    kind = dice.choice(
        (FaultKind.DROP_AFTER_COMMIT, FaultKind.TRUNCATE, FaultKind.STATUS, FaultKind.HTML_500, FaultKind.JUNK)
    )
    scene.rule(_on_writes(scene, kind, after_commit=True, status=dice.choice((500, 502, 503, 504)), **_luck(dice)))


async def forgotten_keys(scene: Scene, dice: Random) -> None:
    scene.rule(_on_writes(scene, FaultKind.STATUS, after_commit=True, skip=dice.randint(0, 3), count=1))
    scene.in_the_middle(scene.forget_keys)


async def slow_down(scene: Scene, dice: Random) -> None:
    provider = dice.choice(("stripe", scene.kind, scene.kind))
    told = dice.choice(_RETRY_AFTER)
    scene.rule(
        FaultRule(kind=FaultKind.RATE_LIMIT, provider=provider, path=_path(provider), retry_after=told, **_luck(dice))
    )


async def storm(scene: Scene, dice: Random) -> None:
    provider = dice.choice(("stripe", scene.kind, scene.kind))
    rule = FaultRule(
        kind=FaultKind.STATUS, provider=provider, path=_path(provider), status=dice.choice((500, 503)),
        after_commit=dice.random() < 0.3, count=dice.randint(5, 9),
    )  # fmt: skip
    scene.rule(rule)
    scene.after_work(lambda: scene.work_for(hours=3, strides=8))


async def slowness(scene: Scene, dice: Random) -> None:
    provider = dice.choice(("stripe", scene.kind, scene.kind))
    kind = dice.choice((FaultKind.DELAY, FaultKind.HANG))
    rule = FaultRule(
        kind=kind,
        provider=provider,
        path=_path(provider),
        delay_s=25.0,
        after_commit=dice.random() < 0.5,
        **_luck(dice),
    )
    scene.rule(rule)


async def stale_token(scene: Scene, dice: Random) -> None:
    scene.expire_tokens()


async def two_refreshes(scene: Scene, dice: Random) -> None:
    scene.wire.is_turbulent = True

    async def both() -> None:
        scene.expire_tokens()
        await scene.beside_worker(lambda: _read_books(scene))

    scene.after_work(both)


async def lost_refresh(scene: Scene, dice: Random) -> None:
    scene.expire_tokens()
    kind = dice.choice((FaultKind.DROP_AFTER_COMMIT, FaultKind.TRUNCATE, FaultKind.HTML_500))
    scene.rule(FaultRule(kind=kind, provider=scene.kind, path=TOKEN_PATH, after_commit=True, count=dice.randint(1, 2)))


async def junk_tokens(scene: Scene, dice: Random) -> None:
    scene.expire_tokens()
    kind = dice.choice((FaultKind.JUNK, FaultKind.HTML_500, FaultKind.STATUS))
    rule = FaultRule(
        kind=kind, provider=scene.kind, path=TOKEN_PATH, status=dice.choice((400, 429, 500, 503)),
        count=dice.randint(1, 3),
    )  # fmt: skip
    scene.rule(rule)


async def revoked(scene: Scene, dice: Random) -> None:
    scene.revoke()


async def in_part(scene: Scene, dice: Random) -> None:
    scene.wants_many = True
    scene.spoil_bulk(dice.choice(("drop", "turn", "double")))


async def other_total(scene: Scene, dice: Random) -> None:
    scene.spoil_total()


async def closed_books(scene: Scene, dice: Random) -> None:
    day = scene.runtime.now() - timedelta(days=dice.choice((0, 1)))
    await scene.close_books((day + timedelta(days=1)).date().isoformat())


async def archived_account(scene: Scene, dice: Random) -> None:
    await scene.archive(dice.choice(("Session income", "Coaching income")))


async def by_hand(scene: Scene, dice: Random) -> None:
    scene.after_work(lambda: scene.change_in_books(dice.choice(("edit", "void", "delete"))))


async def other_mapping(scene: Scene, dice: Random) -> None:
    scene.rule(_on_writes(scene, FaultKind.STATUS, after_commit=dice.random() < 0.5, skip=dice.randint(0, 3), count=2))
    scene.in_the_middle(scene.change_mapping)


async def other_company(scene: Scene, dice: Random) -> None:
    scene.rule(_on_writes(scene, FaultKind.DROP_AFTER_COMMIT, skip=dice.randint(0, 4), count=2))
    scene.in_the_middle(scene.change_company)


async def impatience(scene: Scene, dice: Random) -> None:
    scene.rule(
        _on_writes(scene, FaultKind.STATUS, after_commit=dice.random() < 0.5, skip=dice.randint(0, 3), count=None)
    )
    scene.wire.is_turbulent = True
    scene.in_the_middle(scene.retry_five_times)


async def clock_steps(scene: Scene, dice: Random) -> None:
    seconds = dice.choice((-100, -250, -1000, -4000, 250, 4000))
    scene.step_clock_after(dice.randint(0, 12), seconds)


async def odd_amounts(scene: Scene, dice: Random) -> None:
    await sell_oddly(scene, dice.choice(sorted(ODD_SALES)))


async def locked(scene: Scene, dice: Random) -> None:
    scene.database.locked, scene.database.skip = dice.randint(1, 4), dice.randint(0, 25)


async def lost_commit(scene: Scene, dice: Random) -> None:
    scene.database.skip = dice.randint(0, 25)
    if dice.random() < 0.6:
        scene.database.lost = dice.randint(1, 2)
    else:
        scene.database.cut = dice.randint(1, 2)


async def full_disk(scene: Scene, dice: Random) -> None:
    # Few transactions need another page, and those alone find no room.
    scene.database.full, scene.database.skip = dice.randint(10, 80), dice.randint(0, 10)


async def deaf(scene: Scene, dice: Random) -> None:
    scene.intake_fails, scene.database.full = True, dice.randint(2, 40)


async def lost_commits(scene: Scene, dice: Random) -> None:
    scene.loses_commits = True


async def old_backup(scene: Scene, dice: Random) -> None:
    scene.keep_backup()
    scene.at_the_end(scene.restore_backup)


async def deploy(scene: Scene, dice: Random) -> None:
    scene.wire.is_turbulent = True
    scene.side_by_side = True


async def death(scene: Scene, dice: Random) -> None:
    scene.dies_in = dice.randint(0, 160)


async def death_after_write(scene: Scene, dice: Random) -> None:
    scene.wire.dies_after_write = dice.randint(1, 4)


async def _read_books(scene: Scene) -> None:
    await refresh_books(scene.wiring, tenant_id=scene.play.owner.tenant_id, connection_id=scene.play.books_id)


def _on_writes(scene: Scene, kind: FaultKind, **options: object) -> FaultRule:
    method = _WRITE.get(scene.kind)
    return FaultRule(kind=kind, provider=scene.kind, method=method, path=BOOKS_PATH, **options)  # type: ignore[arg-type]


def _path(provider: str) -> str:
    """Not the token endpoint: a lost answer there is a story of its own."""
    return r"^/v1/" if provider == "stripe" else BOOKS_PATH


def _luck(dice: Random) -> dict[str, int]:
    return {"skip": dice.randint(0, 3), "count": dice.randint(1, 2)}


EVERYWHERE: tuple[tuple[int, Trouble], ...] = (
    (3, twins), (2, disorder), (2, silence), (2, odd_events), (1, poison), (2, nonsense), (2, locked), (2, lost_commit),
    (2, full_disk), (3, deaf), (3, lost_commits), (3, old_backup), (3, deploy), (2, death), (2, clock_steps),
    (4, by_hand), (2, odd_amounts),
)  # fmt: skip
WITH_LINE: tuple[tuple[int, Trouble], ...] = (
    (3, refused_line), (1, cut_before), (3, lost_answer), (4, forgotten_keys), (3, slow_down), (3, storm),
    (2, slowness), (4, two_refreshes), (3, lost_refresh), (3, junk_tokens), (3, revoked), (6, in_part),
    (4, other_total), (3, closed_books), (2, archived_account), (4, other_mapping), (4, other_company), (5, impatience),
    (5, death_after_write), (2, stale_token),
)  # fmt: skip
"""Troubles of a line to books: the practice books have none."""


def draw(dice: Random, kind: str, many: int) -> list[Trouble]:
    """Draw so many different troubles."""
    known = EVERYWHERE if kind == "mock" else (*EVERYWHERE, *WITH_LINE)
    bag = [trouble for weight, trouble in known for _ in range(weight)]
    drawn: list[Trouble] = []
    while len(drawn) < many:
        one = dice.choice(bag)
        if one not in drawn:
            drawn.append(one)
    return drawn
