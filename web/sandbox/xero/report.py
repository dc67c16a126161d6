"""The trial balance as Xero prints it."""

from datetime import date

from web.sandbox.xero.amounts import long_day, money, ms_time
from web.sandbox.xero.call import Call
from web.sandbox.xero.records import Account, Json

_SECTIONS = (
    ("REVENUE", "Revenue"),
    ("EXPENSE", "Expenses"),
    ("ASSET", "Assets"),
    ("LIABILITY", "Liabilities"),
    ("EQUITY", "Equity"),
)
_HEADS = ("Account", "Debit", "Credit", "YTD Debit", "YTD Credit")


def trial_balance(call: Call, as_of: date | None) -> Json:
    """All columns show balances since the beginning; the stand-in closes no year."""
    organisation = call.organisation
    day = as_of or call.today
    balances = organisation.ledger.balances(day)
    rows: list[Json] = [{"RowType": "Header", "Cells": [{"Value": head} for head in _HEADS]}]
    for cls, title in _SECTIONS:
        accounts = [organisation.accounts[key] for key in balances if organisation.accounts[key].cls == cls]
        accounts.sort(key=lambda account: (account.code, account.name))
        if accounts:
            shown = [_row(account, balances[account.id]) for account in accounts]
            rows.append({"RowType": "Section", "Title": title, "Rows": shown})
    total = str(money(sum(cents for cents in balances.values() if cents > 0)))
    cells = [{"Value": "Total"}, *({"Value": total} for _ in _HEADS[1:])]
    rows.append({"RowType": "Section", "Title": "", "Rows": [{"RowType": "SummaryRow", "Cells": cells}]})
    report = {
        "ReportID": "TrialBalance",
        "ReportName": "Trial Balance",
        "ReportType": "TrialBalance",
        "ReportTitles": ["Trial Balance", organisation.name, f"As at {long_day(day)}"],
        "ReportDate": long_day(day),
        "UpdatedDateUTC": ms_time(call.now),
        "Fields": [],
        "Rows": rows,
    }
    return {"Reports": [report]}


def _row(account: Account, cents: int) -> Json:
    name = f"{account.name} ({account.code})" if account.code else account.name
    debit, credit = (str(money(cents)), "") if cents > 0 else ("", str(money(-cents)))
    attributes = [{"Value": account.id, "Id": "account"}]
    values = (name, debit, credit, debit, credit)
    return {"RowType": "Row", "Cells": [{"Value": value, "Attributes": attributes} for value in values]}
