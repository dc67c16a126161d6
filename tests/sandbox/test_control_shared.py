"""Clock, log and the page for people."""

import re

import httpx
import pytest

from tests.runtime import VirtualRuntime
from tests.sandbox.stripe_harness import Running
from web.sandbox.app import create_sandbox
from web.sandbox.client import SandboxClient, SandboxError
from web.sandbox.settings import SandboxSettings


async def test_the_clock_only_moves_forward(running: Running) -> None:
    before = await running.control.clock()
    after = await running.control.advance(days=2)
    assert after["now"] - before["now"] == pytest.approx(2 * 86_400, abs=2)
    with pytest.raises(SandboxError, match="only moves forward"):
        await running.control.advance(seconds=-1)


async def test_the_log_names_who_asked_for_what(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await running.control.record_bodies()
    await running.http.post(
        running.url + "/v1/customers?x=1",
        data={"name": "Ann"},
        auth=(business.secret_key, ""),
        headers={"idempotency-key": "k1"},
    )
    (entry,) = await running.control.log(provider="stripe", account=business.id)
    assert (entry.method, entry.path, entry.query, entry.status) == ("POST", "/v1/customers", "x=1", 200)
    assert (entry.idempotency_key, entry.body, entry.body_size) == ("k1", "name=Ann", 8)
    await running.control.clear_log()
    assert await running.control.log() == []
    await running.get(business.secret_key, "/v1/balance")
    assert [e.seq for e in await running.control.log()] == [entry.seq + 1]


async def test_everything_due_runs_in_process_without_a_background_task() -> None:
    runtime = VirtualRuntime()
    sandbox = create_sandbox(SandboxSettings(seed=7), runtime)
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        control = SandboxClient("http://sandbox.test", http)
        business = await control.create_account("Lumen Studio")
        made = await control.pay(business.id, 5000)
        await control.flush()
        assert (await control.stripe_object(business.id, str(made.charge)))["balance_transaction"] is None
        await control.advance(seconds=5)
        assert (await control.stripe_object(business.id, str(made.charge)))["balance_transaction"] is not None


async def test_equal_seeds_make_equal_ids() -> None:
    def first_id() -> str:
        return create_sandbox(SandboxSettings(seed=3), VirtualRuntime()).clock.new_id("pi_")

    assert first_id() == first_id()
    assert create_sandbox(SandboxSettings()).clock.new_id("pi_") != create_sandbox(SandboxSettings()).clock.new_id(
        "pi_"
    )


async def test_a_person_makes_a_payment_by_hand(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    page = await running.http.get(f"{running.url}/?business={business.id}")
    assert "Lumen Studio" in page.text
    form = {"name": "Ann Example", "email": "ann@example.com", "service": "Portrait session", "amount": "125.00"}
    answer = await running.http.post(
        f"{running.url}/_pages/{business.id}/pay", data={**form, "client": "customer"}, follow_redirects=True
    )
    assert "Payment made." in answer.text
    assert "Ann Example" in answer.text
    charge = re.findall(r"ch_\w+", answer.text)[0]
    await running.control.flush()
    refunded = await running.http.post(
        f"{running.url}/_pages/{business.id}/refund", data={"charge": charge, "amount": "25"}, follow_redirects=True
    )
    assert "Partly refunded" in refunded.text
    paid = await running.http.post(f"{running.url}/_pages/{business.id}/payout", follow_redirects=True)
    assert "Paid out." in paid.text
    assert (await running.control.ledger(business.id)).problems == []


@pytest.mark.parametrize("amount", ["", "abc", "1.234", "-5", "0", "<b>"])
async def test_a_wrong_amount_is_explained(running: Running, amount: str) -> None:
    business = await running.control.create_account("Lumen Studio")
    answer = await running.http.post(
        f"{running.url}/_pages/{business.id}/pay", data={"amount": amount, "service": "x"}, follow_redirects=True
    )
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "<b>" not in answer.text


async def test_the_page_needs_no_script_and_labels_every_field(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await running.control.pay(business.id, 5000)
    for path in ("/", "/oauth/v2/authorize?client_id=ca_sandbox&redirect_uri=http://app.test/cb"):
        text = (await running.http.get(running.url + path)).text
        assert "<script" not in text
        assert "style=" not in text
        for field in re.findall(r'<input (?![^>]*type="(?:hidden|radio)")[^>]*id="([^"]+)"', text):
            assert f'for="{field}"' in text
    assert (await running.http.get(running.url + "/_static/sandbox.css")).headers["content-type"].startswith("text/css")
