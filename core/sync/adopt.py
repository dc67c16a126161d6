"""Adopting: after a restore from a backup, everything is looked up in the books before it is sent for the first time.

The books know more than an old database does. Documents that were posted after the backup stand there under references
that follow from the business facts; sent again without a look, they would stand there twice (F31).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from core.db.models import POSTED_KINDS, Connection, ConnectionStatus, ItemKind, ItemState, SyncItem, Tenant
from core.db.session import Database

OPTION, YES = "adopt", "yes"
_ROUNDS = frozenset({ItemKind.KEEP_ALIVE, ItemKind.VERIFY, ItemKind.DRY_RUN})
"""These post nothing and find nothing to post."""


@dataclass(frozen=True, slots=True)
class Adopting:
    """One set of books.

    Attributes:
        connection_id: theirs.
        workspace: whose they are.
        books: what the company is called.
        is_on: whether everything is looked up there before it is sent for the first time.
        is_closed: they are no longer connected; what waits there goes on should they come back.
        undone: how many items may still send something for the first time there.
    """

    connection_id: UUID
    workspace: str
    books: str
    is_on: bool
    is_closed: bool
    undone: int


async def list_adopting(db: Database, tenant_id: UUID | None = None) -> list[Adopting]:
    """Return every set of books, those of one tenant or of all."""
    # Across tenants on purpose: a database is restored as a whole, by whoever runs the installation.
    async with db.system() as session:
        now = await db.now(session)
        stripe = aliased(Connection)
        of_stripe = select(stripe.id).where(stripe.tenant_id == SyncItem.tenant_id, stripe.kind == "stripe")
        count = (
            select(func.count(SyncItem.id))
            .where(
                SyncItem.tenant_id == Connection.tenant_id,
                SyncItem.kind.not_in(_ROUNDS),
                # Its own, and Stripe's, which may make more. What waits in other books is looked up there.
                or_(SyncItem.connection_id == Connection.id, SyncItem.connection_id.in_(of_stripe)),
                or_(
                    SyncItem.due_at <= now,
                    SyncItem.state == ItemState.BLOCKED,
                    # A person may let it go on one day, and the person before the restore may have done so already.
                    (SyncItem.state == ItemState.NEEDS_ATTENTION) & SyncItem.kind.in_(POSTED_KINDS),
                ),
            )
            .correlate(Connection)
            .scalar_subquery()
        )
        statement = (
            select(Connection, Tenant.name, count)
            .join(Tenant, Tenant.id == Connection.tenant_id)
            .where(_is_books(tenant_id))
            .order_by(Tenant.name, Connection.created_at)
        )
        return [
            Adopting(
                connection_id=row.id,
                workspace=name,
                books=row.external_name,
                is_on=(row.options or {}).get(OPTION) == YES,
                is_closed=row.status is ConnectionStatus.CLOSED,
                undone=undone,
            )
            for row, name, undone in await session.execute(statement)
        ]


async def set_adopting(db: Database, connection_ids: Sequence[UUID], *, is_on: bool) -> None:
    """Begin or end to look before every first sending. A worker heeds it from its next lease on."""

    async def work() -> None:
        # Across tenants on purpose: see list_adopting.
        async with db.system(write=True) as session:
            statement = select(Connection).where(Connection.id.in_(connection_ids)).with_for_update()
            for row in (await session.execute(statement)).scalars():
                others = {name: value for name, value in (row.options or {}).items() if name != OPTION}
                row.options = {**others, OPTION: YES} if is_on else others

    await db.unit(work)


def _is_books(tenant_id: UUID | None) -> ColumnElement[bool]:
    is_books = Connection.kind != "stripe"
    return is_books if tenant_id is None else is_books & (Connection.tenant_id == tenant_id)
