"""What a person sees of the books, the deep links, and the typed control client."""

import pytest

from tests.sandbox.quickbooks.harness import BASE, Books, Intuit, line, payment, sale
from web.sandbox.quickbooks.client import ControlRefused, QuickBooksControl


async def test_a_person_sees_the_invoice_paid(intuit: Intuit, books: Books) -> None:
    customer, item = await books.customer("Ana <Lima>"), await books.item()
    invoice = await books.sale("Invoice", line(item, 1250), customer=customer, DocNumber="TO-1")
    await books.sale("Invoice", line(item, 10), customer=customer, DocNumber="TO-2")
    paid = await books.send("Payment", payment(customer, 1250, (invoice["Id"], 1250)))
    front = await intuit.http.get("/quickbooks")
    assert "Lumen Studio" in front.text
    page = (await intuit.http.get(f"/quickbooks/{books.realm}")).text
    for text in ("TO-1", "1,250.00", "Paid", "Open", "Ana &lt;Lima&gt;", "Trial balance", "Undeposited Funds"):
        assert text in page
    assert "<script" not in page
    link = await intuit.http.get("/app/recvpayment", params={"txnId": paid["Id"]})
    assert link.headers["location"] == f"/quickbooks/{books.realm}/payment/{paid['Id']}"
    document = (await intuit.http.get(link.headers["location"])).text
    assert "Invoice TO-1" in document
    assert "In the ledger" in document


@pytest.mark.parametrize(
    "path", ["/quickbooks/1", "/quickbooks/1/invoice/1", "/app/invoice?txnId=1", "/app/cow?txnId=1"]
)
async def test_what_is_not_there_is_a_page_too(intuit: Intuit, books: Books, path: str) -> None:
    answer = await intuit.http.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text


async def test_ids_of_two_companies_never_meet(intuit: Intuit, books: Books) -> None:
    other = await intuit.company("Second")
    ids = []
    for each in (books, other):
        customer, item = await each.customer(), await each.item()
        ids.append((await each.sale("Invoice", line(item, 10), customer=customer))["Id"])
        link = await intuit.http.get("/app/invoice", params={"txnId": ids[-1]})
        assert link.headers["location"] == f"/quickbooks/{each.realm}/invoice/{ids[-1]}"
    assert len(set(ids)) == 2


async def test_the_control_client_does_what_an_owner_does(intuit: Intuit) -> None:
    control = QuickBooksControl(BASE, intuit.http)
    company = await control.create_company("Client Studio", "AU")
    realm = company.realm_id
    assert [c.name for c in await control.list_companies()] == ["Client Studio"]
    tokens = await control.connect(realm)
    assert (tokens.realm_id, tokens.expires_in) == (realm, 3600)
    items = await control.documents(realm, "Item")
    await control.set_behaviour(realm, custom_txn_numbers=True, require_tax_code=False, throttle=False)
    body = sale(line(items[0]["Id"], 40), customer="1")
    made = await control.create_document(realm, "Invoice", body)
    assert await control.trial_balance(realm) == {"Services": -4000, "Accounts Receivable (A/R)": 4000}
    assert await control.trial_balance(realm, "2026-03-01") == {}
    seen = await control.document(realm, "Invoice", made["Id"])
    assert {"account": "Services", "amount_minor": -4000} in seen["postings"]
    edited = await control.edit_document(realm, "Invoice", made["Id"], {"PrivateNote": "by hand"})
    assert edited["SyncToken"] == "1"
    await control.void_document(realm, "Invoice", made["Id"])
    await control.delete_document(realm, "Invoice", made["Id"])
    assert await control.documents(realm, "Invoice") == []
    await control.deactivate(realm, "TaxCode", "1")
    await control.activate(realm, "TaxCode", "1")
    assert (await control.counters(realm)).core == 0
    await control.clear_counters(realm)
    assert await control.requestid_violations(realm) == []
    assert await control.forget_requestids(realm) == 0
    await control.configure_oauth(punish_reuse=True)
    await control.expire_tokens(realm, refresh=True)
    await control.revoke_tokens(realm)
    await control.reset_company(realm)
    for wrong in (control.trial_balance("7"), control.set_behaviour(realm, nonsense=1), control.create_company("")):
        with pytest.raises(ControlRefused):
            await wrong
    with pytest.raises(ControlRefused, match="610"):
        await control.void_document(realm, "Invoice", made["Id"])
