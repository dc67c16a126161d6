"""Which keys the stand-in knows, per element: our own short table, far smaller than Xero's.

One word per key: ``Name:type``. Types: ``s`` text, ``s50`` text of at most 50, ``n`` number, ``b`` boolean, ``d`` date,
``g`` guid, ``e.X`` one of the enumeration X, another name an element of that shape, ``[X]`` an array. ``!`` in front:
the server fills it; a client that sends it is ignored.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from web.sandbox.xero.amounts import read_day
from web.sandbox.xero.errors import bad_data

Json = dict[str, Any]

ENUMS = {
    "AccountType": (
        "BANK|CURRENT|CURRLIAB|DEPRECIATN|DIRECTCOSTS|EQUITY|EXPENSE|FIXED|INVENTORY|LIABILITY|NONCURRENT|"
        "OTHERINCOME|OVERHEADS|PREPAYMENT|REVENUE|SALES|TERMLIAB|PAYG"
    ),
    "AccountStatus": "ACTIVE|ARCHIVED|DELETED",
    "BankAccountType": "BANK|CREDITCARD|PAYPAL|NONE",
    "ContactStatus": "ACTIVE|ARCHIVED|GDPRREQUEST",
    "AddressType": "POBOX|STREET",
    "PhoneType": "DEFAULT|DDI|MOBILE|FAX|OFFICE",
    "InvoiceType": "ACCREC|ACCPAY",
    "CreditNoteType": "ACCRECCREDIT|ACCPAYCREDIT",
    "DocumentStatus": "DRAFT|SUBMITTED|DELETED|AUTHORISED|PAID|VOIDED",
    "LineAmountTypes": "Exclusive|Inclusive|NoTax",
    "BankTransactionType": (
        "RECEIVE|RECEIVE-OVERPAYMENT|RECEIVE-PREPAYMENT|SPEND|SPEND-OVERPAYMENT|SPEND-PREPAYMENT|"
        "RECEIVE-TRANSFER|SPEND-TRANSFER"
    ),
    "BankStatus": "AUTHORISED|DELETED|VOIDED",
    "PaymentStatus": "AUTHORISED|DELETED",
    "JournalStatus": "DRAFT|POSTED|DELETED|VOIDED|ARCHIVED",
}

_ANSWER = "!StatusAttributeString:s !ValidationErrors:[ValidationError]"
_DOCUMENT = (
    "Contact:Contact LineItems:[LineItem] Date:d DueDate:d LineAmountTypes:e.LineAmountTypes Reference:s "
    "CurrencyCode:s CurrencyRate:n Status:e.DocumentStatus SentToContact:b BrandingThemeID:g !SubTotal:n !TotalTax:n "
    "!Total:n !Payments:[Payment] !FullyPaidOnDate:d !UpdatedDateUTC:d !UpdatedDateUTCString:s !HasAttachments:b "
    f"!HasErrors:b {_ANSWER} !Warnings:[ValidationError]"
)

SHAPES = {
    "Account": (
        "Code:s10 Name:s150 AccountID:g Type:e.AccountType BankAccountNumber:s Status:e.AccountStatus Description:s "
        "BankAccountType:e.BankAccountType CurrencyCode:s TaxType:s EnablePaymentsToAccount:b ShowInExpenseClaims:b "
        "ReportingCode:s AddToWatchlist:b !Class:s !SystemAccount:s !ReportingCodeName:s !HasAttachments:b "
        "!UpdatedDateUTC:d !ValidationErrors:[ValidationError]"
    ),
    "TaxRate": (
        "Name:s TaxType:s Status:s !ReportTaxType:s !CanApplyToAssets:b !CanApplyToEquity:b !CanApplyToExpenses:b "
        "!CanApplyToLiabilities:b !CanApplyToRevenue:b !DisplayTaxRate:n !EffectiveRate:n"
    ),
    "Currency": "Code:s Description:s",
    "Contact": (
        "ContactID:g ContactNumber:s50 AccountNumber:s50 ContactStatus:e.ContactStatus Name:s255 FirstName:s255 "
        "LastName:s255 CompanyNumber:s50 EmailAddress:s255 ContactPersons:[ContactPerson] BankAccountDetails:s "
        "TaxNumber:s50 Addresses:[Address] Phones:[Phone] DefaultCurrency:s !IsSupplier:b !IsCustomer:b "
        f"!UpdatedDateUTC:d !HasAttachments:b !HasValidationErrors:b {_ANSWER}"
    ),
    "ContactPerson": "FirstName:s LastName:s EmailAddress:s IncludeInEmails:b",
    "Address": (
        "AddressType:e.AddressType AddressLine1:s500 AddressLine2:s500 AddressLine3:s500 AddressLine4:s500 City:s255 "
        "Region:s255 PostalCode:s50 Country:s50 AttentionTo:s255"
    ),
    "Phone": "PhoneType:e.PhoneType PhoneNumber:s50 PhoneAreaCode:s10 PhoneCountryCode:s20",
    "Item": (
        "ItemID:g Code:s30 Name:s50 IsSold:b IsPurchased:b Description:s4000 PurchaseDescription:s4000 "
        "SalesDetails:Purchase PurchaseDetails:Purchase !IsTrackedAsInventory:b !UpdatedDateUTC:d "
        f"{_ANSWER}"
    ),
    "Purchase": "UnitPrice:n AccountCode:s TaxType:s",
    "Invoice": (
        f"{_DOCUMENT} InvoiceID:g Type:e.InvoiceType InvoiceNumber:s255 Url:s ExpectedPaymentDate:d "
        "PlannedPaymentDate:d !AmountDue:n !AmountPaid:n !AmountCredited:n !TotalDiscount:n !IsDiscounted:b "
        "!CreditNotes:[CreditNote]"
    ),
    "CreditNote": (
        f"{_DOCUMENT} CreditNoteID:g Type:e.CreditNoteType CreditNoteNumber:s255 !RemainingCredit:n !AppliedAmount:n "
        "!Allocations:[Allocation]"
    ),
    "LineItem": (
        "LineItemID:g Description:s4000 Quantity:n UnitAmount:n ItemCode:s30 AccountCode:s AccountID:g TaxType:s "
        "TaxAmount:n LineAmount:n Tracking:[LineItemTracking] DiscountRate:n DiscountAmount:n"
    ),
    "LineItemTracking": "TrackingCategoryID:g TrackingOptionID:g Name:s100 Option:s",
    "Allocation": (
        "AllocationID:g Invoice:Invoice CreditNote:CreditNote Amount:n Date:d !IsDeleted:b "
        "!StatusAttributeString:s !ValidationErrors:[ValidationError]"
    ),
    "Payment": (
        "PaymentID:g Invoice:Invoice CreditNote:CreditNote Account:Account Date:d CurrencyRate:n Amount:n "
        "BankAmount:n Reference:s IsReconciled:b Status:e.PaymentStatus !PaymentType:s !UpdatedDateUTC:d "
        "!UpdatedDateUTCString:s !HasAccount:b !HasValidationErrors:b "
        f"{_ANSWER} !Warnings:[ValidationError]"
    ),
    "BankTransaction": (
        "BankTransactionID:g Type:e.BankTransactionType Contact:Contact LineItems:[LineItem] BankAccount:Account "
        "IsReconciled:b Date:d Reference:s CurrencyCode:s CurrencyRate:n Url:s Status:e.BankStatus "
        "LineAmountTypes:e.LineAmountTypes !SubTotal:n !TotalTax:n !Total:n !UpdatedDateUTC:d !HasAttachments:b "
        f"{_ANSWER}"
    ),
    "BankTransfer": (
        "BankTransferID:g FromBankAccount:Account ToBankAccount:Account Amount:n Date:d Reference:s "
        "FromIsReconciled:b ToIsReconciled:b Status:e.PaymentStatus !CurrencyRate:n !FromBankTransactionID:g "
        "!ToBankTransactionID:g !HasAttachments:b !CreatedDateUTC:d !ValidationErrors:[ValidationError]"
    ),
    "ManualJournal": (
        "ManualJournalID:g Narration:s JournalLines:[ManualJournalLine] Date:d LineAmountTypes:e.LineAmountTypes "
        "Status:e.JournalStatus Url:s ShowOnCashBasisReports:b !HasAttachments:b !UpdatedDateUTC:d "
        f"{_ANSWER} !Warnings:[ValidationError]"
    ),
    "ManualJournalLine": "LineAmount:n AccountCode:s AccountID:g Description:s TaxType:s TaxAmount:n IsBlank:b",
    "HistoryRecord": "Details:s2500 !Changes:s !User:s !DateUTC:d",
    "TrackingCategory": "TrackingCategoryID:g Name:s100 Status:s !Options:[TrackingOption]",
    "TrackingOption": "TrackingOptionID:g Name:s100 Status:s",
    "ValidationError": "Message:s",
}

# Keys of Xero's own examples that its file forgets; answers carry them, `where` knows them, requests must not.
TWINS = frozenset({"DateString", "DueDateString"})
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """One key of a shape."""

    type: str
    is_array: bool
    is_read_only: bool
    max_length: int | None


def _parse(text: str) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for word in text.split():
        name, kind = word.split(":")
        is_array = kind.startswith("[")
        kind = kind.strip("[]")
        limit = int(kind[1:]) if kind[0] == "s" and kind[1:].isdigit() else None
        keys[name.lstrip("!")] = Key("s" if limit else kind, is_array, name.startswith("!"), limit)
    return keys


KEYS = {name: _parse(text) for name, text in SHAPES.items()}
VALUES = {name: frozenset(text.split("|")) for name, text in ENUMS.items()}


def clean(shape: str, body: Any, too_long: list[str], where: str = "") -> Json:
    """Return what the client may decide; refuse loudly what Xero would overlook.

    Unknown keys and wrong types end the request, so that no typing error of ours hides. Texts that are too long belong
    to the element and are added to ``too_long``.
    """
    where = where or shape
    if not isinstance(body, dict):
        raise bad_data(f"{where}: an object expected")
    kept: Json = {}
    for name, value in body.items():
        key = KEYS[shape].get(name)
        if key is None:
            raise bad_data(f"Sandbox: {where}.{name} is not a field that Xero knows")
        if value is None or key.is_read_only:
            continue
        kept[name] = _value(key, value, too_long, f"{where}.{name}")
    return kept


def _value(key: Key, value: Any, too_long: list[str], where: str) -> Any:
    if key.is_array:
        if not isinstance(value, list):
            raise bad_data(f"{where}: an array expected")
        return [clean(key.type, item, too_long, f"{where}[{number}]") for number, item in enumerate(value)]
    if key.type in KEYS:
        return clean(key.type, value, too_long, where)
    expected = _mismatch(key, value)
    if expected:
        raise bad_data(f"{where}: {expected} expected")
    if key.max_length is not None and len(value) > key.max_length:
        name = where.rpartition(".")[2]
        too_long.append(f"The value for {name} exceeds the maximum length of {key.max_length} characters.")
    return value


def _mismatch(key: Key, value: Any) -> str | None:
    match key.type:
        case "n":
            is_right = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
            return None if is_right else "a number"
        case "b":
            return None if isinstance(value, bool) else "true or false"
        case "d":
            return None if isinstance(value, str) and read_day(value) else "a date"
        case "g":
            return None if isinstance(value, str) and GUID.fullmatch(value) else "a guid"
        case "s":
            return None if isinstance(value, str) else "a text"
        case kind:
            allowed = VALUES[kind.removeprefix("e.")]
            return None if isinstance(value, str) and value in allowed else f"one of {', '.join(sorted(allowed))}"
