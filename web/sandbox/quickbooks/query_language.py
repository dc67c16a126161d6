"""The grammar: one entity, conditions joined by ``and``, order, a window. Nothing more exists."""

import re
from dataclasses import dataclass, field

from web.sandbox.quickbooks.errors import Refused

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
