"""A document as the bytes that will be sent, and what of those bytes is compared with the books later. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from core.accounting.port import Company, PreparedWrite
from core.accounting.xero import answers, bodies, money_bodies, organisation, schemas
from core.books.documents import (
    CreditNote,
    Customer,
    Deposit,
    Document,
    Expense,
    Invoice,
    Item,
    MoneyDocument,
    Payee,
    Payment,
    Refund,
    Repayment,
    SalesReceipt,
    Transfer,
)
from core.errors import ProviderRejectedError, StopError
from core.reasons import Reason

CONTACTS, INVOICES, PAYMENTS = "/Contacts", "/Invoices", "/Payments"
CREDIT_NOTES, BANK_TRANSACTIONS, BANK_TRANSFERS = "/CreditNotes", "/BankTransactions", "/BankTransfers"


class Frozen(msgspec.Struct, frozen=True, rename="pascal"):
    """What of the frozen bytes a look-up compares with."""

    contacts: tuple[answers.Contact, ...] = ()
    invoices: tuple[answers.Invoice, ...] = ()
    payments: tuple[answers.Payment, ...] = ()
    credit_notes: tuple[answers.CreditNote, ...] = ()
    bank_transactions: tuple[answers.BankTransaction, ...] = ()
    bank_transfers: tuple[answers.BankTransfer, ...] = ()

    @property
    def dated(self) -> tuple[answers.Dated, ...]:
        """Everything that lies on a day."""
        rows: list[answers.Dated] = [*self.invoices, *self.credit_notes, *self.payments]
        return (*rows, *self.bank_transactions, *self.bank_transfers)

    @property
    def only(self) -> answers.Row:
        """The one element of a frozen write."""
        rows: list[answers.Row] = [*self.contacts, *self.dated]
        (row,) = rows
        return row

    @property
    def account_ids(self) -> list[str]:
        """Every account that is named, in the order in which Xero would look at it."""
        lines = [row for row in self.dated if not isinstance(row, answers.Payment | answers.BankTransfer)]
        named = [line.account_id for row in lines for line in row.line_items]
        named += [row.account.account_id for row in self.payments if row.account]
        named += [row.bank_account.account_id for row in self.bank_transactions if row.bank_account]
        for row in self.bank_transfers:
            named += [end.account_id for end in (row.from_bank_account, row.to_bank_account) if end]
        return [account_id for account_id in named if account_id]

    @property
    def tax_types(self) -> list[str]:
        """Every tax code that is named on a line, in order."""
        lines = [row for row in self.dated if not isinstance(row, answers.Payment | answers.BankTransfer)]
        return [line.tax_type for row in lines for line in row.line_items if line.tax_type]


def frozen(write: PreparedWrite) -> Frozen:
    """Read the frozen bytes back."""
    return msgspec.json.decode(write.body, type=Frozen)


def day_of(write: PreparedWrite) -> str:
    """Return the day on which a frozen document is dated."""
    return next((row.date for row in frozen(write).dated), "")


def paid_document_id(write: PreparedWrite) -> str:
    """Return the invoice or credit note that a frozen payment is meant for."""
    (payment,) = frozen(write).payments
    return payment.document_id


def parts(document: MoneyDocument) -> Sequence[MoneyDocument]:
    """Return a refund as its credit note and the repayment of that; anything else as it is."""
    if not isinstance(document, Refund):
        return (document,)
    note = CreditNote(
        reference=document.reference,
        customer_step=document.customer_step,
        date=document.date,
        currency=document.currency,
        lines=document.lines,
        memo=document.memo,
        name=document.step,
    )
    repayment = Repayment(
        reference=document.reference,
        customer_step=document.customer_step,
        credit_note_step=note.step,
        date=document.date,
        currency=document.currency,
        amount_minor=document.total_minor,
        account=document.account,
        memo=document.memo,
        why=document.why,
        balance_transaction_id=document.balance_transaction_id,
        name=f"{document.step}_paid",
    )
    return (note, repayment)


def needs_payee(document: Document) -> bool:
    """Tell whether ``document`` becomes money spent or received, which Xero wants a contact for."""
    match document:
        case Expense() | Deposit():
            return True
        case Transfer():
            return not money_bodies.is_between_banks(document)
        case _:
            return False


def freeze(document: Document, *, key: str, ids: Mapping[str, str], revision: int, company: Company) -> PreparedWrite:
    """Freeze ``document``; see :meth:`~core.accounting.xero.adapter.XeroAdapter.prepare`."""
    match document:
        case Customer():
            contact = bodies.contact_body(document, revision=revision)
            return _supporting(document, key, contact)
        case Payee():
            contact = bodies.payee_body(document, revision=revision)
            return _supporting(document, key, contact)
        case Item() | Refund():
            # Xero has no use for items, and takes a refund in two parts.
            raise StopError(Reason.OUR_FAULT, {"unexpected": document.kind.value})
        case _:
            _refuse_beforehand(document, company)
            path, body, party_id = _money(document, ids, organisation.untaxed_type(company))
            return PreparedWrite(
                kind=document.kind,
                step=document.step,
                key=key,
                reference=document.reference,
                path=path,
                body=schemas.encode(body),
                total_minor=document.total_minor,
                currency=document.currency.upper(),
                party_id=party_id,
                home_minor=document.home_minor if isinstance(document, Payment) else None,
            )


def _supporting(document: Customer | Payee, key: str, contact: schemas.ContactBody) -> PreparedWrite:
    return PreparedWrite(
        kind=document.kind,
        step=document.step,
        key=key,
        reference=contact.name,
        path=CONTACTS,
        body=schemas.encode(schemas.Contacts(contacts=(contact,))),
        total_minor=None,
        currency=document.currency.upper(),
    )


def _money(
    document: Invoice | Payment | SalesReceipt | CreditNote | Repayment | Expense | Deposit | Transfer,
    ids: Mapping[str, str],
    untaxed: str,
) -> tuple[str, msgspec.Struct, str | None]:
    """Return the collection, the envelope and the contact of a document."""
    match document:
        case Invoice():
            invoice = bodies.invoice_body(document, ids, untaxed_type=untaxed)
            return INVOICES, schemas.Invoices(invoices=(invoice,)), invoice.contact.contact_id
        case CreditNote():
            note = bodies.credit_note_body(document, ids, untaxed_type=untaxed)
            return CREDIT_NOTES, schemas.CreditNotes(credit_notes=(note,)), note.contact.contact_id
        case Payment() | Repayment():
            paid = bodies.paid_body(document, ids)
            return PAYMENTS, schemas.Payments(payments=(paid,)), bodies.needed(ids, document.customer_step)
        case Transfer() if money_bodies.is_between_banks(document):
            transfer = money_bodies.transfer_body(document)
            return BANK_TRANSFERS, schemas.BankTransfers(bank_transfers=(transfer,)), None
        case _:
            spent = money_bodies.bank_body(document, ids, untaxed_type=untaxed)
            envelope = schemas.BankTransactions(bank_transactions=(spent,))
            return BANK_TRANSACTIONS, envelope, spent.contact.contact_id


def _refuse_beforehand(document: MoneyDocument, company: Company) -> None:
    """Refuse what we never want: another currency than the books' (but of a sale that says so), and a locked period.

    Xero's locks stop most people but not an adviser, and whoever connected may be one.
    """
    home = company.home_currency.upper()
    is_foreign = isinstance(document, Invoice | Payment) and document.home_minor is not None
    if document.currency.upper() != home and not is_foreign:
        raise ProviderRejectedError(
            Reason.CURRENCY_NOT_ENABLED, detail={"currency": document.currency.upper(), "home_currency": home}
        )
    locked_to = organisation.locked_to(company)
    if locked_to and document.date.isoformat() <= locked_to:
        raise ProviderRejectedError(
            Reason.PERIOD_CLOSED, detail={"date": document.date.isoformat(), "closed_to": locked_to}
        )
