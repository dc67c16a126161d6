"""Customers, vendors, items, accounts, and the query language over them."""

from typing import Any

import pytest

from tests.sandbox.quickbooks.harness import Books, line, payment


async def test_customers_and_vendors_share_one_namespace(books: Books) -> None:
    await books.customer("Ana Lima")
    for taken in ("ana  LIMA", "Stripe", " Harbor Lane Weddings "):
        assert await books.refused("Customer", {"DisplayName": taken}) == "6240"
    assert await books.refused("Vendor", {"DisplayName": "Ana Lima"}) == "6240"


async def test_the_customer_answer_adds_what_the_server_knows(books: Books) -> None:
    made = await books.send("Customer", {"GivenName": "Ana", "FamilyName": "Lima", "Notes": "Stripe cus_1"})
    assert made["DisplayName"] == made["FullyQualifiedName"] == made["PrintOnCheckName"] == "Ana Lima"
    assert (made["Taxable"], made["Job"], made["Balance"], made["Active"]) == (True, False, 0, True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "6080"),
        ({"DisplayName": "  "}, "6080"),
        ({"DisplayName": "a:b"}, "2040"),
        ({"DisplayName": "a\tb"}, "2040"),
        ({"DisplayName": "x" * 501}, "2050"),
        ({"DisplayName": "x", "PrimaryEmailAddr": {"Address": "none"}}, "2210"),
        ({"DisplayName": "x", "PrimaryEmailAddr": {"Address": "a@b"}}, "2210"),
        ({"DisplayName": "x", "PrimaryEmailAddr": {"Adress": "a@b.c"}}, "2010"),
        ({"DisplayName": "x", "CurrencyRef": {"value": "EUR"}}, "6000"),
        ({"DisplayName": 5}, "2010"),
    ],
)
async def test_wrong_customers(books: Books, body: dict[str, Any], code: str) -> None:
    assert await books.refused("Customer", body) == code


async def test_an_inactive_customer_is_hidden_but_keeps_the_name(books: Books) -> None:
    customer = await books.customer("Ana Lima")
    await books.send("Customer", {"Id": customer, "SyncToken": "0", "sparse": True, "Active": False})
    assert await books.query("select * from Customer where DisplayName = 'Ana Lima'") == {}
    found = await books.query("select * from Customer where DisplayName = 'ana lima' and Active in (true,false)")
    assert [c["Id"] for c in found["Customer"]] == [customer]
    assert await books.refused("Customer", {"DisplayName": "Ana Lima"}) == "6240"


async def test_items_hang_on_an_income_account(books: Books) -> None:
    item = await books.item("Portrait session")
    assert (
        await books.refused("Item", {"Name": "portrait session", "IncomeAccountRef": books.ref("Services")}) == "6240"
    )
    assert await books.refused("Item", {"Name": "x"}) == "2020"
    assert await books.refused("Item", {"Name": "x", "IncomeAccountRef": books.ref("Checking")}) == "6430"
    on_expense = {"Name": "Currency difference", "IncomeAccountRef": books.ref("Exchange Gain or Loss")}
    await books.behave(item_on_expense=False)
    assert await books.refused("Item", on_expense) == "6430"
    await books.behave(item_on_expense=True)
    assert (await books.send("Item", on_expense))["IncomeAccountRef"]["name"] == "Exchange Gain or Loss"
    assert await books.refused("Item", {"Name": "a:b", "IncomeAccountRef": books.ref("Services")}) == "2040"
    gone = await books.send("Item", {"Id": item, "SyncToken": "0", "sparse": True, "Active": False})
    assert gone["Name"] == "Portrait session (deleted)"
    await books.item("Portrait session")


async def test_accounts_are_made_with_a_type_or_subtype(books: Books) -> None:
    made = await books.send("Account", {"Name": "Stripe clearing", "AccountType": "Bank", "AccountSubType": "Checking"})
    assert (made["Classification"], made["CurrentBalance"], made["FullyQualifiedName"]) == (
        "Asset",
        0,
        "Stripe clearing",
    )
    assert (await books.send("Account", {"Name": "Cash box", "AccountType": "Bank"}))["AccountSubType"] == "CashOnHand"
    assert await books.refused("Account", {"Name": "x"}) == "6010"
    assert await books.refused("Account", {"Name": "stripe CLEARING", "AccountType": "Bank"}) == "6240"
    assert await books.refused("Account", {"Name": 'a"b', "AccountType": "Bank"}) == "2040"
    assert await books.refused("Account", {"Name": "x", "AccountType": "Piggy bank"}) == "2170"
    assert await books.refused("Account", {"Id": made["Id"], "SyncToken": "0"}, operation="delete") == "500"


async def test_read_only_lists_are_there(books: Books) -> None:
    codes = await books.query("select * from TaxCode")
    assert [c["Id"] for c in codes["TaxCode"]][:2] == ["TAX", "NON"]
    assert (await books.query("select * from TaxRate"))["TaxRate"][0]["RateValue"] > 0
    assert (await books.query("select * from TaxAgency"))["TaxAgency"]
    assert await books.refused("TaxCode", {"Name": "x"}) == "500"


async def _some_invoices(books: Books, count: int) -> list[Any]:
    customer, item = await books.customer(), await books.item()
    return [
        await books.sale("Invoice", line(item, n), customer=customer, DocNumber=f"TO-{n}", TxnDate=f"2026-03-{n:02}")
        for n in range(1, count + 1)
    ]


async def test_conditions_order_and_windows(books: Books) -> None:
    await _some_invoices(books, 9)

    async def numbers(rest: str) -> list[str]:
        found = await books.query(f"select * from Invoice {rest}")
        return [i["DocNumber"].removeprefix("TO-") for i in found.get("Invoice", [])]

    assert await numbers("where DocNumber = 'to-4'") == ["4"]
    assert await numbers("WHERE TotalAmt > '7'") == ["8", "9"]
    assert await numbers("where TotalAmt >= 7 and TxnDate < '2026-03-09'") == ["7", "8"]
    assert await numbers("where DocNumber in ('TO-1', 'TO-3')") == ["1", "3"]
    assert await numbers("where DocNumber like 'TO-%' orderby TxnDate desc maxresults 2") == ["9", "8"]
    assert await numbers("orderby TotalAmt startposition 8 maxresults 100") == ["8", "9"]
    assert await numbers("where MetaData.CreateTime > '2030-01-01T00:00:00Z'") == []
    assert await numbers("where MetaData.LastUpdatedTime >= '2026-03-02T00:00:00-08:00' maxresults 1") == ["1"]
    found = await books.query("select count(*) from Invoice")
    assert found == {"totalCount": 9}
    page = await books.query("select * from Invoice startposition 2 maxresults 3")
    assert (page["startPosition"], page["maxResults"], page["totalCount"]) == (2, 3, 9)


async def test_the_default_page_is_100_and_customers_carry_no_total(books: Books) -> None:
    for number in range(105):
        await books.customer(f"Client {number}")
    page = await books.query("select * from Customer")
    assert (page["maxResults"], len(page["Customer"])) == (100, 100)
    assert "totalCount" not in page
    assert len((await books.query("select * from Customer maxresults 1000"))["Customer"]) == 108


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("select * from Invoice where PrivateNote = 'x'", "4001"),
        ("select * from Payment where DocNumber = 'x'", "4001"),
        ("select * from Deposit where TotalAmt = '1'", "4001"),
        ("select * from Invoice where Id > '1'", "4001"),
        ("select * from Invoice maxresults 0", "4001"),
        ("select * from Invoice maxresults 1001", "4001"),
        ("select * from Invoice startposition 0", "4001"),
        ("select * from Bicycle", "4001"),
        ("select * from Invoice where TotalAmt > 'much'", "4001"),
        ("select Id from Invoice", "4000"),
        ("select * from Invoice where DocNumber = 'a' or DocNumber = 'b'", "4000"),
        ("select * from Invoice where DocNumber != 'a'", "4000"),
        ("select * from Invoice where DocNumber = a", "4000"),
        ("select * from Invoice where DocNumber = 'O'Brien'", "4000"),
        ("select * from Invoice order by Id", "4000"),
        ("", "2020"),
    ],
)
async def test_what_the_query_language_does_not_know(books: Books, statement: str, code: str) -> None:
    assert await books.query_refused(statement) == code


async def test_escapes_and_empty_values(books: Books) -> None:
    name = "Siobhan O'Brien & Söhne 100% \\ +1"
    customer = await books.customer(name)
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    found = await books.query(f"select * from Customer where DisplayName = '{quoted}'")
    assert [c["Id"] for c in found["Customer"]] == [customer]
    empty = await books.query("select * from Customer where GivenName = ' ' and DisplayName like 'Siobhan%'")
    assert len(empty["Customer"]) == 1
    by_id = await books.query(f"select * from Customer where Id in ('{customer}', '9999')")
    assert len(by_id["Customer"]) == 1


async def test_queries_may_be_posted_as_text_and_reach_references(books: Books) -> None:
    customer = await books.customer()
    made = await books.send("Payment", payment(customer, 5, PaymentRefNum="TO-1"))
    headers = {
        "authorization": f"Bearer {books.token}",
        "accept": "application/json",
        "content-type": "application/text",
    }
    url = f"/v3/company/{books.realm}/query"
    statement = f"select * from Payment where PaymentRefNum = 'TO-1' and CustomerRef = '{customer}'"
    answer = await books.intuit.http.post(url, content=statement.encode(), headers=headers)
    assert [p["Id"] for p in answer.json()["QueryResponse"]["Payment"]] == [made["Id"]]
