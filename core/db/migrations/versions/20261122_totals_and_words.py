"""totals and words: what the payments page reads instead of every payment."""

import re
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from alembic import op

import core.db.types

revision: str = "23bb59cb1685"
down_revision: str | None = "c41d7a90be26"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_BATCH = 2_000
_STOPPED = "state = 'needs_attention'"
_OFF = "read_state IN ('changed', 'gone')"

# What a row adds to its totals; {p} stands for the row, {sign} for + or -.
_GROSS = "coalesce({p}.settled_minor, {p}.amount_minor)"
_SETTLED_IN = "coalesce({p}.settled_currency, {p}.currency)"
_CHANGED = (
    "state",
    "book_date",
    "amount_minor",
    "currency",
    "settled_minor",
    "settled_currency",
    "fee_minor",
    "refunded_minor",
)

# PostgreSQL: a row of totals that another transaction holds is left alone and one beside it is taken, or opened. So
# nobody waits for a total, whatever the order in which payments change, and there are never more rows for the same
# total than transactions that ran at once.
_ADD_ON_POSTGRES = """
CREATE FUNCTION tieout_add_to_totals(p payment, times integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place record;
    free bigint;
    settled text := coalesce(p.settled_currency, p.currency);
    gross bigint := times * coalesce(p.settled_minor, p.amount_minor);
    fee bigint := times * coalesce(p.fee_minor, 0);
    refunded bigint := times * p.refunded_minor;
BEGIN
    FOR place IN SELECT * FROM (
        VALUES ('day', p.book_date), ('month', date_trunc('month', p.book_date)::date)
    ) AS places (span, first_day) LOOP
        SELECT t.slot INTO free FROM payment_total t
        WHERE t.tenant_id = p.tenant_id AND t.span = place.span AND t.first_day = place.first_day
            AND t.state = p.state AND t.currency = p.currency AND t.settled_currency = settled
        LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE payment_total t SET
                payments = t.payments + times, gross_minor = t.gross_minor + gross,
                fee_minor = t.fee_minor + fee, refunded_minor = t.refunded_minor + refunded
            WHERE t.tenant_id = p.tenant_id AND t.span = place.span AND t.first_day = place.first_day
                AND t.state = p.state AND t.currency = p.currency AND t.settled_currency = settled AND t.slot = free;
        ELSE
            -- A workspace that is being removed takes its totals with it.
            INSERT INTO payment_total
            SELECT p.tenant_id, place.span, place.first_day, p.state, p.currency, settled,
                (random() * 9007199254740991)::bigint, times, gross, fee, refunded
            WHERE EXISTS (SELECT 1 FROM tenant WHERE id = p.tenant_id);
        END IF;
    END LOOP;
END $$
"""
_KEEP_TOTALS_ON_POSTGRES = """
CREATE FUNCTION tieout_keep_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN PERFORM tieout_add_to_totals(OLD, -1); END IF;
    IF TG_OP <> 'DELETE' THEN PERFORM tieout_add_to_totals(NEW, 1); END IF;
    RETURN NULL;
END $$
"""
_KEEP_WORDS_ON_POSTGRES = """
CREATE FUNCTION tieout_keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM payment_word
        WHERE tenant_id = OLD.tenant_id AND paid_at = OLD.paid_at AND payment_id = OLD.id
            AND word = ANY (SELECT left(w, 64) FROM unnest(string_to_array(OLD.search, ' ')) AS w);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO payment_word (tenant_id, word, paid_at, payment_id)
        SELECT DISTINCT NEW.tenant_id, left(w, 64), NEW.paid_at, NEW.id
        FROM unnest(string_to_array(NEW.search, ' ')) AS w WHERE w <> '';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Make the tables, fill them from what is there, and let triggers keep them from here on."""
    _make_tables()
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_payment_stopped",
            ["tenant_id", "reason"],
            unique=False,
            sqlite_where=sa.text(_STOPPED),
            postgresql_where=sa.text(_STOPPED),
        )
    with op.batch_alter_table("books_document", schema=None) as batch_op:
        batch_op.create_index(
            "ix_books_document_off",
            ["tenant_id", "item_id"],
            unique=False,
            sqlite_where=sa.text(_OFF),
            postgresql_where=sa.text(_OFF),
        )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    _fill_totals(is_sqlite)
    for statement in _sqlite_triggers() if is_sqlite else _postgres_triggers():
        op.execute(sa.text(statement.replace(":", "\\:")))
    _split_words()


def downgrade() -> None:
    """Take them away; ``search`` stays as it is, which the version before can read."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for event in ("insert", "update", "delete"):
        for kept in ("totals", "words"):
            op.execute(f"DROP TRIGGER payment_{kept}_{event}" + ("" if is_sqlite else " ON payment"))
    if not is_sqlite:
        op.execute("DROP FUNCTION tieout_keep_totals()")
        op.execute("DROP FUNCTION tieout_keep_words()")
        op.execute("DROP FUNCTION tieout_add_to_totals(payment, integer)")
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.drop_index("ix_payment_stopped", sqlite_where=sa.text(_STOPPED), postgresql_where=sa.text(_STOPPED))
    with op.batch_alter_table("books_document", schema=None) as batch_op:
        batch_op.drop_index("ix_books_document_off", sqlite_where=sa.text(_OFF), postgresql_where=sa.text(_OFF))
    op.drop_table("payment_total")
    op.drop_table("payment_word")


def _make_tables() -> None:
    op.create_table(
        "payment_word",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column(
            "word",
            sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("paid_at", core.db.types.UTCDateTime(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "word", "paid_at", "payment_id", name=op.f("pk_payment_word")),
        sqlite_with_rowid=False,
    )
    states = ("waiting", "syncing", "synced", "needs_attention", "ignored", "undone")
    op.create_table(
        "payment_total",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("span", sa.Enum("day", "month", name="span", native_enum=False, length=32), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("state", sa.Enum(*states, name="paymentstate", native_enum=False, length=32), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("settled_currency", sa.String(length=3), nullable=False),
        sa.Column("slot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payment_total_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id",
            "span",
            "first_day",
            "state",
            "currency",
            "settled_currency",
            "slot",
            name=op.f("pk_payment_total"),
        ),
        sqlite_with_rowid=False,
    )


def _fill_totals(is_sqlite: bool) -> None:
    month = "strftime('%Y-%m-01', p.book_date)" if is_sqlite else "CAST(date_trunc('month', p.book_date) AS date)"
    settled_in, gross = _SETTLED_IN.format(p="p"), _GROSS.format(p="p")
    for span, first_day in (("day", "p.book_date"), ("month", month)):
        op.execute(
            f"INSERT INTO payment_total SELECT p.tenant_id, '{span}', {first_day}, p.state, p.currency, {settled_in}, "  # noqa: S608 - our own names
            f"0, count(*), sum({gross}), sum(coalesce(p.fee_minor, 0)), sum(p.refunded_minor) "
            f"FROM payment p GROUP BY p.tenant_id, {first_day}, p.state, p.currency, {settled_in}"
        )


def _postgres_triggers() -> Iterator[str]:
    yield _ADD_ON_POSTGRES
    yield _KEEP_TOTALS_ON_POSTGRES
    yield _KEEP_WORDS_ON_POSTGRES
    changed = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in _CHANGED)
    moved = "OLD.search IS DISTINCT FROM NEW.search OR OLD.paid_at IS DISTINCT FROM NEW.paid_at"
    for kept, when in (("totals", changed), ("words", moved)):
        for event, condition in (("insert", ""), ("update", f"WHEN ({when})"), ("delete", "")):
            yield (
                f"CREATE TRIGGER payment_{kept}_{event} AFTER {event.upper()} ON payment FOR EACH ROW {condition} "
                f"EXECUTE FUNCTION tieout_keep_{kept}()"
            )


def _sqlite_triggers() -> Iterator[str]:
    changed = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in _CHANGED)
    moved = "OLD.search IS NOT NEW.search OR OLD.paid_at IS NOT NEW.paid_at"
    totals, words = (_add_on_sqlite, changed), (_words_on_sqlite, moved)
    for kept, (write, when) in (("totals", totals), ("words", words)):
        yield _sqlite_trigger(kept, "insert", "", write("NEW", "+"))
        yield _sqlite_trigger(kept, "update", f"WHEN {when}", write("OLD", "-") + write("NEW", "+"))
        yield _sqlite_trigger(kept, "delete", "", write("OLD", "-"))


def _sqlite_trigger(kept: str, event: str, when: str, body: str) -> str:
    return (
        f"CREATE TRIGGER payment_{kept}_{event} AFTER {event.upper()} ON payment FOR EACH ROW {when} BEGIN {body} END"
    )


def _add_on_sqlite(p: str, sign: str) -> str:
    settled_in, gross = _SETTLED_IN.format(p=p), _GROSS.format(p=p)
    amounts = f"{sign}1, {sign}{gross}, {sign}coalesce({p}.fee_minor, 0), {sign}{p}.refunded_minor"
    names = ("payments", "gross_minor", "fee_minor", "refunded_minor")
    summed = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    return "".join(
        # A workspace that is being removed takes its totals with it.
        f"INSERT INTO payment_total SELECT {p}.tenant_id, '{span}', {day}, {p}.state, {p}.currency, {settled_in}, 0, "  # noqa: S608 - our own names
        f"{amounts} WHERE EXISTS (SELECT 1 FROM tenant WHERE id = {p}.tenant_id) "
        f"ON CONFLICT (tenant_id, span, first_day, state, currency, settled_currency, slot) DO UPDATE SET {summed}; "
        for span, day in (("day", f"{p}.book_date"), ("month", f"strftime('%Y-%m-01', {p}.book_date)"))
    )


def _words_on_sqlite(p: str, sign: str) -> str:
    # The words as a list in JSON: there is no other way to split a text inside a trigger.
    split = f"SELECT substr(value, 1, 64) FROM json_each('[' || replace(json_quote({p}.search), ' ', '\",\"') || ']')"  # noqa: S608 - our own names
    if sign == "-":
        return (
            f"DELETE FROM payment_word WHERE tenant_id = {p}.tenant_id AND paid_at = {p}.paid_at "  # noqa: S608 - our own names
            f"AND payment_id = {p}.id AND word IN ({split}); "
        )
    return (
        f"INSERT INTO payment_word SELECT DISTINCT {p}.tenant_id, word, {p}.paid_at, {p}.id "  # noqa: S608 - our own names
        f"FROM ({split.replace(' FROM', ' AS word FROM', 1)}) WHERE word <> ''; "
    )


def _split_words() -> None:
    """Write ``search`` anew as words, from which the triggers make the rows of ``payment_word``."""
    payment = sa.table("payment", sa.column("id", sa.Uuid()), sa.column("search", sa.Text()))
    bind, after = op.get_bind(), None
    rewrite = sa.update(payment).where(payment.c.id == sa.bindparam("row")).values(search=sa.bindparam("words"))
    while True:
        statement = sa.select(payment.c.id, payment.c.search).order_by(payment.c.id).limit(_BATCH)
        rows = bind.execute(statement if after is None else statement.where(payment.c.id > after)).all()
        if rows:
            # Emptied first: the trigger makes rows of what changes, and some texts stay as they are.
            bind.execute(rewrite, [{"row": row.id, "words": ""} for row in rows])
            bind.execute(rewrite, [{"row": row.id, "words": _words(row.search)} for row in rows])
            after = rows[-1].id
        if len(rows) < _BATCH:
            return


def _words(text: str) -> str:
    """Return each word, and what follows each mark inside of it: "o'neil" is found by "neil" as well."""
    found: dict[str, None] = {}
    for chunk in text.split():
        whole = re.sub(r"^\W+", "", chunk)
        found[whole] = None
        if not re.fullmatch(r"[0-9.,]+", whole):
            found.update(dict.fromkeys(whole[match.end() :] for match in re.finditer(r"\W+", whole)))
    return " ".join(word for word in found if word)
