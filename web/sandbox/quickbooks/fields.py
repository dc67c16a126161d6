"""Which keys the stand-in knows, per object: our own short table, far smaller than Intuit's schema.

One word per key: ``Name:type``. Types: ``s`` text, ``s21`` text of at most 21, ``n`` number, ``d`` date, ``t`` time,
``b`` boolean, ``ref`` a reference, ``e.X`` one of the enumeration X, another name an object of that shape, ``[X]`` an
array. ``!`` in front: the server fills it; a client that sends it is ignored, as QuickBooks does.
"""

from dataclasses import dataclass

ENUMS = {
    "PrintStatus": "NotSet|NeedToPrint|PrintComplete",
    "EmailStatus": "NotSet|NeedToSend|EmailSent",
    "GlobalTax": "TaxInclusive|TaxExcluded|NotApplicable",
    "PaymentType": "Cash|Check|CreditCard",
    "PostingType": "Debit|Credit",
    "Posted": "Sales|Purchase",
    "EntityType": "Customer|Vendor|Employee",
    "ItemType": "Service|NonInventory|Inventory|Category|Group",
    "Billable": "Billable|NotBillable|HasBeenBilled",
    "AccountType": (
        "Bank|Accounts Receivable|Other Current Asset|Fixed Asset|Other Asset|Accounts Payable|Credit Card|"
        "Other Current Liability|Long Term Liability|Equity|Income|Cost of Goods Sold|Expense|Other Income|"
        "Other Expense"
    ),
    "Detail": (
        "SalesItemLineDetail|DescriptionOnly|DiscountLineDetail|SubTotalLineDetail|AccountBasedExpenseLineDetail|"
        "DepositLineDetail|JournalEntryLineDetail|TaxLineDetail"
    ),
}

_ENTITY = "Id:s SyncToken:s sparse:b !domain:s !status:s !MetaData:MetaData CustomField:[CustomField]"
_TXN = (
    f"{_ENTITY} TxnDate:d PrivateNote:s4000 CurrencyRef:ref ExchangeRate:n DepartmentRef:ref Line:[Line] "
    "!LinkedTxn:[LinkedTxn]"
)
_SALE = (
    f"{_TXN} DocNumber:s21 CustomerRef:ref CustomerMemo:Memo BillAddr:Address ShipAddr:Address BillEmail:Email "
    "GlobalTaxCalculation:e.GlobalTax TxnTaxDetail:TxnTaxDetail ApplyTaxAfterDiscount:b "
    "PrintStatus:e.PrintStatus EmailStatus:e.EmailStatus ClassRef:ref PaymentMethodRef:ref "
    "DepositToAccountRef:ref FreeFormAddress:b !TotalAmt:n !HomeTotalAmt:n !Balance:n !HomeBalance:n"
)
_PERSON = (
    f"{_ENTITY} DisplayName:s500 Title:s16 GivenName:s100 MiddleName:s100 FamilyName:s100 Suffix:s16 "
    "CompanyName:s100 PrintOnCheckName:s110 Active:b PrimaryPhone:Phone AlternatePhone:Phone Mobile:Phone "
    "Fax:Phone PrimaryEmailAddr:Email WebAddr:Web BillAddr:Address ShipAddr:Address CurrencyRef:ref "
    "!FullyQualifiedName:s !V4IDPseudonym:s"
)

SHAPES = {
    "Account": (
        f"{_ENTITY} Name:s100 AccountType:e.AccountType AccountSubType:s Description:s AcctNum:s20 Active:b "
        "SubAccount:b ParentRef:ref CurrencyRef:ref TaxCodeRef:ref !Classification:s !FullyQualifiedName:s "
        "!CurrentBalance:n !CurrentBalanceWithSubAccounts:n"
    ),
    "Customer": (
        f"{_PERSON} Notes:s2000 Taxable:b Job:b BillWithParent:b ParentRef:ref PreferredDeliveryMethod:s "
        "DefaultTaxCodeRef:ref ResaleNum:s16 SalesTermRef:ref PaymentMethodRef:ref !Balance:n "
        "!BalanceWithJobs:n !IsProject:b !ClientEntityId:s"
    ),
    "Vendor": (f"{_PERSON} Notes:s AcctNum:s100 Vendor1099:b TaxIdentifier:s20 TermRef:ref BillRate:n !Balance:n"),
    "Item": (
        f"{_ENTITY} Name:s100 Sku:s100 Description:s4000 Active:b Taxable:b SalesTaxIncluded:b UnitPrice:n "
        "Type:e.ItemType IncomeAccountRef:ref ExpenseAccountRef:ref PurchaseDesc:s1000 PurchaseCost:n "
        "SubItem:b ParentRef:ref SalesTaxCodeRef:ref TrackQtyOnHand:b ItemCategoryType:s "
        "!FullyQualifiedName:s !CustomExtensions:[Extension]"
    ),
    "Invoice": (
        f"{_SALE} DueDate:d SalesTermRef:ref AllowIPNPayment:b AllowOnlinePayment:b "
        "AllowOnlineCreditCardPayment:b AllowOnlineACHPayment:b"
    ),
    "SalesReceipt": f"{_SALE} PaymentRefNum:s21",
    "RefundReceipt": f"{_SALE} PaymentRefNum:s100 !RemainingCredit:n",
    "CreditMemo": f"{_SALE} InvoiceRef:ref !RemainingCredit:n",
    "Payment": (
        f"{_TXN} CustomerRef:ref TotalAmt:n PaymentRefNum:s21 PaymentMethodRef:ref DepositToAccountRef:ref "
        "ARAccountRef:ref ProcessPayment:b TxnSource:s !UnappliedAmt:n"
    ),
    "Purchase": (
        f"{_TXN} DocNumber:s21 AccountRef:ref PaymentType:e.PaymentType EntityRef:ref Credit:b "
        "PaymentMethodRef:ref PaymentRefNum:s21 PrintStatus:e.PrintStatus GlobalTaxCalculation:e.GlobalTax "
        "TxnTaxDetail:TxnTaxDetail !TotalAmt:n"
    ),
    "Transfer": (
        f"{_ENTITY} TxnDate:d PrivateNote:s4000 CurrencyRef:ref ExchangeRate:n FromAccountRef:ref "
        "ToAccountRef:ref Amount:n"
    ),
    "Deposit": (
        f"{_TXN} DepositToAccountRef:ref GlobalTaxCalculation:e.GlobalTax TxnTaxDetail:TxnTaxDetail "
        "!TotalAmt:n !HomeTotalAmt:n"
    ),
    "JournalEntry": (
        f"{_TXN} DocNumber:s21 Adjustment:b GlobalTaxCalculation:e.GlobalTax TxnTaxDetail:TxnTaxDetail "
        "!TotalAmt:n !HomeTotalAmt:n"
    ),
    "TaxCode": (
        f"{_ENTITY} Name:s Description:s Active:b Hidden:b Taxable:b TaxGroup:b SalesTaxRateList:TaxRateList "
        "PurchaseTaxRateList:TaxRateList"
    ),
    "TaxRate": (f"{_ENTITY} Name:s Description:s Active:b RateValue:n AgencyRef:ref SpecialTaxType:s DisplayType:s"),
    "TaxAgency": (f"{_ENTITY} DisplayName:s TaxTrackedOnPurchases:b TaxTrackedOnSales:b TaxRegistrationNumber:s"),
    "PaymentMethod": f"{_ENTITY} Name:s31 Active:b Type:s",
    "ExchangeRate": f"{_ENTITY} SourceCurrencyCode:s TargetCurrencyCode:s Rate:n AsOfDate:d",
    # Parts of the above.
    "Line": (
        "Id:s LineNum:n Description:s4000 Amount:n LinkedTxn:[LinkedTxn] DetailType:e.Detail "
        "SalesItemLineDetail:SalesItemLineDetail DescriptionLineDetail:DescriptionLineDetail "
        "DiscountLineDetail:DiscountLineDetail SubTotalLineDetail:SubTotalLineDetail "
        "AccountBasedExpenseLineDetail:AccountBasedExpenseLineDetail DepositLineDetail:DepositLineDetail "
        "JournalEntryLineDetail:JournalEntryLineDetail TaxLineDetail:TaxLineDetail "
        "CustomExtensions:[Extension]"
    ),
    "SalesItemLineDetail": (
        "ItemRef:ref Qty:n UnitPrice:n TaxCodeRef:ref ServiceDate:d ClassRef:ref TaxInclusiveAmt:n "
        "DiscountRate:n DiscountAmt:n !ItemAccountRef:ref"
    ),
    "DescriptionLineDetail": "ServiceDate:d TaxCodeRef:ref",
    "DiscountLineDetail": ("PercentBased:b DiscountPercent:n DiscountAccountRef:ref TaxCodeRef:ref ClassRef:ref"),
    "SubTotalLineDetail": "ItemRef:ref ServiceDate:d",
    "AccountBasedExpenseLineDetail": (
        "AccountRef:ref CustomerRef:ref ClassRef:ref TaxCodeRef:ref TaxAmount:n TaxInclusiveAmt:n "
        "BillableStatus:e.Billable"
    ),
    "DepositLineDetail": (
        "AccountRef:ref Entity:ref ClassRef:ref PaymentMethodRef:ref CheckNum:s21 TaxCodeRef:ref "
        "TaxApplicableOn:e.Posted"
    ),
    "JournalEntryLineDetail": (
        "PostingType:e.PostingType AccountRef:ref Entity:EntityTypeRef ClassRef:ref DepartmentRef:ref "
        "TaxCodeRef:ref TaxApplicableOn:e.Posted TaxAmount:n"
    ),
    "EntityTypeRef": "Type:e.EntityType EntityRef:ref",
    "TaxLineDetail": (
        "TaxRateRef:ref PercentBased:b TaxPercent:n NetAmountTaxable:n TaxInclusiveAmount:n OverrideDeltaAmount:n"
    ),
    "TxnTaxDetail": "TxnTaxCodeRef:ref TotalTax:n TaxLine:[Line]",
    "LinkedTxn": "TxnId:s TxnType:s TxnLineId:s",
    "Address": (
        "Id:s Line1:s500 Line2:s500 Line3:s500 Line4:s500 Line5:s500 City:s255 Country:s255 "
        "CountrySubDivisionCode:s255 PostalCode:s30 Lat:s Long:s"
    ),
    "Email": "Address:s100",
    "Phone": "FreeFormNumber:s30",
    "Web": "URI:s1000",
    "Memo": "value:s1000",
    "ref": "value:s name:s type:s",
    "MetaData": "CreateTime:t LastUpdatedTime:t LastModifiedByRef:ref CreatedByRef:ref",
    "CustomField": "DefinitionId:s Name:s Type:s StringValue:s",
    "Extension": "ExtensionType:s",
    "TaxRateList": "TaxRateDetail:[TaxRateDetail]",
    "TaxRateDetail": "TaxRateRef:ref TaxTypeApplicable:s TaxOrder:n",
}

# Where Intuit's schema calls a type differently than we do; for the test that compares the two.
SCHEMA_TYPES = {
    "Address": "PhysicalAddress",
    "Email": "EmailAddress",
    "Phone": "TelephoneNumber",
    "Web": "WebSiteAddress",
    "Memo": "MemoRef",
    "ref": "ReferenceType",
    "MetaData": "ModificationMetaData",
    "Extension": "CustomExtensions",
}

TRANSACTIONS = (
    "Invoice",
    "SalesReceipt",
    "RefundReceipt",
    "CreditMemo",
    "Payment",
    "Purchase",
    "Transfer",
    "Deposit",
    "JournalEntry",
)
NAME_LISTS = ("Account", "Customer", "Vendor", "Item")
READ_ONLY = ("TaxCode", "TaxRate", "TaxAgency", "PaymentMethod")
BY_PATH = {name.lower(): name for name in (*TRANSACTIONS, *NAME_LISTS, *READ_ONLY)}


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
