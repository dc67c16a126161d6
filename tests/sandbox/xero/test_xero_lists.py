"""Contacts, items, accounts, filters, pages, history, reports."""

from typing import Any

import pytest

from tests.sandbox.xero.harness import NO_ID, Books, credit_note, invoice, line
from web.sandbox.xero.amounts import decode

TAKEN = "The contact name Ana Ruiz is already assigned to another contact."


async def test_names_and_numbers_of_contacts_are_unique(books: Books) -> None:
    contact = await books.contact(ContactNumber="cus_1", EmailAddress="ana@example.com")
    [wrong] = await books.put("Contacts", {"Name": "ana ruiz"})
    assert (wrong["ContactID"], wrong["HasValidationErrors"]) == (NO_ID, True)
    assert "is already assigned to another contact" in wrong["ValidationErrors"][0]["Message"]
    assert "contact number cus_1" in await books.refused("Contacts", {"Name": "Other", "ContactNumber": "cus_1"})
    assert (await books.rows("Contacts/cus_1"))[0]["ContactID"] == contact
    [merged] = await books.put("Contacts", {"Name": "Ana Ruiz", "FirstName": "Ana"}, method="POST")
    assert (merged["ContactID"], merged["EmailAddress"]) == (contact, "ana@example.com")
    await books.xero.control.act(books.tenant, "Contact", contact, "archive")
    assert await books.contact() != contact
    assert len(await books.rows("Contacts", where='Name=="Ana Ruiz"', includeArchived="true")) == 2
    assert len(await books.rows("Contacts", where='Name=="Ana Ruiz"')) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"Name": " Ana"}, "not allowed"),
        ({"Name": "Ana  Ruiz"}, "not allowed"),
        ({"Name": "Ana <b>"}, "not allowed"),
        ({"EmailAddress": "ana@example.com"}, "must be specified"),
        ({"Name": "x" * 256}, "maximum length of 255"),
        ({"Name": "Ana", "EmailAddress": "nobody"}, "must be valid"),
        ({"Name": "Ana", "ContactPersons": [{"FirstName": "A"}] * 6}, "more than five"),
    ],
)
async def test_wrong_contacts(books: Books, body: dict[str, Any], expected: str) -> None:
    assert expected in await books.refused("Contacts", body)


async def test_a_document_that_says_more_than_the_id_rewrites_the_contact(books: Books) -> None:
    contact = await books.contact(ContactPersons=[{"FirstName": "Ben"}])
    await books.invoice(contact, line(10))
    assert (await books.rows(f"Contacts/{contact}"))[0]["ContactPersons"]
    told = {"ContactID": contact, "Name": "Ana Ruiz-Lopez"}
    await books.make("Invoices", invoice(contact, line(10), number="TO-2", Contact=told))
    [now] = await books.rows(f"Contacts/{contact}")
    assert (now["Name"], now["ContactPersons"], now["IsCustomer"]) == ("Ana Ruiz-Lopez", [], True)


async def test_accounts_can_be_made_archived_and_renamed(books: Books) -> None:
    bank = {"Code": "098", "Name": "Stripe 2", "Type": "BANK", "BankAccountNumber": "12-3456"}
    answer = await books.call("PUT", "Accounts", bank)
    made = decode(answer.content)["Accounts"][0]
    assert (made["Class"], made["CurrencyCode"], made["Status"]) == ("ASSET", "GBP", "ACTIVE")
    for body, expected in (
        ({**bank, "Code": "099"}, "Please enter a unique Name."),
        ({**bank, "Name": "Other"}, "Please enter a unique Code."),
        ({"Name": "Other", "Type": "BANK", "Code": "099"}, "bank account number"),
        ({"Name": "Other", "Type": "EXPENSE"}, "Code must be specified"),
        ({"Name": "Other", "Code": "901", "Type": "EXPENSE", "TaxType": "OUTPUT9"}, "TaxType"),
        ({"Code": "901"}, "Name must be specified"),
    ):
        assert expected in await books.refused("Accounts", body)
    path = f"Accounts/{made['AccountID']}"
    assert (await books.update(path, {"AccountID": made["AccountID"], "Name": "Old"}))["Name"] == "Old"
    assert (await books.update(path, {"AccountID": made["AccountID"], "Status": "ARCHIVED"}))["Status"] == "ARCHIVED"
    debtors = books.accounts["Accounts Receivable"]
    assert "System accounts" in await books.refused(f"Accounts/{debtors}", {"Status": "ARCHIVED"}, method="POST")
    active = await books.rows("Accounts", where='Status=="ACTIVE"')
    assert all("Code" in row or row["Type"] == "BANK" for row in active)
    assert any("Code" not in row for row in active)
    assert made["AccountID"] not in {row["AccountID"] for row in active}
    revenue = await books.rows("Accounts", where='Class=="REVENUE" AND Status=="ACTIVE"', order="Code DESC")
    assert [row["Code"] for row in revenue] == ["270", "260", "215", "210", "205", "200"]


async def test_items_fill_lines(books: Books) -> None:
    body = {
        "Code": "mini",
        "Name": "Mini session",
        "Description": "Half an hour",
        "SalesDetails": {"UnitPrice": 90, "AccountCode": "200", "TaxType": "OUTPUT2"},
    }
    await books.make("Items", body)
    assert await books.refused("Items", body) == "Price List Item with Code ''mini'' already exists"
    wrong = {"Code": "x", "SalesDetails": {"AccountCode": "999"}}
    assert "'999'" in await books.refused("Items", wrong)
    [changed] = await books.put("Items", {"Code": "mini", "Name": "Mini"}, method="POST")
    assert changed["Description"] == "Half an hour"
    made = await books.invoice(await books.contact(), {"ItemCode": "mini", "Quantity": 2})
    assert (made["Total"], made["LineItems"][0]["Description"]) == (180, "Half an hour")


async def test_pages_and_lists_without_lines(books: Books) -> None:
    contact = await books.contact()
    await books.put("Invoices", *(invoice(contact, line(10), number=f"TO-{n}") for n in range(5)))
    body = await books.get("Invoices", page="2", pageSize="2")
    assert body["pagination"] == {"page": 2, "pageSize": 2, "pageCount": 3, "itemCount": 5}
    assert [row["InvoiceNumber"] for row in body["Invoices"]] == ["TO-2", "TO-3"]
    assert body["Invoices"][0]["LineItems"]
    bare = await books.get("Invoices")
    assert "pagination" not in bare
    assert [row["LineItems"] for row in bare["Invoices"]] == [[]] * 5
    assert "Payments" not in (await books.rows("Invoices", page="1", summaryOnly="true"))[0]
    assert (await books.call("GET", "Invoices", page="1", pageSize="1001")).status_code == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"where": 'Reference=="b"'}, "b"),
        ({"where": 'Type=="ACCREC" AND Reference=="a"'}, "a"),
        ({"where": 'Reference=="a" OR Reference=="c"'}, "ac"),
        ({"where": '(Reference=="a" || Total>=30) && Status=="AUTHORISED"'}, "ac"),
        ({"where": "Total<20.00"}, "a"),
        ({"where": "Date>=DateTime(2026,03,03)"}, "bc"),
        ({"where": "Date > DateTime(2026,03,03) AND Date <= DateTime(2026, 3, 4)"}, "c"),
        ({"where": 'Reference.Contains("B")'}, ""),
        ({"where": 'Reference.ToLower().Contains("b")'}, None),
        ({"where": 'InvoiceNumber.StartsWith("TO-")', "order": "Date DESC"}, "cba"),
        ({"where": 'InvoiceNumber.EndsWith("c")'}, "c"),
        ({"where": 'Contact.Name=="Ana Ruiz" AND Total=10'}, "a"),
        ({"where": "SentToContact==false AND Reference!=null AND Total<>20"}, "ac"),
        ({"InvoiceNumbers": "TO-a,TO-b,TO-x"}, "ab"),
        ({"Statuses": "DRAFT,PAID"}, ""),
        ({"searchTerm": "to-c"}, "c"),
        ({"createdByMyApp": "true"}, "abc"),
        ({"order": "Total DESC"}, "cba"),
        ({"where": 'Refrence=="a"'}, None),
        ({"where": 'Reference=="a'}, None),
        ({"where": 'Reference=="a")'}, None),
        ({"where": "Reference=="}, None),
        ({"where": 'InvoiceID==guid("7")'}, None),
        ({"where": "Date>=DateTime(2026)"}, None),
        ({"order": "Total SIDEWAYS"}, None),
        ({"order": "Totl"}, None),
    ],
)
async def test_filters(books: Books, query: dict[str, str], expected: str | None) -> None:
    contact = await books.contact()
    for number, name in enumerate("abc", start=1):
        day = f"2026-03-0{number + 1}"
        await books.invoice(contact, line(10 * number), number=f"TO-{name}", Reference=name, Date=day, DueDate=day)
    answer = await books.call("GET", "Invoices", **query, page="1")
    if expected is None:
        assert (answer.status_code, answer.json()["Type"]) == (400, "QueryParseException")
    else:
        assert "".join(row["Reference"] for row in answer.json()["Invoices"]) == expected


async def test_filters_by_id(books: Books) -> None:
    contact, other = await books.contact(), await books.contact("Other")
    made = await books.invoice(contact, line(10))
    await books.invoice(other, line(10), number="TO-2")
    paid = await books.pay(made["InvoiceID"], 5)
    where = f'Invoice.InvoiceID==guid("{made["InvoiceID"].upper()}")'
    assert [row["PaymentID"] for row in await books.rows("Payments", where=where)] == [paid["PaymentID"]]
    for query in ({"IDs": made["InvoiceID"]}, {"ContactIDs": contact}):
        assert [row["InvoiceNumber"] for row in await books.rows("Invoices", **query)] == ["TO-pi_1"]
    await books.behave(large=True)
    assert len(await books.rows("Payments", where=where)) == 1
    answer = await books.call("GET", "Payments", where="Date>=DateTime(2026,1,1)")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


async def test_changes_since(books: Books) -> None:
    contact = await books.contact()
    await books.invoice(contact, line(10), number="TO-1")
    books.xero.clock.advance(60)
    await books.invoice(contact, line(10), number="TO-2")
    since = books.xero.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    body = await books.get("Invoices", headers={"if-modified-since": since})
    assert [row["InvoiceNumber"] for row in body["Invoices"]] == ["TO-2"]
    body = await books.get("Invoices", headers={"if-modified-since": since + "Z"})
    assert len(body["Invoices"]) == 2
    assert [v["kind"] for v in await books.xero.control.violations(books.tenant)] == ["if-modified-since"]


async def test_history_notes(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(10))
    body = {"HistoryRecords": [{"Details": "Posted by hand"}]}
    path = f"Invoices/{made['InvoiceID']}/History"
    assert (await books.call("PUT", path, body)).status_code == 200
    assert [note["Details"] for note in (await books.get(path))["HistoryRecords"]] == ["Posted by hand"]
    long = {"HistoryRecords": [{"Details": "x" * 2501}]}
    assert (await books.call("PUT", path, long)).status_code == 400
    paid = await books.pay(made["InvoiceID"], 10)
    answer = await books.call("PUT", f"Payments/{paid['PaymentID']}/History", body)
    errors = answer.json()["Elements"][0]["ValidationErrors"]
    assert errors == [{"Message": "The document with the supplied id was not found for this endpoint."}]


async def test_the_trial_balance_as_a_report(books: Books) -> None:
    contact = await books.contact()
    await books.invoice(contact, line(100))
    await books.make("CreditNotes", credit_note(contact, line(40)))
    report = (await books.get("Reports/TrialBalance", date="2026-03-02"))["Reports"][0]
    cells = {
        row["Cells"][0]["Value"]: [cell["Value"] for cell in row["Cells"][1:3]]
        for section in report["Rows"][1:]
        for row in section["Rows"]
    }
    assert cells == {
        "Accounts Receivable (610)": ["60.00", ""],
        "Session Fees (200)": ["", "50.00"],
        "VAT (820)": ["", "10.00"],
        "Total": ["60.00", "60.00"],
    }
    empty = (await books.get("Reports/TrialBalance", date="2026-03-01"))["Reports"][0]
    assert len(empty["Rows"]) == 2


async def test_currencies_are_subscribed_one_by_one(books: Books) -> None:
    assert [row["Code"] for row in await books.rows("Currencies")] == ["GBP", "USD", "EUR"]
    assert (await books.call("PUT", "Currencies", {"Code": "CAD"})).status_code == 200
    assert (await books.call("PUT", "Currencies", {"Code": "QQQ"})).status_code == 400
    assert "CAD" in [row["Code"] for row in await books.rows("Currencies")]


async def test_tracking_options_by_name(books: Books) -> None:
    option = {"Name": "Region", "Option": "North"}
    made = await books.invoice(await books.contact(), line(10, Tracking=[option]))
    assert made["LineItems"][0]["Tracking"][0]["Option"] == "North"
