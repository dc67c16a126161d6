"""What the worker writes down while it posts: a line for each attempt, ids only, nothing of a client (L1, L2)."""

import io
import json
from collections.abc import Iterator

import pytest

from core.db.models import Attempt
from core.intake.facts import Client, ServiceRef
from core.logging import FIELDS, configure_logging
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.core.sync.test_changed_facts import ON_SQLITE

CANARY = "canary7f3a"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    yield stream
    configure_logging("warning", tracebacks=True)


@ON_SQLITE
async def test_a_story_leaves_a_line_for_each_attempt_and_no_client(studio: Studio, log: io.StringIO) -> None:
    service = ServiceRef(PORTRAIT.key, f"{CANARY} portrait")
    client = Client("cus_1", "cus_1", f"{CANARY} Berg", f"{CANARY}@example.com", f"+1 {CANARY}")
    facts = {"service": service, "client": client, "description": CANARY, "paid_with": CANARY}
    await studio.pay(sale(1, **facts))
    await studio.quiet()
    await studio.map(PORTRAIT.key, "Session income")
    studio.ledger.books.set_account_active(studio.accounts["Stripe clearing"], active=False)
    payment_id = await studio.pay(sale(2, **facts))
    await studio.quiet()
    studio.ledger.books.set_account_active(studio.accounts["Stripe clearing"], active=True)
    await studio.retry(payment_id)
    await studio.quiet()
    written = log.getvalue()
    assert CANARY not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert all(line.keys() <= FIELDS for line in lines)
    attempts = [line for line in lines if line["event"] == "attempt"]
    kept = [row for row in await studio.rows(Attempt) if row.outcome != "retry_asked"]
    assert sorted((line["item_id"], line["outcome"]) for line in attempts) == sorted(
        (str(row.item_id), row.outcome.value) for row in kept
    )
    assert {"confirmed", "stopped"} <= {line["outcome"] for line in attempts}
    assert {line["provider"] for line in attempts} == {"mock"}
