"""What the practice books refuse, as real books do: closed days, archived accounts and clients, taken names."""

from collections.abc import Iterable

from core.accounting.mock.bodies import OWN, Body
from core.accounting.mock.books import RECEIVABLE, SALES_TAX, CustomerRow, DocumentRow, MockBooks
from core.accounting.port import Account, AccountType, Company, PreparedWrite
from core.books.documents import DocumentKind, MoneyDocument
from core.errors import ProviderRejectedError
from core.reasons import Reason

_NO_MONEY = frozenset(
    {
        AccountType.RECEIVABLE,
        AccountType.PAYABLE,
        AccountType.INCOME,
        AccountType.OTHER_INCOME,
        AccountType.EXPENSE,
        AccountType.OTHER_EXPENSE,
    }
)
_PAID_KIND = {DocumentKind.PAYMENT: DocumentKind.INVOICE, DocumentKind.REPAYMENT: DocumentKind.CREDIT_NOTE}


def refuse_beforehand(company: Company, document: MoneyDocument) -> None:
    """Refuse what is known without asking: a foreign currency, a day that was closed at the last reading.

    Raises:
        ProviderRejectedError: ``CURRENCY_NOT_ENABLED``, ``PERIOD_CLOSED``.
    """
    home = company.home_currency.upper()
    if document.currency.upper() != home:
        raise ProviderRejectedError(
            Reason.CURRENCY_NOT_ENABLED, detail={"currency": document.currency.upper(), "home_currency": home}
        )
    _refuse_closed(document.date.isoformat(), company.options.get("book_close_date", ""))


def refuse_taken_name(books: MockBooks, body: Body) -> None:
    """Refuse a second client of the same name.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN``.
    """
    if any(row.name.casefold() == body.name.casefold() for row in books.customers()):
        raise ProviderRejectedError(Reason.NAME_TAKEN, "the name is in use", detail={"client": body.name})


def refuse_document(books: MockBooks, write: PreparedWrite, body: Body) -> None:
    """Refuse a document that these books cannot take now.

    Raises:
        ProviderRejectedError: ``PERIOD_CLOSED``, ``CUSTOMER_INACTIVE``, ``ACCOUNT_INACTIVE`` (also for one that is
            unknown or of the wrong type), ``NUMBER_TAKEN``, ``CHANGED_IN_BOOKS`` when what it pays is gone or paid.
    """
    _refuse_closed(body.date, books.company().options["book_close_date"])
    if body.customer_id:
        _refuse_archived(next((row for row in books.customers() if row.id == body.customer_id), None))
    _refuse_accounts(books.accounts(), body)
    if books.find_document(write.kind.value, write.reference):
        raise ProviderRejectedError(Reason.NUMBER_TAKEN, "the number is in use", detail={"reference": write.reference})
    if body.pays_id is not None:
        paid = books.document_of_id(_PAID_KIND[write.kind].value, body.pays_id)
        _refuse_paid(paid, body.customer_id, write.total_minor or 0)


def is_same_person(email: str | None, match: CustomerRow) -> bool:
    """Whether a client of the same name is the one that is meant: no address contradicts it."""
    return not email or not match.email or email.strip().casefold() == match.email.strip().casefold()


def _refuse_closed(day: str, closed_to: str) -> None:
    if closed_to and day <= closed_to:
        raise ProviderRejectedError(Reason.PERIOD_CLOSED, detail={"date": day, "closed_to": closed_to})


def _refuse_archived(customer: CustomerRow | None) -> None:
    if customer is None or not customer.active:
        name = customer.name if customer else "this client"
        raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": name})


def _refuse_accounts(chart: Iterable[Account], body: Body) -> None:
    accounts = {account.external_id: account for account in chart}
    # Accounts that only the books themselves write on: by the client, by the tax code.
    own = {account.external_id for account in accounts.values() if account.name in (RECEIVABLE, SALES_TAX)}
    for account_id in dict.fromkeys((*(account_id for account_id, _ in body.entries), *body.money)):
        if account_id in OWN:
            continue
        account = accounts.get(account_id)
        if account is None or not account.active:
            raise _refused_account(account, "no such account, or an archived one")
        if account_id in own or (account_id in body.money and account.type in _NO_MONEY):
            raise _refused_account(account, "an account of this type cannot stand here")


def _refused_account(account: Account | None, text: str) -> ProviderRejectedError:
    name = account.name if account else "that account"
    return ProviderRejectedError(Reason.ACCOUNT_INACTIVE, text, detail={"account": name})


def _refuse_paid(paid: DocumentRow | None, customer_id: str, amount_minor: int) -> None:
    if paid is None or paid.is_voided or paid.customer_id != customer_id:
        raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, "nothing of this client to pay")
    if paid.paid_minor + amount_minor > paid.total_minor:
        raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, "it is paid already")
