"""The independent judge: reads the sandbox's ledgers and our tables, and shares no rule with the product.

What is expected of the books is counted here from Stripe's own ledger, row by row.
"""

from collections import Counter
from typing import Any

from core.sync.adopt import Adopting, list_adopting
from tests.simulation import disk
from tests.simulation.catalogue import hit
from tests.simulation.scene import Scene

_ENTITIES = ("Invoice", "Payment", "SalesReceipt", "RefundReceipt", "Purchase", "Deposit", "Transfer", "CreditMemo")


class Ledger:
    """Stripe's ledger and our tables, read once."""

    def __init__(self, scene: Scene) -> None:
        account = scene.sandbox.stripe.world.accounts[scene.play.business]
        self.account = account
        self.rows: list[dict[str, Any]] = list(account.shelf("balance_transaction").oldest_first())
        self.payouts = {item["id"]: item for item in account.shelf("payout").oldest_first()}
        self.disputes = {item["id"]: item for item in account.shelf("dispute").oldest_first()}
        self.posted_minor = account.posted_minor.get("usd", 0)
        self.database = disk.peek()

    def all(self, sql: str, *values: Any) -> list[Any]:
        return self.database.execute(sql, values).fetchall()


async def check(scene: Scene) -> None:
    """Hold everything against N1-N10 and I1-I7.

    Raises:
        AssertionError: with what does not hold.
    """
    ledger = Ledger(scene)
    try:
        assert scene.wire.broken == [], scene.wire.broken
        _everything_ends(scene, ledger)
        _acked_is_stored(scene, ledger)
        waiting = _payouts_not_booked(ledger)
        fees_wait = _fees_not_booked(scene, ledger)
        _every_transaction_is_booked(scene, ledger, waiting, fees_wait)
        _documents_stand_once(scene, ledger)
        changes_are_named(scene, ledger)
        _adopting_can_end(scene, await list_adopting(scene.wiring.db))
        balances = await scene.play.balances()
        _balances_agree(scene, ledger, waiting, fees_wait, balances)
        _payouts_tie(ledger)
        _gross_agrees(ledger)
        _count_silent_faults(scene, ledger)
    finally:
        ledger.database.close()


def _everything_ends(scene: Scene, ledger: Ledger) -> None:
    """N8 and N9: nothing is under way for ever, and what is not in the books says why."""
    from tests.simulation.seed import open_items

    still_open = open_items(scene.runtime.now())
    assert still_open == [], still_open
    standing = ledger.all("SELECT kind, reason FROM sync_item WHERE state = 'working'")
    assert standing == [], [tuple(row) for row in standing]
    changed = {
        tuple(row) for row in ledger.all("SELECT kind, source_id FROM sync_item WHERE reason = 'changed_in_books'")
    }
    assert changed <= {change.item for change in scene.changes}, f"F21: nobody changed anything of {changed}"
    silent = ledger.all("SELECT source_id FROM payment WHERE state <> 'synced' AND reason IS NULL")
    assert silent == [], [tuple(row) for row in silent]
    # An item of the books that only a plan needed which facts or mapping have left behind is looked up should it ever
    # be needed again (F22).
    dropped = "EXISTS (SELECT 1 FROM books_document d WHERE d.item_id = i.id AND d.state = 'dropped')"
    unneeded = f"o.kind = 'item' AND i.state = 'done' AND {'true' if scene.has_other_mapping else dropped}"
    unsettled = ledger.all(
        "SELECT o.kind, o.state FROM operation o JOIN sync_item i ON i.id = o.item_id"
        f" WHERE o.state IN ('sent', 'uncertain') AND NOT ({unneeded})"
    )
    assert unsettled == [], [tuple(row) for row in unsettled]
    stored = ledger.all("SELECT type FROM stripe_event WHERE state = 'stored'")
    assert stored == [], "events were never routed"
    status = ledger.all("SELECT kind FROM connection WHERE status = 'needs_reconnect'")
    assert status == [], "N7: a connection stayed without access"


def _acked_is_stored(scene: Scene, ledger: Ledger) -> None:
    """N3: whatever was answered 200 is in the inbox."""
    stored = {row[0] for row in ledger.all("SELECT event_id FROM stripe_event")}
    missing = [event_id for event_id in scene.theatre.intake.acked if event_id not in stored]
    assert missing == [], f"N3: {missing}"


def _payouts_not_booked(ledger: Ledger) -> set[str]:
    """Return the payouts that have not arrived, and those that came back before they did."""
    booked = {
        row[0]
        for row in ledger.all(
            "SELECT DISTINCT i.source_id FROM sync_item i JOIN books_document d ON d.item_id = i.id"
            " WHERE i.kind = 'payout' AND d.state = 'posted'"
        )
    }
    waiting = set(ledger.payouts) - booked
    assert not any(ledger.payouts[name]["status"] == "paid" for name in waiting), "a paid payout is not in the books"
    return waiting


def _fees_not_booked(scene: Scene, ledger: Ledger) -> dict[str, int]:
    """Return the fees that wait for their payout, where fees are booked by payout; by balance transaction."""
    if scene.theatre.history.styles[1].value != "per_payout":
        return {}
    read = {row[0] for row in ledger.all("SELECT stripe_id FROM payout WHERE lines_read")}
    open_ = {row[0] for row in ledger.all("SELECT stripe_id FROM balance_transaction WHERE fee_item_id IS NULL")}
    may_wait = [row for row in ledger.rows if row.get("_payout") not in read and row["id"] in open_]
    return {row["id"]: row["fee"] for row in may_wait if not row["reporting_category"].startswith("dispute")}


def _every_transaction_is_booked(scene: Scene, ledger: Ledger, waiting: set[str], fees_wait: dict[str, int]) -> None:
    """N1 and I1: the lines of each balance transaction on clearing add up to its net, no more and no less."""
    sums = ledger.all(
        "SELECT l.stripe_balance_transaction_id, sum(l.amount_minor) FROM clearing_line l"
        " JOIN books_document d ON d.id = l.document_id WHERE d.state = 'posted' GROUP BY 1"
    )
    booked = {row[0]: int(row[1]) for row in sums if row[1]}
    wanted = {
        row["id"]: row["net"] + fees_wait.get(row["id"], 0) for row in ledger.rows if row["source"] not in waiting
    }
    wanted = {name: net for name, net in wanted.items() if net}
    assert booked == wanted, f"N1/I1: booked {booked}, Stripe {wanted}"


def _documents_stand_once(scene: Scene, ledger: Ledger) -> None:
    """N1: as many documents stand in the books as ours say, not one more; no client and no item is there twice."""
    ours = ledger.all(
        "SELECT count(*), count(DISTINCT external_id || kind) FROM books_document WHERE state = 'posted'"
    )[0]
    assert ours[0] == ours[1], "two documents of ours are one in the books"
    gone = sum(1 for change in scene.changes if change.how in ("void", "delete"))
    standing, names = _standing(scene)
    assert standing == ours[0] - gone, (
        f"N1: {standing} documents stand, {ours[0]} are known, {gone} were removed by hand"
    )
    assert len(names) == len(set(names)), f"N1: twice in the books: {sorted(names)}"


def _standing(scene: Scene) -> tuple[int, list[str]]:
    """Count documents, and list the names of clients and items, in the books themselves."""
    if scene.kind == "quickbooks":
        company = scene.sandbox.quickbooks.world.companies[scene.play.company]
        documents = [one for entity in _ENTITIES for one in company.records[entity].values() if not one.is_voided]
        names = [str(one.fields["DisplayName"]) for one in company.records["Customer"].values()]
        return len(documents), names + [str(one.fields["Name"]) for one in company.records["Item"].values()]
    if scene.kind == "xero":
        found = scene.sandbox.xero.world.organisations[scene.play.company]
        groups: tuple[Any, ...] = (
            found.invoices, found.credit_notes, found.payments, found.bank_transactions, found.bank_transfers
        )  # fmt: skip
        alive = [one for group in groups for one in group.values() if one.status not in ("VOIDED", "DELETED")]
        return len(alive), [one.name for one in found.contacts.values()]
    database = disk.peek(disk.NAMES + "practice.db")
    try:
        documents = database.execute("SELECT count(*) FROM document WHERE NOT is_voided").fetchone()[0]
        return int(documents), [row[0] for row in database.execute("SELECT name FROM customer")]
    finally:
        database.close()


def changes_are_named(scene: Scene, ledger: Ledger) -> None:
    """F21: what a person changed is said.

    Raises:
        AssertionError: it is not.
    """
    for change in scene.changes:
        what = (change.external_id, change.kind)
        row = ledger.all("SELECT read_state FROM books_document WHERE external_id = ? AND kind = ?", *what)
        if not row:
            # Posted after the backup: the restored database has found it changed, or has never seen it.
            assert scene.was_restored, "a document was forgotten"
            continue
        assert row[0]["read_state"] in ("changed", "gone"), f"F21: {change.how} of {change.kind} was not noticed"
        told = "SELECT 1 FROM sync_item WHERE kind = ? AND source_id = ? AND reason = 'changed_in_books'"
        assert ledger.all(told, *change.item), f"F21: {change.how} of {change.kind} was noticed and not said"
        hit("F21")
        hit(f"F21 {change.how} in {scene.kind}")


def _adopting_can_end(scene: Scene, books: list[Adopting]) -> None:
    """F31: whoever restored a backup said so, it is still so, and now it may end."""
    if not scene.was_restored:
        return
    for one in books:
        assert one.is_on, "F31: nobody looks before sending any more"
        may_end = scene.changes or one.is_closed or not one.undone
        assert may_end, f"F31: {one.undone} items keep the looking-up from its end"


def _balances_agree(
    scene: Scene, ledger: Ledger, waiting: set[str], fees_wait: dict[str, int], balances: dict[str, int]
) -> None:
    """N2, I3, I4, I7: every account holds what Stripe's ledger says, counted here."""
    expected = Counter[str]()
    in_transit = sum(row["net"] for row in ledger.rows if row["source"] in waiting)
    expected["Stripe clearing"] = ledger.posted_minor - in_transit + sum(fees_wait.values())
    open_ = {name for name, item in ledger.disputes.items() if item["status"] not in ("won", "lost", "warning_closed")}
    for row in ledger.rows:
        _count(row, waiting, fees_wait, open_, expected)
    for change in scene.changes:
        expected.update(change.effect)
    for name in (
        "Stripe clearing", "Checking", "Stripe fees", "Booking platform fees", "Dispute fees", "Stripe reserve",
        "Stripe disputes held", "Accounts receivable",
    ):  # fmt: skip
        assert balances.get(name, 0) == expected[name], (
            f"N2: {name} holds {balances.get(name, 0)}, not {expected[name]}"
        )
    history = scene.theatre.history
    if not scene.changes:
        assert abs(balances.get("Tax", 0) + history.tax) <= history.roundings, f"I4: tax {balances.get('Tax', 0)}"


def _count(
    row: dict[str, Any], waiting: set[str], fees_wait: dict[str, int], open_: set[str], expected: Counter[str]
) -> None:
    category, source = row["reporting_category"], row["source"]
    if category in ("payout", "payout_reversal") and source not in waiting:
        expected["Checking"] -= row["amount"]
    elif category == "fee":
        expected["Stripe fees"] -= row["amount"]
    elif category == "risk_reserved_funds":
        expected["Stripe reserve"] -= row["amount"]
    if source in open_:
        expected["Stripe disputes held"] -= row["amount"]
    for part in row["fee_details"] if row["id"] not in fees_wait else ():
        name = "Booking platform fees" if part["type"] == "application_fee" else "Stripe fees"
        expected["Dispute fees" if category.startswith("dispute") else name] += part["amount"]


def _payouts_tie(ledger: Ledger) -> None:
    """I2: the breakdown of every automatic payout was read and adds up to it."""
    for row in ledger.all("SELECT * FROM payout WHERE automatic AND status = 'paid'"):
        within = sum(
            one["net"]
            for one in ledger.rows
            if one.get("_payout") == row["stripe_id"] and one["source"] != row["stripe_id"]
        )
        assert row["lines_read"], "I2: a payout was not read"
        assert row["lines_minor"] == row["amount_minor"] == within, f"I2: {row['stripe_id']}"


def _gross_agrees(ledger: Ledger) -> None:
    """I5: what was invoiced is what clients paid by Stripe's count, before all fees."""
    gross = ledger.all(
        "SELECT coalesce(sum(d.total_minor), 0) FROM books_document d JOIN sync_item i ON i.id = d.item_id"
        " WHERE i.kind = 'sale' AND d.state = 'posted' AND d.kind IN ('invoice', 'sales_receipt')"
    )[0][0]
    charged = sum(row["amount"] for row in ledger.rows if row["reporting_category"] == "charge")
    assert gross == charged, f"I5: {gross} invoiced, {charged} charged"


def _count_silent_faults(scene: Scene, ledger: Ledger) -> None:
    """Count the faults that show only here: events that never came, events nobody could read, amounts that round."""
    told = set(scene.theatre.intake.acked)
    if any(event["id"] not in told for event in ledger.account.shelf("event").oldest_first()):
        hit("F3")
    for _ in ledger.all("SELECT 1 FROM stripe_event WHERE state = 'poison'"):
        hit("F33")
    if any(row["exchange_rate"] or row["fee"] > abs(row["amount"]) > 0 for row in ledger.rows):
        hit("F25")
