"""The practice books are real books: balanced, durable, shared by processes, and as strict as the others."""

import asyncio
from pathlib import Path

import pytest

from core.accounting import registry
from core.accounting.mock.books import DocumentRow, MockBooks
from core.accounting.port import AccountingProvider, AccountType, Company
from core.accounting.settings import ProviderSettings
from core.errors import ConfigurationError, ProviderRejectedError, StopError
from core.outgoing import Outgoing
from core.reasons import Reason
from tests.contract.mock_bench import MockBench
from tests.core.accounting.documents import CUSTOMER, invoice, line, payment

COMPANY = Company("practice", "Practice", "US", "USD", {})


def opened(folder: Path) -> AccountingProvider:
    settings = ProviderSettings(data_path=str(folder / "data" / "books.sqlite"))
    return registry.get("mock").open(outgoing=Outgoing([]), settings=settings, access_token="", company=COMPANY)


def test_a_document_that_does_not_balance_is_not_written(tmp_path: Path) -> None:
    books = MockBooks(str(tmp_path / "books.sqlite"), COMPANY)
    owner = books.add_customer("Ana", None)
    row = DocumentRow("", "invoice", "TO-1", True, "2026-11-20", "USD", 100, owner, None, 0)
    with pytest.raises(ValueError, match="differ"), books.transaction() as db:
        books.add_document(
            db, row, [(books.account_named("Checking"), 100), (books.account_named("Session income"), -99)]
        )
    assert books.documents() == []
    assert books.trial_balance() == {}


async def test_books_outlive_the_process_that_wrote_them(tmp_path: Path) -> None:
    first = await opened(tmp_path).sync_customer(CUSTOMER)
    assert await opened(tmp_path).sync_customer(CUSTOMER) == first
    assert len(await opened(tmp_path).list_accounts()) == len(await opened(tmp_path).list_accounts())


def test_two_companies_share_a_file_and_nothing_else(tmp_path: Path) -> None:
    path = str(tmp_path / "books.sqlite")
    first = MockBooks(path, COMPANY)
    second = MockBooks(path, Company("other", "Other", "GB", "GBP", {}))
    first.add_customer("Ana", None)
    assert second.customers() == []
    assert [second.company().home_currency, first.company().home_currency] == ["GBP", "USD"]


async def test_writers_at_once_write_one_invoice(tmp_path: Path) -> None:
    bench = MockBench(tmp_path, "US")
    ids = {CUSTOMER.step: await bench.provider.sync_customer(CUSTOMER)}
    write = bench.provider.prepare(invoice(line(income_account_id=bench.income_account)), key="key-1", ids=ids)
    providers = [await bench.reopen() for _ in range(8)]

    def work(provider: AccountingProvider) -> str:
        return asyncio.run(provider.execute(write)).external_id

    found = await asyncio.gather(*(asyncio.to_thread(work, provider) for provider in providers))
    assert len(set(found)) == 1
    assert await bench.count("invoice") == 1


async def test_a_currency_without_cents(tmp_path: Path) -> None:
    bench = MockBench(tmp_path, "JP")
    customer_id = await bench.provider.sync_customer(CUSTOMER)
    sale = invoice(line(25000, income_account_id=bench.income_account), currency="jpy")
    posted = await bench.provider.create_invoice(sale, customer_id=customer_id)
    money = payment(25000, currency="jpy", clearing_account_id=bench.clearing_account)
    await bench.provider.record_payment(money, customer_id=customer_id, invoice_id=posted.external_id)
    assert (posted.total_minor, posted.currency) == (25000, "JPY")
    assert (await bench.balances())["clearing"] == 25000


async def test_more_than_the_open_amount_is_refused(tmp_path: Path) -> None:
    bench = MockBench(tmp_path, "US")
    customer_id = await bench.provider.sync_customer(CUSTOMER)
    sale = invoice(line(25000, income_account_id=bench.income_account))
    posted = await bench.provider.create_invoice(sale, customer_id=customer_id)
    money = payment(25001, clearing_account_id=bench.clearing_account)
    with pytest.raises(ProviderRejectedError) as refused:
        await bench.provider.record_payment(money, customer_id=customer_id, invoice_id=posted.external_id)
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS
    assert await bench.count("payment") == 0


async def test_an_account_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    bench = MockBench(tmp_path, "US")
    customer_id = await bench.provider.sync_customer(CUSTOMER)
    with pytest.raises(ProviderRejectedError) as refused:
        await bench.provider.create_invoice(invoice(line(income_account_id="9999")), customer_id=customer_id)
    assert refused.value.reason is Reason.ACCOUNT_INACTIVE


def test_without_a_file_or_an_id_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        registry.get("mock").open(outgoing=Outgoing([]), settings=ProviderSettings(), access_token="", company=COMPANY)
    with pytest.raises(ConfigurationError):
        registry.get("mock").oauth(Outgoing([]), ProviderSettings())
    with pytest.raises(StopError):
        opened(tmp_path).prepare(payment(), key="key-1", ids={})
    assert AccountType.BANK in {account.type for account in MockBooks(str(tmp_path / "b"), COMPANY).accounts()}
