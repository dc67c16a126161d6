"""The query language: one entity, conditions joined by ``and``, order, a window. Nothing more exists."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from web.sandbox.quickbooks import info
from web.sandbox.quickbooks.company import Company, Fields
from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.fields import NAME_LISTS
from web.sandbox.quickbooks.render import render

_META = "MetaData.CreateTime MetaData.LastUpdatedTime"
_SALE = f"Id DocNumber TxnDate CustomerRef TotalAmt Balance {_META}"
FILTERS = {
    "Invoice": f"{_SALE} DueDate",
    "SalesReceipt": _SALE,
    "RefundReceipt": _SALE,
    "CreditMemo": _SALE,
    "Payment": f"Id PaymentRefNum TxnDate CustomerRef TotalAmt {_META}",
    "JournalEntry": f"Id DocNumber TxnDate {_META}",
    "Purchase": f"Id DocNumber TxnDate PaymentType TotalAmt {_META}",
    "Deposit": f"Id TxnDate {_META}",
    "Transfer": f"Id TxnDate {_META}",
    "Customer": f"Id DisplayName GivenName FamilyName CompanyName PrimaryEmailAddr Active Balance {_META}",
    "Vendor": f"Id DisplayName GivenName FamilyName CompanyName PrimaryEmailAddr Active Balance {_META}",
    "Item": f"Id Name FullyQualifiedName Type Sku Active {_META}",
    "Account": f"Id Name FullyQualifiedName AccountType AccountSubType Classification Active CurrentBalance {_META}",
    "TaxCode": f"Id Name Active {_META}",
    "TaxRate": f"Id Name Active {_META}",
    "TaxAgency": f"Id DisplayName {_META}",
    "PaymentMethod": f"Id Name Active Type {_META}",
    "CompanyInfo": "Id",
    "Preferences": "Id",
    "CompanyCurrency": "Id Code Name Active",
}
_FILTERABLE = {entity: {name.lower(): name for name in names.split()} for entity, names in FILTERS.items()}
_ENTITIES = {entity.lower(): entity for entity in FILTERS}
_COUNTED = ("Invoice", "Deposit", "JournalEntry", "TaxCode", "TaxRate", "RefundReceipt", "Transfer")
_HIDES_INACTIVE = (*NAME_LISTS, "TaxCode", "TaxRate", "PaymentMethod")
MAX_RESULTS = 1000
_NUMBER, _DATE = r"-?\d+(\.\d+)?", r"\d{4}-\d\d-\d\d( |T.*)?"
_FORMS = {"TotalAmt": _NUMBER, "Balance": _NUMBER, "CurrentBalance": _NUMBER, "TxnDate": _DATE, "DueDate": _DATE}

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:\\.|[^'\\])*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|[=<>(),*]))""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Condition:
    """``name operator values``."""

    name: str
    operator: str
    values: list[str]


@dataclass
class Query:
    """One parsed statement."""

    entity: str
    is_count: bool = False
    conditions: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    start: int = 1
    limit: int = 100


def run(company: Company, statement: str) -> Fields:
    """Answer a statement with the inside of ``QueryResponse``."""
    query = parse(statement)
    found = [body for body in _candidates(company, query) if all(_matches(body, c) for c in query.conditions)]
    if query.is_count:
        return {"totalCount": len(found)}
    for name, descending in reversed(query.order):
        found = _sorted(found, name, descending=descending)
    page = found[query.start - 1 : query.start - 1 + query.limit]
    if not page:
        return {}
    answer: Fields = {query.entity: page, "startPosition": query.start, "maxResults": len(page)}
    if query.entity in _COUNTED:
        answer["totalCount"] = len(found)
    return answer


def _candidates(company: Company, query: Query) -> list[Fields]:
    match query.entity:
        case "CompanyInfo":
            return [info.company_info(company)]
        case "Preferences":
            return [info.preferences(company)]
        case "CompanyCurrency":
            return info.currencies(company)
    records = list(company.records[query.entity].values())
    if query.entity in _HIDES_INACTIVE and not any(c.name == "Active" for c in query.conditions):
        records = [record for record in records if record.is_active]
    # Cheap conditions first: rendering every document to look at one number would make big companies slow.
    for condition in query.conditions:
        if condition.name in ("Id", "DocNumber", "PaymentRefNum", "TxnDate", "DisplayName", "Name"):
            records = [r for r in records if _matches({**r.fields, "Id": r.id}, condition)]
    return [render(company, record) for record in records]


def parse(statement: str) -> Query:
    """Parse, or refuse: 4000 for the grammar, 4001 for what is not queryable."""
    return _Parser(statement).query()


class _Parser:
    def __init__(self, statement: str) -> None:
        self._tokens = _tokenize(statement)
        self._at = 0

    def query(self) -> Query:
        self._expect("select")
        is_count = self._take("count")
        if is_count:
            self._expect("(")
        self._expect("*")
        if is_count:
            self._expect(")")
        self._expect("from")
        entity = _ENTITIES.get(self._word().lower())
        if entity is None:
            raise Refused("4001", "QueryValidationError: the entity is not queryable")
        query = Query(entity, is_count)
        if self._take("where"):
            query.conditions.append(self._condition(entity))
            while self._take("and"):
                query.conditions.append(self._condition(entity))
        if self._take("orderby"):
            query.order.append(self._order(entity))
            while self._take(","):
                query.order.append(self._order(entity))
        if self._take("startposition"):
            query.start = self._window("startposition", 1_000_000_000)
        if self._take("maxresults"):
            query.limit = self._window("maxresults", MAX_RESULTS)
        if self._at < len(self._tokens):
            raise _syntax(self._tokens[self._at][1])
        return query

    def _condition(self, entity: str) -> Condition:
        name = self._property(entity)
        kind, operator = self._next()
        operator = operator.upper()
        if operator not in ("=", "<", ">", "<=", ">=", "IN", "LIKE") or kind == "string":
            raise _syntax(operator)
        if name == "Id" and operator not in ("=", "IN"):
            raise Refused("4001", f"QueryValidationError: operator {operator} is not supported for property 'Id'")
        if operator != "IN":
            return Condition(name, operator, [self._value_of(name, operator)])
        self._expect("(")
        values = [self._value_of(name, operator)]
        while self._take(","):
            values.append(self._value_of(name, operator))
        self._expect(")")
        return Condition(name, operator, values)

    def _property(self, entity: str) -> str:
        word = self._word()
        name = _FILTERABLE[entity].get(word.lower())
        if name is None:
            raise Refused("4001", f"QueryValidationError: property '{word}' is not queryable")
        return name

    def _order(self, entity: str) -> tuple[str, bool]:
        name = self._property(entity)
        if self._take("desc"):
            return name, True
        self._take("asc")
        return name, False

    def _window(self, name: str, most: int) -> int:
        kind, text = self._next()
        if kind != "number" or not text.isdigit():
            raise _syntax(text)
        if not 1 <= int(text) <= most:
            raise Refused("4001", f"QueryValidationError: value {text} is not allowed for {name}")
        return int(text)

    def _value_of(self, name: str, operator: str) -> str:
        value = self._value()
        form = _FORMS.get(name)
        if form is not None and operator != "LIKE" and not re.fullmatch(form, value):
            raise Refused("4001", f"QueryValidationError: value '{value}' is not valid for property '{name}'")
        return value

    def _value(self) -> str:
        kind, text = self._next()
        if kind == "string":
            return re.sub(r"\\(['\\])", r"\1", text[1:-1])
        if kind == "number" or text.lower() in ("true", "false"):
            return text
        raise _syntax(text)

    def _word(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise _syntax(text)
        return text

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _syntax("<EOF>")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> bool:
        if self._at < len(self._tokens):
            kind, found = self._tokens[self._at]
            if kind in ("word", "sign") and found.lower() == text:
                self._at += 1
                return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise _syntax(self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>")


def _tokenize(statement: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, text = 0, statement.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _syntax(text[position : position + 20])
        kind = str(match.lastgroup)
        tokens.append((kind, match.group(kind)))
        position = match.end()
    return tokens


def _syntax(near: str) -> Refused:
    return Refused("4000", f'QueryParserError: Encountered "{near}". Was expecting something else.')


def _read(body: Fields, name: str) -> Any:
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return value.get("value", value.get("Address"))
    return value


def _matches(body: Fields, condition: Condition) -> bool:
    value = _read(body, condition.name)
    match condition.operator:
        case "LIKE":
            pattern = ".*".join(re.escape(part) for part in condition.values[0].split("%"))
            return value is not None and re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL) is not None
        case "IN":
            return any(_compare(value, wanted) == 0 for wanted in condition.values)
        case operator:
            return _COMPARISONS[operator](_compare(value, condition.values[0]))


_COMPARISONS: dict[str, Callable[[int | None], bool]] = {
    "=": lambda order: order == 0,
    "<": lambda order: order is not None and order < 0,
    ">": lambda order: order is not None and order > 0,
    "<=": lambda order: order is not None and order <= 0,
    ">=": lambda order: order is not None and order >= 0,
}


def _compare(value: Any, wanted: str) -> int | None:
    """-1, 0, 1, or None when the two cannot be compared. A single blank stands for "nothing there"."""
    if value is None:
        return 0 if wanted == " " else None
    try:
        left, right = _comparable(value, wanted)
    except (ValueError, InvalidOperation):
        raise Refused("4001", f"QueryValidationError: value '{wanted}' is not valid here") from None
    return int(left > right) - int(left < right)


def _comparable(value: Any, wanted: str) -> tuple[Any, Any]:
    if isinstance(value, bool):
        return value, wanted.lower() == "true"
    if isinstance(value, (int, Decimal)):
        return Decimal(value), Decimal(wanted)
    if re.match(r"\d{4}-\d\d-\d\dT", value):
        moment = datetime.fromisoformat(wanted)
        left = datetime.fromisoformat(value)
        return left, moment if moment.tzinfo else moment.replace(tzinfo=left.tzinfo)
    return value.casefold(), wanted.casefold()


def _sorted(found: list[Fields], name: str, *, descending: bool) -> list[Fields]:
    return sorted(found, key=lambda body: _sort_key(_read(body, name)), reverse=descending)


def _sort_key(value: Any) -> tuple[int, Any]:
    if value is None:
        return 0, 0
    if isinstance(value, str) and value.isdigit():
        return 1, Decimal(value)
    return (1, Decimal(value)) if isinstance(value, (int, Decimal)) else (2, value.casefold())
