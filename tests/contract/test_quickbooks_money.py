"""Money that moves without an invoice, against the sandbox: what each document does to the accounts, to the cent."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from core.accounting.acts import ensure
from core.accounting.port import AccountType, Posted, PreparedWrite
from core.books.documents import (
    AccountRef,
    Deposit,
    Document,
    DocumentKind,
    Expense,
    Item,
    LineKind,
    MoneyDocument,
    Payee,
    Refund,
    SalesReceipt,
)
from core.errors import OutcomeUnknownError, ProviderRejectedError, RateLimitedError
from core.reasons import Reason
from tests.contract.quickbooks_bench import QuickBooksBench
from tests.contract.test_contract import client, frozen, receipt, refusal, sale
from tests.core.accounting.documents import CUSTOMER, DAY, PAYEE, account_line, booked, line, sold, transfer

Books = QuickBooksBench
KINDS = ["sales_receipt", "refund", "expense", "deposit", "transfer"]
ENTITIES = {
    "sales_receipt": "salesreceipt",
    "refund": "refundreceipt",
    "expense": "purchase",
    "deposit": "deposit",
    "transfer": "transfer",
}


async def account(books: Books, name: str) -> AccountRef:
    rows = await books.ask("GET", f"{books.root}/documents/account")
    row = next(row for row in rows if row["Name"] == name)
    return AccountRef(row["Id"], name, is_bank=row["AccountType"] == "Bank")


async def held(books: Books) -> AccountRef:
    name = "Stripe disputes held"
    made = await books.provider.create_account(name, AccountType.CURRENT_ASSET, key="held-1")
    return AccountRef(made.external_id, name, is_bank=False)


def clearing(books: Books) -> AccountRef:
    return AccountRef(books.clearing_account, "Stripe clearing", is_bank=True)


def sale_line(books: Books, net: int, tax: int = 0, **changes: Any) -> Any:
    return line(net, tax, **{"income_account_id": books.income_account, **books.line_tax(taxed=tax != 0), **changes})


async def a_document(books: Books, kind: str, **changes: Any) -> MoneyDocument:
    """One document of the kind over 100.00, on clearing."""
    common = {"currency": books.currency, **changes}
    fees = await account(books, "Bank Charges & Fees")
    match kind:
        case "sales_receipt":
            return sold(SalesReceipt, sale_line(books, 10000), account=clearing(books), **common)
        case "refund":
            return sold(Refund, sale_line(books, 10000), account=clearing(books), **common)
        case "expense":
            return booked(Expense, account_line(10000, account=fees), account=clearing(books), **common)
        case "deposit":
            return booked(Deposit, account_line(10000, account=fees), account=clearing(books), **common)
        case _:
            bank = await account(books, "Checking")
            return transfer(10000, from_account=clearing(books), to_account=bank, **common)


async def ready(books: Books, document: Document, key: str = "key-1") -> PreparedWrite:
    """Prepare a document with everything that it needs standing in the books."""
    ids = {CUSTOMER.step: await books.provider.sync_customer(client(books))}
    for needed in books.provider.supporting(document):
        found = await ensure(books.provider, needed, within=books.namespace, source_id=needed.step, ids={})
        ids[needed.step] = found.external_id
    return books.provider.prepare(document, key=key, ids=ids)


async def posted(books: Books, document: Document, key: str = "key-1") -> Posted:
    write = await ready(books, document, key)
    return await books.provider.execute(write)


async def trial(books: Books) -> Mapping[str, int]:
    return dict(await books.ask("GET", f"{books.root}/trial-balance"))


async def balance(books: Books, name: str) -> int:
    return (await trial(books)).get(name, 0)


# -- what each document does


async def test_a_sales_receipt_puts_the_money_on_clearing_without_a_receivable(quickbooks: Books) -> None:
    books = quickbooks
    receipt = sold(SalesReceipt, sale_line(books, 40000, 3300), account=clearing(books))
    made = await posted(books, receipt)
    assert (made.total_minor, made.number, made.currency) == (43300, receipt.reference, "USD")
    assert await trial(books) == {"Stripe clearing": 43300, "Session Income": -40000, "Sales Tax Payable": -3300}


async def test_a_refund_takes_income_tax_and_money_back(quickbooks: Books) -> None:
    books = quickbooks
    made = await posted(books, sold(Refund, sale_line(books, 10000, 825), account=clearing(books)))
    assert (made.total_minor, made.currency) == (10825, "USD")
    assert await trial(books) == {"Stripe clearing": -10825, "Session Income": 10000, "Sales Tax Payable": 825}
    (stored,) = await books.ask("GET", f"{books.root}/documents/refundreceipt")
    assert (stored["PaymentRefNum"], stored["PrintStatus"]) == (made.number, "NotSet")


@pytest.mark.parametrize("difference", [625, -100])
async def test_the_difference_of_a_foreign_refund_stays_out_of_income(quickbooks: Books, difference: int) -> None:
    books = quickbooks
    rest = await account(books, "Exchange Gain or Loss")
    refund = sold(
        Refund,
        sale_line(books, 54125),
        line(
            difference,
            kind=LineKind.DIFFERENCE,
            service_id="difference",
            service_name="Currency difference",
            income_account_id=rest.external_id,
        ),
        account=clearing(books),
    )
    assert (await posted(books, refund)).total_minor == 54125 + difference
    assert await trial(books) == {
        "Stripe clearing": -54125 - difference,
        "Session Income": 54125,
        "Exchange Gain or Loss": difference,
    }


async def test_a_company_that_wants_income_behind_an_item_says_so_in_plain_words(quickbooks: Books) -> None:
    """What Intuit leaves open: nothing is posted then, and the person reads which account is of which type."""
    books = quickbooks
    await books.behave(item_on_expense=False)
    rest = await account(books, "Exchange Gain or Loss")
    item = Item(service_id="d", name="Currency difference", income_account_id=rest.external_id)
    refused = await refusal(books, books.provider.prepare(item, key="key-item", ids={}))
    assert refused.reason is Reason.REFUSED
    assert "“Exchange Gain or Loss” is of type Other Expense; QuickBooks wants an income account here" in refused.text


async def test_a_lost_dispute_is_paid_from_what_was_held(quickbooks: Books) -> None:
    books = quickbooks
    waiting = await held(books)
    await posted(books, transfer(21650, from_account=clearing(books), to_account=waiting, reference="TD-HELD"))
    lost = sale_line(books, 20000, 1650, kind=LineKind.CHARGEBACK, service_id="chargeback", service_name="Chargeback")
    assert (await posted(books, sold(Refund, lost, account=waiting), "key-2")).total_minor == 21650
    assert await trial(books) == {"Stripe clearing": -21650, "Session Income": 20000, "Sales Tax Payable": 1650}


async def test_fees_of_a_day_leave_clearing_line_by_line(quickbooks: Books) -> None:
    books = quickbooks
    fees, platform = await account(books, "Bank Charges & Fees"), await account(books, "Software & Subscriptions")
    lines = (account_line(1286, account=fees), account_line(1525, account=platform), account_line(4452, account=fees))
    made = await posted(books, booked(Expense, *lines, account=clearing(books)))
    assert (made.total_minor, made.number) == (7263, booked(Expense).reference)
    assert await trial(books) == {
        "Stripe clearing": -7263,
        "Bank Charges & Fees": 5738,
        "Software & Subscriptions": 1525,
    }
    (stored,) = await books.ask("GET", f"{books.root}/documents/purchase")
    assert stored["EntityRef"]["name"] == "Stripe"


async def test_a_returned_fee_comes_back_to_clearing(quickbooks: Books) -> None:
    books = quickbooks
    fees = await account(books, "Bank Charges & Fees")
    made = await posted(books, booked(Deposit, account_line(1500, account=fees), account=clearing(books)))
    assert (made.total_minor, made.number) == (1500, None)
    assert await trial(books) == {"Stripe clearing": 1500, "Bank Charges & Fees": -1500}


async def test_the_opening_balance_comes_from_equity(quickbooks: Books) -> None:
    books = quickbooks
    opening = await account(books, "Opening Balance Equity")
    await posted(books, booked(Deposit, account_line(84217, account=opening), account=clearing(books)))
    assert await trial(books) == {"Stripe clearing": 84217, "Opening Balance Equity": -84217}
    assert await books.provider.read_balance(books.clearing_account) == 84217
    assert await books.provider.read_balance(opening.external_id) == -84217


@pytest.mark.parametrize("back", [False, True])
async def test_a_payout_is_a_transfer_and_its_return_another(quickbooks: Books, back: bool) -> None:
    books = quickbooks
    ends = clearing(books), await account(books, "Checking")
    source, target = reversed(ends) if back else ends
    made = await posted(books, transfer(41055, from_account=source, to_account=target))
    assert (made.total_minor, made.number, made.party_id) == (41055, None, None)
    sign = 1 if back else -1
    assert await trial(books) == {"Stripe clearing": sign * 41055, "Checking": -sign * 41055}


async def test_input_tax_on_fees_can_be_reclaimed_and_a_returned_fee_gives_it_back(
    british_quickbooks: Books,
) -> None:
    books = british_quickbooks
    fees, disputes = await account(books, "Bank Charges & Fees"), await account(books, "Software & Subscriptions")
    # Stripe's cent, not the computed one; beside a line that has nothing to do with tax.
    lines = (
        account_line(707, 142, account=fees, **books.line_tax(taxed=True)),
        account_line(1500, account=disputes),
    )
    made = await posted(books, booked(Expense, *lines, account=clearing(books), currency="GBP"))
    assert made.total_minor == 2349
    expected = {"Bank Charges & Fees": 707, "Software & Subscriptions": 1500, "VAT Control": 142}
    assert await trial(books) == {"Stripe clearing": -2349, **expected}
    returned = booked(Deposit, *lines, account=clearing(books), currency="GBP")
    assert (await posted(books, returned, "key-2")).total_minor == 2349
    assert await trial(books) == {}


async def test_fees_without_tax_name_none_outside_the_states(british_quickbooks: Books) -> None:
    books = british_quickbooks
    for number, kind in enumerate(KINDS):
        document = await a_document(books, kind, reference=f"T{number}-000000000001")
        assert (await posted(books, document, f"key-{number}")).total_minor == 10000
    assert await books.is_balanced()


async def test_a_foreign_refund_with_a_taxed_line_names_a_code_on_every_line(british_quickbooks: Books) -> None:
    books = british_quickbooks
    rest = await account(books, "Exchange Gain or Loss")
    difference = line(99, kind=LineKind.DIFFERENCE, service_id="d", service_name="Difference")
    difference = replace(difference, income_account_id=rest.external_id)
    refund = sold(Refund, sale_line(books, 3333, 666), difference, account=clearing(books), currency="GBP")
    assert (await posted(books, refund)).total_minor == 4098
    assert await balance(books, "VAT Control") == 666


@pytest.mark.parametrize("kind", KINDS)
async def test_a_company_with_several_currencies_gets_its_home_currency_named(quickbooks: Books, kind: str) -> None:
    await quickbooks.behave(multicurrency=True)
    quickbooks.provider = await quickbooks.reopen()
    assert (await posted(quickbooks, await a_document(quickbooks, kind))).total_minor == 10000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_document_opens_on_its_own_page(quickbooks: Books, kind: str) -> None:
    made = await posted(quickbooks, await a_document(quickbooks, kind))
    url = quickbooks.provider.document_url(DocumentKind(kind), made.external_id)
    page = await quickbooks.control.get(str(url), follow_redirects=True)
    assert (page.status_code, "100.00" in page.text) == (200, True)


# -- found again


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_answer_is_found_again_by_our_reference_alone(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    document = await a_document(books, kind)
    # Alike in everything but our reference: made by a person.
    await posted(books, await a_document(books, kind, reference="OTHER-REFERENCE"), "key-other")
    write = await ready(books, document)
    assert await books.provider.look_up(write) is None
    await books.lose_the_answer(write)
    found = await books.provider.look_up(write)
    assert found is not None
    assert found.total_minor == 10000
    assert (await books.provider.execute(write)).external_id == found.external_id
    assert await books.count(ENTITIES[kind]) == 2


@pytest.mark.parametrize("kind", ["sales_receipt", "refund"])
async def test_what_quickbooks_renumbered_is_found_by_its_note(quickbooks: Books, kind: str) -> None:
    await quickbooks.behave(renumber=True)
    write = await ready(quickbooks, await a_document(quickbooks, kind))
    made = await quickbooks.provider.execute(write)
    assert made.number not in (None, write.reference)
    assert await quickbooks.provider.look_up(write) == replace(made, request_id=None)
    assert await quickbooks.provider.look_up_many([write, replace(write, reference="TX-NONE")]) == [
        replace(made, request_id=None),
        None,
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_deleted_is_not_found(quickbooks: Books, kind: str) -> None:
    write = await ready(quickbooks, await a_document(quickbooks, kind))
    made = await quickbooks.provider.execute(write)
    await quickbooks.ask("POST", f"{quickbooks.root}/documents/{ENTITIES[kind]}/{made.external_id}/delete")
    assert await quickbooks.provider.look_up(write) is None


async def test_two_transfers_of_one_day_that_name_each_other_are_told_apart(quickbooks: Books) -> None:
    books = quickbooks
    bank = await account(books, "Checking")
    payout = transfer(30000, from_account=clearing(books), to_account=bank, reference="TP-000000000001")
    returned = transfer(
        30000,
        from_account=bank,
        to_account=clearing(books),
        reference="TP-000000000002",
        memo="Stripe po_1 returned, first booked as TP-000000000001",
    )
    writes = [await ready(books, document, f"key-{document.reference}") for document in (payout, returned)]
    made = [await books.provider.execute(write) for write in writes]
    assert [found and found.external_id for found in await _looked_up(books, writes)] == [m.external_id for m in made]


async def _looked_up(books: Books, writes: list[PreparedWrite]) -> list[Posted | None]:
    return [await books.provider.look_up(write) for write in writes]


async def test_what_is_known_of_tax_is_read_with_the_company(british_quickbooks: Books) -> None:
    company = await british_quickbooks.provider.read_company()
    codes = {
        row["Id"]: row for row in await british_quickbooks.ask("GET", f"{british_quickbooks.root}/documents/taxcode")
    }
    assert codes[company.options["untaxed_code"]]["Name"] == "No VAT"
    rates = dict(pair.split(":") for pair in company.options["purchase_rates"].split())
    for code_id, row in codes.items():
        assert row["PurchaseTaxRateList"]["TaxRateDetail"][0]["TaxRateRef"]["value"] == rates[code_id]


# -- who is paid


async def test_the_vendor_that_is_there_is_used(quickbooks: Books) -> None:
    payee = Payee("Stripe", "USD")
    write = quickbooks.provider.prepare(payee, key="key-payee", ids={})
    found = await quickbooks.provider.look_up(write)
    assert found is not None
    assert found.number == "Stripe"


async def test_a_client_called_stripe_leads_to_the_next_name(quickbooks: Books) -> None:
    books = quickbooks
    (vendor,) = [v for v in await books.ask("GET", f"{books.root}/documents/vendor") if v["DisplayName"] == "Stripe"]
    await books.ask("PATCH", f"{books.root}/documents/vendor/{vendor['Id']}", {"DisplayName": "Somebody"})
    await books.add_customer("Stripe", None)
    made = await ensure(books.provider, PAYEE, within=books.namespace, source_id="payee", ids={})
    assert made.number == "Stripe (fees)"
    again = await ensure(books.provider, PAYEE, within=books.namespace, source_id="payee", ids={})
    assert again.external_id == made.external_id


async def test_an_archived_vendor_leads_to_the_next_name(quickbooks: Books) -> None:
    books = quickbooks
    (vendor,) = [v for v in await books.ask("GET", f"{books.root}/documents/vendor") if v["DisplayName"] == "Stripe"]
    await books.ask("POST", f"{books.root}/documents/vendor/{vendor['Id']}/deactivate")
    made = await ensure(books.provider, PAYEE, within=books.namespace, source_id="payee", ids={})
    assert made.number == "Stripe (fees)"


# -- refused in plain words


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_month_is_refused_before_and_after_we_knew(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    document = await a_document(books, kind)
    write = await ready(books, document)
    await books.close_books("2026-11-20")
    refused = await refusal(books, write)
    assert (refused.reason, refused.detail) == (
        Reason.PERIOD_CLOSED,
        {"date": "2026-11-20", "closed_to": "2026-11-20"},
    )
    books.provider = await books.reopen()
    with pytest.raises(ProviderRejectedError) as stopped:
        await ready(books, document)
    assert stopped.value.reason is Reason.PERIOD_CLOSED
    assert await books.count(ENTITIES[kind]) == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_an_archived_account_is_named(quickbooks: Books, kind: str) -> None:
    write = await ready(quickbooks, await a_document(quickbooks, kind))
    await quickbooks.archive_account(quickbooks.clearing_account)
    refused = await refusal(quickbooks, write)
    assert refused.reason is Reason.ACCOUNT_INACTIVE
    assert "Stripe clearing" in str(refused.detail["account"])


@pytest.mark.parametrize("kind", ["expense", "deposit"])
async def test_an_archived_account_of_a_line_is_named(quickbooks: Books, kind: str) -> None:
    write = await ready(quickbooks, await a_document(quickbooks, kind))
    fees = await account(quickbooks, "Bank Charges & Fees")
    await quickbooks.archive_account(fees.external_id)
    refused = await refusal(quickbooks, write)
    assert refused.reason is Reason.ACCOUNT_INACTIVE
    assert "Bank Charges & Fees" in str(refused.detail["account"])


@pytest.mark.parametrize("kind", ["expense", "deposit"])
async def test_an_archived_vendor_is_named(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    write = await ready(books, await a_document(books, kind))
    (vendor,) = [v for v in await books.ask("GET", f"{books.root}/documents/vendor") if v["DisplayName"] == "Stripe"]
    await books.ask("POST", f"{books.root}/documents/vendor/{vendor['Id']}/deactivate")
    refused = await refusal(books, write)
    assert (refused.reason, refused.field) == (Reason.REFUSED, "EntityRef")
    assert "the vendor “Stripe" in refused.text


async def test_an_inactive_tax_code_is_named(british_quickbooks: Books) -> None:
    books = british_quickbooks
    fees = await account(books, "Bank Charges & Fees")
    tax = books.line_tax(taxed=True)
    documents: list[MoneyDocument] = [
        booked(Expense, account_line(1000, 200, account=fees, **tax), account=clearing(books), currency="GBP"),
        sold(Refund, sale_line(books, 1000, 200), account=clearing(books), currency="GBP"),
    ]
    writes = [await ready(books, document, f"key-{document.kind}") for document in documents]
    await books.ask("POST", f"{books.root}/documents/taxcode/{tax['tax_code_id']}/deactivate")
    for write in writes:
        refused = await refusal(books, write)
        assert (refused.reason, refused.detail) == (
            Reason.TAX_CODE_MISFIT,
            {"charged": "12.00 GBP", "tax_code": "20.0% S"},
        )


@pytest.mark.parametrize("kind", ["sales_receipt", "refund", "expense", "deposit", "transfer"])
async def test_an_account_of_the_wrong_type_is_named_with_what_is_wanted(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    travel = await account(books, "Travel")
    ends: dict[str, Any] = {"from_account": travel} if kind == "transfer" else {"account": travel}
    document = replace(await a_document(books, kind), **ends)
    refused = await refusal(books, await ready(books, document))
    assert (refused.reason, refused.provider_code) == (Reason.REFUSED, "6430")
    assert "“Travel” is of type Expense; QuickBooks wants a bank account" in refused.text


async def test_fees_leave_a_bank_account_only(quickbooks: Books) -> None:
    document = replace(await a_document(quickbooks, "expense"), account=await held(quickbooks))
    refused = await refusal(quickbooks, await ready(quickbooks, document))
    assert "is of type Other Current Asset; QuickBooks wants a bank account here" in refused.text


async def test_a_number_that_somebody_else_took_is_refused(quickbooks: Books) -> None:
    books = quickbooks
    theirs = await a_document(books, "sales_receipt")
    customer = await books.add_customer("Somebody else", None)
    ids = {CUSTOMER.step: customer}
    for item in books.provider.supporting(theirs):
        ids[item.step] = (await ensure(books.provider, item, within=books.namespace, source_id="i", ids={})).external_id
    made = await books.provider.execute(books.provider.prepare(theirs, key="key-theirs", ids=ids))
    await books.ask("PATCH", f"{books.root}/documents/salesreceipt/{made.external_id}", {"PrivateNote": "cash"})
    with pytest.raises(ProviderRejectedError) as refused:
        await books.provider.look_up(await ready(books, theirs))
    assert refused.value.reason is Reason.NUMBER_TAKEN


# -- several at once


def many(books: Books, bank: AccountRef, count: int = 12) -> list[MoneyDocument]:
    return [
        transfer(
            1000 + number,
            reference=f"TP-{number:012}",
            from_account=clearing(books),
            to_account=bank,
            date=date(2026, 11, 1 + number % 9),
        )
        for number in range(count)
    ]


async def together(books: Books, documents: list[MoneyDocument]) -> list[PreparedWrite]:
    return [await ready(books, document, f"key-{n}") for n, document in enumerate(documents)]


async def test_a_batch_posts_each_once_and_costs_one_call(quickbooks: Books) -> None:
    books = quickbooks
    writes = await together(books, many(books, await account(books, "Checking"), 25))
    await books.ask("DELETE", f"{books.root}/counters")
    before = books.provider.calls
    first = await books.provider.execute_many(writes, key="batch-1")
    assert books.provider.calls - before == 1
    assert [end.total_minor for end in first if isinstance(end, Posted)] == [1000 + n for n in range(25)]
    again = await books.provider.execute_many(writes, key="batch-1")
    assert [_id(end) for end in again] == [_id(end) for end in first]
    assert await books.count("transfer") == 25
    counted = await books.ask("GET", f"{books.root}/counters")
    assert (counted["requests"], counted["batches"], counted["core"], counted["core_plus"]) == (2, 2, 25, 0)


@pytest.mark.parametrize("kind", [*KINDS, "invoice"])
async def test_every_kind_travels_in_a_batch(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    writes = []
    for number in range(3):
        reference = f"TX-{number:012}"
        document = sale(books, reference=reference) if kind == "invoice" else await a_document(books, kind)
        writes.append(await ready(books, replace(document, reference=reference), f"key-{number}"))
    ends = await books.provider.execute_many(writes, key="batch-1")
    total = 25000 if kind == "invoice" else 10000
    assert [(end.total_minor if isinstance(end, Posted) else end) for end in ends] == [total] * 3
    before = books.provider.calls
    found = await books.provider.look_up_many(writes)
    assert [_id(row) for row in found] == [_id(end) for end in ends]
    assert books.provider.calls - before == 1
    assert writes[0].kind in books.provider.limits.together


async def test_in_a_batch_each_member_ends_for_itself(quickbooks: Books) -> None:
    books = quickbooks
    bank = await account(books, "Checking")
    archived = await books.provider.create_account("Old bank", AccountType.BANK, key="old-1")
    documents = many(books, bank, 6)
    for number in (1, 3, 4):
        documents[number] = replace(
            documents[number], to_account=AccountRef(archived.external_id, "Old bank", is_bank=True)
        )
    writes = await together(books, documents)
    await books.archive_account(archived.external_id)
    before = books.provider.calls
    ends = await books.provider.execute_many(writes, key="batch-1")
    refused = [end for end in ends if isinstance(end, ProviderRejectedError)]
    assert [isinstance(end, Posted) for end in ends] == [True, False, True, False, False, True]
    assert {end.reason for end in refused} == {Reason.ACCOUNT_INACTIVE}
    assert all("Old bank" in str(end.detail["account"]) for end in refused)
    # One batch and one question, however many were refused for the same account.
    assert books.provider.calls - before == 2
    assert await balance(books, "Stripe clearing") == -(1000 + 1002 + 1005)


@pytest.mark.parametrize("rule", ["drop_after_commit", "truncate", "junk", "html_500", "drop_before_commit"])
async def test_after_a_broken_batch_the_look_up_says_what_stands(quickbooks: Books, rule: str) -> None:
    books = quickbooks
    writes = await together(books, many(books, await account(books, "Checking")))
    await books.fail(kind=rule, path="/batch")
    with pytest.raises(OutcomeUnknownError):
        await books.provider.execute_many(writes, key="batch-1")
    found = await books.provider.look_up_many(writes)
    is_done = rule in ("drop_after_commit", "truncate")
    assert [row is not None for row in found] == [is_done] * 12
    # The very same batch again is safe, whatever stood.
    ends = await books.provider.execute_many(writes, key="batch-1")
    assert all(isinstance(end, Posted) for end in ends)
    assert await books.count("transfer") == 12


async def test_a_member_sent_alone_after_its_batch_is_another_write_to_quickbooks(quickbooks: Books) -> None:
    """Why the engine looks up before it sends alone what was in a batch: the key alone does not protect."""
    books = quickbooks
    (write,) = await together(books, many(books, await account(books, "Checking"), 1))
    await books.provider.execute_many([write], key="batch-1")
    assert await books.provider.look_up(write) is not None
    await books.provider.execute(write)
    assert await books.count("transfer") == 2


async def test_a_batch_refused_for_pace_was_not_executed(quickbooks: Books) -> None:
    books = quickbooks
    writes = await together(books, many(books, await account(books, "Checking")))
    await books.fail(kind="rate_limit", path="/batch", retry_after="17")
    with pytest.raises(RateLimitedError) as refused:
        await books.provider.execute_many(writes, key="batch-1")
    assert refused.value.retry_after_s == 17
    assert await books.count("transfer") == 0


async def test_a_batch_of_a_company_whose_plan_ended_is_refused_whole(quickbooks: Books) -> None:
    books = quickbooks
    writes = await together(books, many(books, await account(books, "Checking")))
    await books.behave(subscription_ended=True)
    with pytest.raises(ProviderRejectedError) as refused:
        await books.provider.execute_many(writes, key="batch-1")
    assert refused.value.reason is Reason.SUBSCRIPTION_ENDED


async def test_our_pace_of_batches_stays_within_theirs(quickbooks: Books) -> None:
    limits = quickbooks.provider.limits
    assert (limits.batches_per_second or 0) * 60 <= 40
    assert max(limits.together.values()) == 25
    assert 1 < limits.together_from <= 25


# -- read back


@pytest.mark.parametrize("kind", KINDS)
async def test_documents_are_read_back_with_one_question(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    made = []
    for number in range(3):
        document = replace(await a_document(books, kind), reference=f"TX-{number:012}")
        made.append(await posted(books, document, f"key-{number}"))
    kept, gone = made[0], made[1]
    await books.ask("POST", f"{books.root}/documents/{ENTITIES[kind]}/{gone.external_id}/delete")
    before = books.provider.calls
    standing = await books.provider.read_back(DocumentKind(kind), [*(m.external_id for m in made), "999999"])
    assert books.provider.calls - before == 1
    assert [standing[m.external_id].stands for m in made] == [True, False, True]
    assert standing["999999"].stands is False
    stands = standing[kept.external_id]
    assert (stands.total_minor, stands.currency, stands.date) == (10000, "USD", DAY)
    assert stands.changed_at is not None


async def test_a_voided_invoice_and_a_changed_one_are_seen(quickbooks: Books) -> None:
    books = quickbooks
    voided = await books.provider.execute(await frozen(books, sale(books)))
    await books.ask("POST", f"{books.root}/documents/invoice/{voided.external_id}/void")
    second = await books.provider.execute(await frozen(books, sale(books, reference="TO-2"), "key-2"))
    lines = (await books.ask("GET", f"{books.root}/documents/invoice/{second.external_id}"))["document"]["Line"]
    changed = {**lines[0], "Amount": 99, "SalesItemLineDetail": {**lines[0]["SalesItemLineDetail"], "UnitPrice": 99}}
    changed["SalesItemLineDetail"].pop("ItemAccountRef")
    changed.pop("CustomExtensions")
    await books.ask("PATCH", f"{books.root}/documents/invoice/{second.external_id}", {"Line": [changed]})
    standing = await books.provider.read_back(DocumentKind.INVOICE, [voided.external_id, second.external_id])
    assert (standing[voided.external_id].stands, standing[voided.external_id].total_minor) == (False, 0)
    assert (standing[second.external_id].stands, standing[second.external_id].total_minor) == (True, 9900)


@pytest.mark.parametrize("kind", ["sales_receipt", "payment"])
async def test_voided_money_stands_no_more_and_is_not_adopted(quickbooks: Books, kind: str) -> None:
    books = quickbooks
    if kind == "payment":
        bill = await books.provider.execute(await frozen(books, sale(books)))
        ids = {CUSTOMER.step: str(bill.party_id), "invoice": bill.external_id}
        write = books.provider.prepare(receipt(books), key="key-payment", ids=ids)
    else:
        write = await ready(books, await a_document(books, kind))
    made = await books.provider.execute(write)
    await books.ask("POST", f"{books.root}/documents/{ENTITIES.get(kind, kind)}/{made.external_id}/void")
    standing = (await books.provider.read_back(write.kind, [made.external_id]))[made.external_id]
    assert (standing.stands, standing.total_minor) == (False, 0)
    with pytest.raises(ProviderRejectedError) as refused:
        await books.provider.look_up(write)
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


async def test_the_balance_is_the_books_own(quickbooks: Books) -> None:
    books = quickbooks
    await posted(books, sold(Refund, sale_line(books, 10825), account=clearing(books)))
    assert await books.provider.read_balance(books.clearing_account) == -10825
    with pytest.raises(ProviderRejectedError):
        await books.provider.read_balance("999999")


async def test_sales_of_the_days_are_listed_whoever_made_them(quickbooks: Books) -> None:
    books = quickbooks
    first = await books.provider.execute(await frozen(books, sale(books)))
    await books.take_number("1042")
    receipt = await posted(books, replace(await a_document(books, "sales_receipt"), reference="TO-3"), "key-3")
    await posted(books, await a_document(books, "refund"), "key-4")
    listed = await books.provider.list_sales(date(2026, 11, 1), DAY)
    assert [(s.kind, s.number, s.date, s.total_minor, s.customer_name) for s in listed] == [
        (DocumentKind.INVOICE, "1042", date(2026, 11, 1), 100, "Somebody else"),
        (DocumentKind.INVOICE, first.number, DAY, 25000, "Ana Lima"),
        (DocumentKind.SALES_RECEIPT, "TO-3", DAY, 10000, "Ana Lima"),
    ]
    assert (listed[2].external_id, "TO-3" in listed[2].note, "re_Example" in listed[2].note) == (
        receipt.external_id,
        True,
        True,
    )
    assert await books.provider.list_sales(date(2026, 11, 2), date(2026, 11, 19)) == []


def _id(end: object) -> str | None:
    return end.external_id if isinstance(end, Posted) else None
