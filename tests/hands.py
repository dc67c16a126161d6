"""The owner at work in each set of books: what makes them refuse an entry, and what makes them take it again."""

from abc import ABC, abstractmethod
from datetime import date
from typing import Any

from core.accounting.mock.adapter import MockAccountingAdapter
from core.books.documents import DocumentKind
from tests.outside import BASE
from tests.play import Play
from tests.practice_hand import OwnersHand
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl


class Hand(ABC):
    """One owner's hand. Ids of accounts and tax codes are those that the product knows."""

    def __init__(self, play: Play) -> None:
        self.play = play

    @abstractmethod
    async def close_books(self, day: str | None) -> None:
        """Close the books up to and with a day; None opens them."""

    @abstractmethod
    async def archive_account(self, account_id: str) -> None: ...

    @abstractmethod
    async def restore_account(self, account_id: str) -> None: ...

    @abstractmethod
    async def add_client(self, name: str, email: str) -> str: ...

    @abstractmethod
    async def rename_client(self, client_id: str, name: str) -> None: ...

    @abstractmethod
    async def take_number(self, number: str) -> str:
        """Write an invoice of another client under this number; return its id."""

    @abstractmethod
    async def give_number_up(self, invoice_id: str) -> None:
        """Take that invoice away, so that the number is free."""

    @abstractmethod
    async def count_sales(self) -> int:
        """How many invoices stand, whoever made them."""


class QuickBooksHand(Hand):
    """In the stand-in's QuickBooks."""

    @property
    def control(self) -> QuickBooksControl:
        return QuickBooksControl(BASE, self.play.http)

    async def close_books(self, day: str | None) -> None:
        await self.control.set_behaviour(self.play.company, book_close_date=day)

    async def archive_account(self, account_id: str) -> None:
        await self.control.deactivate(self.play.company, "account", account_id)

    async def restore_account(self, account_id: str) -> None:
        await self.control.activate(self.play.company, "account", account_id)

    async def add_client(self, name: str, email: str) -> str:
        body = {"DisplayName": name, "PrimaryEmailAddr": {"Address": email}}
        return str((await self.control.create_document(self.play.company, "customer", body))["Id"])

    async def rename_client(self, client_id: str, name: str) -> None:
        await self.control.edit_document(self.play.company, "customer", client_id, {"DisplayName": name})

    async def take_number(self, number: str) -> str:
        owner = await self.add_client("Somebody else", "else@example.com")
        item = (await self.control.documents(self.play.company, "item"))[0]["Id"]
        detail = {"ItemRef": {"value": item}, "TaxCodeRef": {"value": await self.play.tax_code("Non-taxable")}}
        line = {"Amount": 1.00, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}
        body = {"CustomerRef": {"value": owner}, "DocNumber": number, "TxnDate": "2026-03-02", "Line": [line]}
        return str((await self.control.create_document(self.play.company, "invoice", body))["Id"])

    async def give_number_up(self, invoice_id: str) -> None:
        await self.control.delete_document(self.play.company, "invoice", invoice_id)

    async def count_sales(self) -> int:
        return len(await self.control.documents(self.play.company, "invoice"))


class XeroHand(Hand):
    """In the stand-in's Xero."""

    @property
    def control(self) -> XeroControl:
        return XeroControl(BASE, self.play.http)

    async def close_books(self, day: str | None) -> None:
        await self.control.set_behaviour(self.play.company, period_lock_date=day)

    async def archive_account(self, account_id: str) -> None:
        await self.control.act(self.play.company, "Account", account_id, "archive")

    async def restore_account(self, account_id: str) -> None:
        await self.control.act(self.play.company, "Account", account_id, "restore")

    async def add_client(self, name: str, email: str) -> str:
        body = {"Name": name, "EmailAddress": email}
        return str((await self.control.create_record(self.play.company, "Contact", body))["ContactID"])

    async def rename_client(self, client_id: str, name: str) -> None:
        await self.control.edit_record(self.play.company, "Contact", client_id, {"Name": name})

    async def take_number(self, number: str) -> str:
        body: dict[str, Any] = {
            "Type": "ACCREC",
            "Status": "AUTHORISED",
            "Contact": {"ContactID": await self.add_client("Somebody else", "else@example.com")},
            "Date": "2026-03-02",
            "DueDate": "2026-03-02",
            "InvoiceNumber": number,
            "LineAmountTypes": "NoTax",
            "LineItems": [
                {"Description": "Work", "UnitAmount": 1, "AccountID": self.play.accounts["Product income"]},
            ],
        }
        return str((await self.control.create_record(self.play.company, "Invoice", body))["InvoiceID"])

    async def give_number_up(self, invoice_id: str) -> None:
        # A voided invoice keeps its number for ever; another number frees it.
        await self.control.edit_record(self.play.company, "Invoice", invoice_id, {"InvoiceNumber": "INV-OTHER"})
        await self.control.act(self.play.company, "Invoice", invoice_id, "void")

    async def count_sales(self) -> int:
        found = await self.control.records(self.play.company, "Invoice")
        return len([one for one in found if one["Status"] not in ("VOIDED", "DELETED")])


class PracticeHand(Hand):
    """In the practice books."""

    @property
    def provider(self) -> MockAccountingAdapter:
        assert isinstance(self.play.provider, MockAccountingAdapter)
        return self.play.provider

    async def close_books(self, day: str | None) -> None:
        self.provider.books.close_to(day or "")

    async def archive_account(self, account_id: str) -> None:
        self.provider.books.set_account_active(account_id, active=False)

    async def restore_account(self, account_id: str) -> None:
        self.provider.books.set_account_active(account_id, active=True)

    async def add_client(self, name: str, email: str) -> str:
        return self.provider.books.add_customer(name, email)

    async def rename_client(self, client_id: str, name: str) -> None:
        raise NotImplementedError("nobody can rename a client of the practice books")

    async def take_number(self, number: str) -> str:
        hand = OwnersHand(self.provider.books)
        return hand.add_sale(DocumentKind.INVOICE, date(2026, 3, 2), 100, number=number)

    async def give_number_up(self, invoice_id: str) -> None:
        OwnersHand(self.provider.books).delete(DocumentKind.INVOICE, invoice_id)

    async def count_sales(self) -> int:
        return len(self.provider.books.documents(DocumentKind.INVOICE.value))


HANDS: dict[str, type[Hand]] = {"quickbooks": QuickBooksHand, "xero": XeroHand, "mock": PracticeHand}
