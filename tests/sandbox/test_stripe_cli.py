"""Stripe's own command line drives the stand-in: its request sequences were not written by us."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.stripe_harness import SCHEMA_FILE, Running, schema_problems

STRIPE = os.environ.get("STRIPE_CLI") or shutil.which("stripe")

TRIGGERS = [
    "account.application.deauthorized",
    "account.updated",
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.failed",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "credit_note.created",
    "credit_note.voided",
    "customer.created",
    "customer.deleted",
    "customer.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.sent",
    "invoice.voided",
    "invoiceitem.created",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "payment_link.created",
    "payment_method.attached",
    "payout.created",
    "payout.updated",
    "price.created",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "setup_intent.succeeded",
    "tax_rate.created",
    "topup.created",
    "transfer.created",
    "transfer.reversed",
]


@pytest.mark.slow
@pytest.mark.skipif(STRIPE is None, reason="no Stripe CLI: put `stripe` on the PATH or its path into STRIPE_CLI")
async def test_stripe_trigger_makes_each_event(running: Running, tmp_path: Path) -> None:
    problems = {}
    for event in TRIGGERS:
        code, text = await asyncio.to_thread(trigger, running.url, event, tmp_path)
        if code != 0 or "Trigger succeeded" not in text:
            problems[event] = text[-400:]
    assert problems == {}
    await running.control.flush()
    told = set()
    for business in await running.control.accounts():
        for event in await running.control.events(business.id):
            told.add(event["type"])
            if SCHEMA_FILE.is_file():
                assert schema_problems(event) == [], event["type"]
    assert sorted(set(TRIGGERS) - told) == []
    platform = next(b for b in await running.control.accounts() if b.platform)
    assert (await running.control.ledger(platform.id)).problems == []


def trigger(url: str, event: str, home: Path) -> tuple[int, str]:
    """Run ``stripe trigger``; a dead proxy keeps its update check on this machine."""
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
    }
    done = subprocess.run(
        [str(STRIPE), "trigger", event, "--api-base", url, "--api-key", "sk_test_platform_sandbox"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
