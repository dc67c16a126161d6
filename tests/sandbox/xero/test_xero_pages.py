"""What a person sees of the books, the typed control client, and the whole sandbox on one port."""

import httpx
import pytest

from tests.runtime import VirtualRuntime
from tests.sandbox.xero.harness import BASE, Books, Xero, credit_note, invoice, line
from web.sandbox.app import create_sandbox
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero.client import ControlRefused, XeroControl


async def test_a_person_sees_the_invoice_paid(xero: Xero, books: Books) -> None:
    contact = await books.contact("Ana & Ruiz")
    made = await books.invoice(contact, line(1250))
    await books.invoice(contact, line(10), number="TO-2")
    paid = await books.pay(made["InvoiceID"], 1250)
    note = await books.make("CreditNotes", credit_note(contact, line(5)))
    open_invoice = (await books.rows("Invoices/TO-2"))[0]["InvoiceID"]
    use = {"Amount": 5, "Date": "2026-03-02", "Invoice": {"InvoiceID": open_invoice}}
    await books.call("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", {"Allocations": [use]})
    journal = [{"AccountCode": "200", "LineAmount": 1}, {"AccountCode": "260", "LineAmount": -1}]
    await books.make("ManualJournals", {"Narration": "Fix", "Status": "POSTED", "JournalLines": journal})
    ends = {"FromBankAccount": {"Code": "095"}, "ToBankAccount": {"Code": "090"}}
    await books.make("BankTransfers", {**ends, "Amount": 1200, "Date": "2026-03-02", "Reference": "po_1"})
    assert "Studio GB" in (await xero.http.get("/xero")).text
    page = (await xero.http.get(f"/xero/{books.tenant}")).text
    for text in (
        "TO-pi_1",
        "1,250.00",
        "Paid",
        "Authorised",
        "Ana &amp; Ruiz",
        "Trial balance",
        "Transfer po_1",
        "Fix",
    ):
        assert text in page
    assert "<script" not in page
    await books.call("PUT", f"Invoices/{made['InvoiceID']}/History", {"HistoryRecords": [{"Details": "By hand"}]})
    sheet = (await xero.http.get(f"/xero/{books.tenant}/invoice/{made['InvoiceID']}")).text
    for text in ("Portrait session", "In the ledger", "610 Accounts Receivable", "By hand", "Payment ch_1"):
        assert text in sheet
    link = await xero.http.get("/AccountsReceivable/View.aspx", params={"InvoiceID": made["InvoiceID"]})
    assert link.headers["location"] == f"/xero/{books.tenant}/invoice/{made['InvoiceID']}"
    for element, record in (("payment", paid["PaymentID"]), ("creditnote", note["CreditNoteID"])):
        assert (await xero.http.get(f"/xero/{books.tenant}/{element}/{record}")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/xero/1",
        "/xero/1/invoice/1",
        "/xero/{tenant}/invoice/1",
        "/xero/{tenant}/cow/1",
        "/AccountsReceivable/View.aspx",
    ],
)
async def test_what_is_not_there_is_a_page_too(xero: Xero, books: Books, path: str) -> None:
    answer = await xero.http.get(path.format(tenant=books.tenant))
    assert answer.status_code == 404
    assert "Not found" in answer.text


async def test_the_control_client_does_what_an_owner_does(xero: Xero) -> None:
    control = XeroControl(BASE, xero.http)
    made = await control.create_organisation("Client Studio", "AU", "USD")
    tenant = made.tenant_id
    assert [(o.name, o.currency) for o in await control.list_organisations()] == [("Client Studio", "USD")]
    tokens = await control.connect(tenant, user="ana@studio.example")
    assert [c["id"] for c in await control.connections()] == [tokens.connection_id]
    contact = await control.create_record(tenant, "Contact", {"Name": "By hand"})
    body = invoice(contact["ContactID"], line(110, tax="OUTPUT"))
    record = await control.create_record(tenant, "Invoice", body)
    seen = await control.record(tenant, "Invoice", "TO-pi_1")
    assert {"account": "Accounts Receivable", "amount_minor": 11000} in seen["postings"]
    assert seen["record"]["InvoiceID"] == record["InvoiceID"]
    assert await control.trial_balance(tenant, "2026-03-01") == {}
    renamed = await control.edit_record(tenant, "Contact", contact["ContactID"], {"Name": "Renamed"})
    assert renamed["Name"] == "Renamed"
    assert (await control.act(tenant, "Invoice", record["InvoiceID"], "void"))["Status"] == "VOIDED"
    assert len(await control.records(tenant, "invoice")) == 1
    assert await control.counters(tenant) == {}
    await control.clear_counters(tenant)
    refused = (
        (422, control.create_record(tenant, "Contact", {"Name": "Renamed"})),
        (422, control.act(tenant, "Invoice", record["InvoiceID"], "void")),
        (404, control.act(tenant, "Invoice", record["InvoiceID"], "sing")),
        (404, control.record(tenant, "Invoice", "none")),
        (404, control.records(tenant, "Cow")),
        (404, control.trial_balance("none")),
        (400, control.set_behaviour(tenant, nonsense=1)),
        (400, control.set_behaviour(tenant, minute_limit="many")),
        (400, control.configure(nonsense=1)),
        (400, control.create_organisation("")),
        (400, control.create_organisation("X", "FR")),
        (400, control.create_organisation("X", "US", "QQQ")),
        (400, control.create_record(tenant, "Contact", {"Nam": "X"})),
    )
    for status, wrong in refused:
        with pytest.raises(ControlRefused) as caught:
            await wrong
        assert caught.value.status == status


async def test_all_stand_ins_live_on_one_port() -> None:
    sandbox = create_sandbox(SandboxSettings(seed=3), VirtualRuntime())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app), base_url=BASE) as http:
        control = XeroControl(BASE, http)
        made = await control.create_organisation("One port")
        tokens = await control.connect(made.tenant_id)
        headers = {"authorization": f"Bearer {tokens.access_token}", "xero-tenant-id": made.tenant_id}
        answer = await http.get("/api.xro/2.0/Organisation", headers={**headers, "accept": "application/json"})
        assert answer.status_code == 200
        log = (await http.get("/_control/log", params={"provider": "xero", "account": made.tenant_id})).json()
        assert [(entry["path"], entry["status"]) for entry in log] == [("/api.xro/2.0/Organisation", 200)]
        assert 'href="/xero"' in (await http.get("/quickbooks")).text
        for path in ("/.well-known/openid-configuration", "/.well-known/openid_configuration"):
            assert (await http.get(path)).status_code == 200
    providers = [(entry.path, entry.provider) for entry in sandbox.log.entries()][-2:]
    assert [provider for _, provider in providers] == ["xero", "quickbooks"]
    await sandbox.aclose()
