"""what changed in the books."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import core.db.types

revision: str = "c41d7a90be26"
down_revision: str | None = "5e0c7d91ab42"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "others_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("account_id", sa.String(length=255), nullable=False),
        sa.Column("effect_minor", sa.BigInteger(), nullable=True),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("seen_at", core.db.types.UTCDateTime(), nullable=False),
        sa.Column("changed_at", core.db.types.UTCDateTime(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connection.tenant_id", "connection.id"],
            name=op.f("fk_others_entry_tenant_id_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_others_entry")),
        sa.UniqueConstraint(
            "tenant_id",
            "connection_id",
            "word",
            "external_id",
            name=op.f("uq_others_entry_tenant_id_connection_id_word_external_id"),
        ),
    )
    with op.batch_alter_table("books_document", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "read_drift",
                sa.Enum(
                    "deleted",
                    "voided",
                    "edited",
                    "dated",
                    "moved",
                    "unpaid",
                    name="drift",
                    native_enum=False,
                    length=32,
                ),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("read_version", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("read_open_minor", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("read_effect_minor", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.add_column(sa.Column("changes_mark", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("changes_read_at", core.db.types.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("changes_lost_at", core.db.types.UTCDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.drop_column("changes_lost_at")
        batch_op.drop_column("changes_read_at")
        batch_op.drop_column("changes_mark")
    with op.batch_alter_table("books_document", schema=None) as batch_op:
        batch_op.drop_column("read_effect_minor")
        batch_op.drop_column("read_open_minor")
        batch_op.drop_column("read_version")
        batch_op.drop_column("read_drift")
    op.drop_table("others_entry")
