"""queues that stay fair, and events that can be let go."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import core.db.types

revision: str = "5e0c7d91ab42"
down_revision: str | None = "7b675893056b"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STORED = sa.text("state = 'stored'")
_RETRY = sa.text("state = 'retry'")
_SETTLED = sa.text("state IN ('routed', 'ignored', 'unrouted')")
_QUEUED = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("stripe_event", sa.Column("due_at", core.db.types.UTCDateTime(), nullable=True))
    _partial("ix_stripe_event_turn", "stripe_event", ["account", "received_at"], _STORED)
    _partial("ix_stripe_event_retry", "stripe_event", ["due_at"], _RETRY)
    _partial("ix_stripe_event_settled", "stripe_event", ["received_at"], _SETTLED)
    _partial("ix_sync_item_queue", "sync_item", ["tenant_id", "connection_id", "due_at", "created_at", "id"], _QUEUED)
    _partial("ix_sync_item_next", "sync_item", ["due_at"], _QUEUED)
    op.drop_index("ix_sync_item_due", table_name="sync_item")


def downgrade() -> None:
    _partial("ix_sync_item_due", "sync_item", ["connection_id", "due_at"], _QUEUED)
    op.drop_index("ix_sync_item_next", table_name="sync_item")
    op.drop_index("ix_sync_item_queue", table_name="sync_item")
    op.drop_index("ix_stripe_event_settled", table_name="stripe_event")
    op.drop_index("ix_stripe_event_retry", table_name="stripe_event")
    op.drop_index("ix_stripe_event_turn", table_name="stripe_event")
    with op.batch_alter_table("stripe_event", schema=None) as batch_op:
        batch_op.drop_column("due_at")


def _partial(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
