"""What every provider keeps, whoever it is."""

from dataclasses import replace
from typing import Any

import pytest

from core.accounting import registry
from core.accounting.port import AccountType, PreparedWrite
from core.books.documents import Customer, Invoice, LineKind, Payment
from core.errors import NotFoundError, ProviderRejectedError
from core.reasons import Reason
from tests.contract.bench import Bench
from tests.contract.conftest import BENCHES
from tests.core.accounting.documents import CUSTOMER, REFERENCE, invoice, line, payment


def client(bench: Bench, **changes: Any) -> Customer:
    return replace(CUSTOMER, currency=bench.currency, **changes)


def sale(bench: Bench, *parts: tuple[int, int], **changes: Any) -> Invoice:
    lines = [
        line(
            net,
            tax,
            kind=LineKind.DISCOUNT if net < 0 else LineKind.SERVICE,
            income_account_id=bench.income_account,
            **bench.line_tax(taxed=tax != 0),
        )
        for net, tax in parts or ((25000, 0),)
    ]
    return invoice(*lines, currency=bench.currency, **changes)


def receipt(bench: Bench, amount_minor: int = 25000, **changes: Any) -> Payment:
    return payment(amount_minor, clearing_account_id=bench.clearing_account, currency=bench.currency, **changes)


async def frozen(bench: Bench, document: Invoice, key: str = "key-invoice") -> PreparedWrite:
    """Prepare an invoice with everything that it needs standing in the books."""
    ids = {CUSTOMER.step: await bench.provider.sync_customer(client(bench))}
    for item in bench.provider.supporting(document):
        write = bench.provider.prepare(item, key="key-item", ids={})
        found = await bench.provider.look_up(write) or await bench.provider.execute(write)
        ids[item.step] = found.external_id
    return bench.provider.prepare(document, key=key, ids=ids)


async def refusal(bench: Bench, write: PreparedWrite) -> ProviderRejectedError:
    with pytest.raises(ProviderRejectedError) as refused:
        await bench.provider.execute(write)
    return refused.value


def test_every_provider_of_the_registry_is_under_contract() -> None:
    assert [provider.kind for provider in registry.every()] == list(BENCHES)
    assert all(registry.get(provider.kind) is provider and provider.display_name for provider in registry.every())
    with pytest.raises(NotFoundError):
        registry.get("sage")


# -- the sale, whole


async def test_a_paid_sale_ends_on_clearing_to_the_cent(us_books: Bench) -> None:
    books = us_books
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books, (120000, 0), (30000, 2475)), customer_id=customer_id)
    assert (posted.total_minor, posted.currency, posted.number) == (152475, "USD", REFERENCE)
    money = await books.provider.record_payment(
        receipt(books, 152475), customer_id=customer_id, invoice_id=posted.external_id
    )
    assert (money.total_minor, money.currency, money.party_id) == (152475, "USD", customer_id)
    assert await books.balances() == {"clearing": 152475, "income": -150000, "tax": -2475, "receivable": 0}
    assert await books.is_balanced()


async def test_value_added_tax_as_stripe_took_it(gb_books: Bench) -> None:
    # 33.33 at 20 % is 6.67; Stripe took 6.66 of an inclusive price. The books keep Stripe's cent.
    books = gb_books
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books, (3333, 666), (1000, 0)), customer_id=customer_id)
    assert posted.total_minor == 4999
    await books.provider.record_payment(receipt(books, 4999), customer_id=customer_id, invoice_id=posted.external_id)
    assert await books.balances() == {"clearing": 4999, "income": -4333, "tax": -666, "receivable": 0}


async def test_a_discount_is_a_line_of_its_own(us_books: Bench) -> None:
    books = us_books
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books, (40000, 3300), (-5000, -413)), customer_id=customer_id)
    assert posted.total_minor == 37887
    assert await books.balances() == {"clearing": 0, "income": -35000, "tax": -2887, "receivable": 37887}


async def test_the_acts_can_be_repeated(us_books: Bench) -> None:
    books = us_books
    first, again = [await _whole(books) for _ in range(2)]
    assert first == again
    assert (await books.names()).count("Ana Lima") == 1
    assert [await books.count("invoice"), await books.count("payment")] == [1, 1]


async def _whole(books: Bench) -> tuple[str, str, str]:
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books), customer_id=customer_id)
    money = await books.provider.record_payment(receipt(books), customer_id=customer_id, invoice_id=posted.external_id)
    return customer_id, posted.external_id, money.external_id


# -- the halves


async def test_the_same_key_writes_once(us_books: Bench) -> None:
    write = await frozen(us_books, sale(us_books))
    assert (await us_books.provider.execute(write)).external_id == (await us_books.provider.execute(write)).external_id
    assert await us_books.count("invoice") == 1


async def test_a_lost_answer_is_found_by_reference(us_books: Bench) -> None:
    books = us_books
    write = await frozen(books, sale(books))
    assert await books.provider.look_up(write) is None
    await books.lose_the_answer(write)
    found = await books.provider.look_up(write)
    assert found is not None
    assert (found.total_minor, found.number) == (25000, REFERENCE)
    assert (await books.provider.execute(write)).external_id == found.external_id
    assert await books.count("invoice") == 1


async def test_a_lost_answer_to_a_payment_is_found_by_reference(us_books: Bench) -> None:
    books = us_books
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books), customer_id=customer_id)
    ids = {CUSTOMER.step: customer_id, "invoice": posted.external_id}
    write = books.provider.prepare(receipt(books), key="key-payment", ids=ids)
    assert await books.provider.look_up(write) is None
    await books.lose_the_answer(write)
    found = await books.provider.look_up(write)
    assert found is not None
    assert (found.total_minor, found.party_id) == (25000, customer_id)
    assert await books.count("payment") == 1


async def test_a_lost_answer_to_a_customer_is_found_by_name(us_books: Bench) -> None:
    write = us_books.provider.prepare(client(us_books), key="key-customer", ids={})
    assert await us_books.provider.look_up(write) is None
    await us_books.lose_the_answer(write)
    found = await us_books.provider.look_up(write)
    assert found is not None
    assert found.external_id == await us_books.provider.sync_customer(client(us_books))
    assert (await us_books.names()).count("Ana Lima") == 1


async def test_prepared_bytes_do_not_depend_on_the_opening(us_books: Bench) -> None:
    write = await frozen(us_books, sale(us_books))
    us_books.provider = await us_books.reopen()
    assert (await frozen(us_books, sale(us_books))).body == write.body


# -- customers


async def test_a_client_the_books_already_have_is_not_doubled(us_books: Bench) -> None:
    known = await us_books.add_customer("Ana Lima", "ANA@example.com")
    assert await us_books.provider.sync_customer(client(us_books)) == known
    assert (await us_books.names()).count("Ana Lima") == 1


async def test_a_client_without_an_address_is_the_same_by_name(us_books: Bench) -> None:
    known = await us_books.add_customer("ana lima", None)
    assert await us_books.provider.sync_customer(client(us_books)) == known


async def test_another_person_of_the_same_name_gets_the_next_name(us_books: Bench) -> None:
    other = await us_books.add_customer("Ana Lima", "other@example.com")
    ours = await us_books.provider.sync_customer(client(us_books))
    assert ours != other
    assert "Ana Lima (ana@example.com)" in await us_books.names()
    assert await us_books.provider.sync_customer(client(us_books)) == ours


async def test_when_every_name_is_taken_a_person_decides(us_books: Bench) -> None:
    for name in ("Ana Lima", "Ana Lima (ana@example.com)", "Ana Lima (cus_Example1)"):
        await us_books.add_customer(name, "other@example.com")
    with pytest.raises(ProviderRejectedError) as refused:
        await us_books.provider.sync_customer(client(us_books))
    assert (refused.value.reason, refused.value.detail) == (Reason.NAME_TAKEN, {"client": "Ana Lima"})


async def test_an_archived_client_stops_the_sale(us_books: Bench) -> None:
    books = us_books
    write = await frozen(books, sale(books))
    await books.archive_customer(await books.provider.sync_customer(client(books)))
    refused = await refusal(books, write)
    assert (refused.reason, refused.detail) == (Reason.CUSTOMER_INACTIVE, {"client": "Ana Lima"})
    with pytest.raises(ProviderRejectedError) as stopped:
        await books.provider.sync_customer(client(books))
    assert stopped.value.reason is Reason.CUSTOMER_INACTIVE
    assert await books.count("invoice") == 0


@pytest.mark.parametrize("name", ["O'Neil & Söhne \\ Co", r"\' OR Id > '0", "Zoë 🌸", "a%b_c", '"; --'])
async def test_odd_names_are_found_again(us_books: Bench, name: str) -> None:
    before = len(await us_books.names())
    first = await us_books.provider.sync_customer(client(us_books, name=name))
    assert await us_books.provider.sync_customer(client(us_books, name=name)) == first
    assert len(await us_books.names()) == before + 1


# -- refusals


async def test_a_number_that_is_someone_elses_is_never_adopted(us_books: Bench) -> None:
    await us_books.take_number(REFERENCE)
    write = await frozen(us_books, sale(us_books))
    with pytest.raises(ProviderRejectedError) as refused:
        await us_books.provider.look_up(write)
    assert (refused.value.reason, refused.value.detail) == (Reason.NUMBER_TAKEN, {"reference": REFERENCE})


async def test_a_closed_month_is_refused_before_sending_and_by_the_books(us_books: Bench) -> None:
    books = us_books
    write = await frozen(books, sale(books))
    await books.close_books("2026-11-20")
    by_the_books = await refusal(books, write)
    assert by_the_books.reason is Reason.PERIOD_CLOSED
    assert by_the_books.detail == {"date": "2026-11-20", "closed_to": "2026-11-20"}
    books.provider = await books.reopen()
    with pytest.raises(ProviderRejectedError) as refused:
        await frozen(books, sale(books))
    assert refused.value.reason is Reason.PERIOD_CLOSED
    assert refused.value.detail == {"date": "2026-11-20", "closed_to": "2026-11-20"}
    assert await books.count("invoice") == 0


async def test_an_archived_clearing_account_stops_the_payment(us_books: Bench) -> None:
    books = us_books
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books), customer_id=customer_id)
    await books.archive_account(books.clearing_account)
    ids = {CUSTOMER.step: customer_id, "invoice": posted.external_id}
    write = books.provider.prepare(receipt(books), key="key-payment", ids=ids)
    refused = await refusal(books, write)
    assert refused.reason is Reason.ACCOUNT_INACTIVE
    assert "stripe clearing" in str(refused.detail["account"]).casefold()


async def test_an_invoice_is_not_paid_twice(us_books: Bench) -> None:
    books = us_books
    customer_id = await books.provider.sync_customer(client(books))
    posted = await books.provider.create_invoice(sale(books), customer_id=customer_id)
    ids = {CUSTOMER.step: customer_id, "invoice": posted.external_id}
    await books.provider.execute(books.provider.prepare(receipt(books), key="key-payment-1", ids=ids))
    second = books.provider.prepare(receipt(books, reference="TO-000000000000"), key="key-payment-2", ids=ids)
    assert (await refusal(books, second)).reason is Reason.CHANGED_IN_BOOKS
    assert (await books.balances())["clearing"] == 25000


async def test_a_foreign_currency_is_refused_before_sending(us_books: Bench) -> None:
    with pytest.raises(ProviderRejectedError) as refused:
        us_books.provider.prepare(payment(currency="EUR"), key="k", ids={})
    assert refused.value.reason is Reason.CURRENCY_NOT_ENABLED


# -- reading


async def test_the_company_says_who_it_is(gb_books: Bench) -> None:
    company = await gb_books.provider.read_company()
    assert (company.country, company.home_currency) == ("GB", "GBP")
    assert company.name
    assert all(isinstance(value, str) for value in company.options.values())


async def test_the_chart_shows_archived_accounts_as_such(us_books: Bench) -> None:
    accounts = {a.external_id: a for a in await us_books.provider.list_accounts()}
    assert accounts[us_books.clearing_account].type is AccountType.BANK
    assert accounts[us_books.income_account].type is AccountType.INCOME
    await us_books.archive_account(us_books.clearing_account)
    after = {a.external_id: a for a in await us_books.provider.list_accounts()}
    assert (accounts[us_books.clearing_account].active, after[us_books.clearing_account].active) == (True, False)
    assert len(after) == len(accounts)


async def test_tax_codes_have_rates_in_parts_per_million(gb_books: Bench) -> None:
    codes = {code.name: code.rate_ppm for code in await gb_books.provider.list_tax_codes()}
    assert gb_books.tax_codes.items() <= codes.items()
    assert {200_000, 0} <= set(codes.values())


async def test_in_the_states_there_are_these_and_no_others(us_books: Bench) -> None:
    codes = {code.name: code.rate_ppm for code in await us_books.provider.list_tax_codes()}
    assert codes == us_books.tax_codes


async def test_an_account_is_made_once(us_books: Bench) -> None:
    first = await us_books.provider.create_account("Stripe fees", AccountType.EXPENSE, key="account-1")
    again = await us_books.provider.create_account("stripe fees", AccountType.EXPENSE, key="account-2")
    assert first.external_id == again.external_id
    assert first.type is AccountType.EXPENSE
    with pytest.raises(ProviderRejectedError) as refused:
        await us_books.provider.create_account("Stripe fees", AccountType.INCOME, key="account-3")
    assert refused.value.reason is Reason.NAME_TAKEN
