"""The ``where`` and ``order`` parameters: the small part of .NET's expressions that people use.

``Type=="ACCREC" AND Reference=="pi_1"``, ``Invoice.InvoiceID==guid("...")``, ``Date>=DateTime(2026,11,01)``,
``Name.Contains("lane")``, brackets, ``AND``/``&&``, ``OR``/``||``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from web.sandbox.xero.amounts import read_moment
from web.sandbox.xero.errors import bad_query
from web.sandbox.xero.fields import GUID, KEYS, TWINS

Resolve = Callable[[str], Any]
Test = Callable[[Resolve], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<op>==|!=|<>|<=|>=|&&|\|\||[=<>(),!])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)|"""
    r"""(?P<word>[A-Za-z_][A-Za-z0-9_.]*))"""
)
_METHODS = ("Contains", "StartsWith", "EndsWith")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass
class Filter:
    """A parsed expression and the properties that it looks at."""

    test: Test
    properties: set[str] = field(default_factory=set)


def parse(text: str, shape: str) -> Filter:
    """Parse ``text`` for elements of ``shape``; anything that is not understood is a QueryParseException."""
    parser = _Parser(text, shape)
    test = parser.either()
    parser.end()
    return Filter(test, parser.properties)


@dataclass
class _Token:
    kind: str
    text: str


class _Parser:
    def __init__(self, text: str, shape: str) -> None:
        self._tokens = list(_split(text))
        self._at = 0
        self._shape = shape
        self.properties: set[str] = set()

    def either(self) -> Test:
        parts = [self._both()]
        while self._take_word("or") or self._take("||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda resolve: any(part(resolve) for part in parts)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise bad_query(f"Syntax error near '{self._tokens[self._at].text}'")

    def _both(self) -> Test:
        parts = [self._one()]
        while self._take_word("and") or self._take("&&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda resolve: all(part(resolve) for part in parts)

    def _one(self) -> Test:
        if self._take("("):
            inside = self.either()
            self._need(")")
            return inside
        left = self._operand()
        operator = self._peek()
        if operator is None or operator.text not in _COMPARE:
            return lambda resolve: left(resolve) is True
        self._at += 1
        right, compare = self._operand(), _COMPARE[operator.text]
        return lambda resolve: _compared(compare, left(resolve), right(resolve))

    def _operand(self) -> Callable[[Resolve], Any]:
        token = self._peek()
        if token is None:
            raise bad_query("Expression expected")
        self._at += 1
        match token.kind:
            case "text":
                value = re.sub(r"\\(.)", r"\1", token.text[1:-1])
                return lambda _: value
            case "number":
                amount = Decimal(token.text)
                return lambda _: amount
            case "word":
                return self._word(token.text)
            case _:
                raise bad_query(f"Syntax error near '{token.text}'")

    def _word(self, word: str) -> Callable[[Resolve], Any]:
        match word.lower():
            case "true" | "false":
                flag = word.lower() == "true"
                return lambda _: flag
            case "null":
                return lambda _: None
            case "guid":
                value = self._arguments(1)[0].lower()
                if not GUID.fullmatch(value):
                    raise bad_query("Guid should contain 32 digits with 4 dashes")
                return lambda _: value
            case "datetime":
                moment = self._moment()
                return lambda _: moment
            case _:
                return self._property(word)

    def _moment(self) -> datetime:
        numbers = self._arguments(None)
        try:
            return datetime(*(int(n) for n in numbers), tzinfo=UTC)  # type: ignore[misc,arg-type]  # three to six of them
        except (TypeError, ValueError):
            raise bad_query("DateTime expects a year, a month and a day") from None

    def _property(self, word: str) -> Callable[[Resolve], Any]:
        path, _, method = word.rpartition(".")
        if method in _METHODS and path:
            argument = self._arguments(1)[0]
            read = self._property(path)
            return lambda resolve: _matches(method, read(resolve), argument)
        if method in ("ToLower", "ToUpper") and path:
            self._arguments(0)
            read = self._property(path)
            return lambda resolve: (
                str(read(resolve) or "").lower() if method == "ToLower" else str(read(resolve)).upper()
            )
        check_property(self._shape, word)
        self.properties.add(word)
        return lambda resolve: resolve(word)

    def _arguments(self, count: int | None) -> list[str]:
        self._need("(")
        found: list[str] = []
        while not self._take(")"):
            token = self._peek()
            if token is None or token.kind not in ("text", "number"):
                raise bad_query("Syntax error in the arguments")
            found.append(token.text.strip('"'))
            self._at += 1
            self._take(",")
        if count is not None and len(found) != count:
            raise bad_query("Wrong number of arguments")
        return found

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "op" or token.text != text:
            return False
        self._at += 1
        return True

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "word" or token.text.lower() != word:
            return False
        self._at += 1
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise bad_query(f"'{text}' expected")


def _split(text: str) -> Iterator[_Token]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise bad_query(f"Syntax error at position {at}")
        yield _Token(found.lastgroup, found[found.lastgroup])
        at = found.end()


def check_property(shape: str, path: str) -> None:
    """Refuse what the element does not have, as Xero does."""
    at = shape
    for name in path.split("."):
        key = KEYS.get(at, {}).get(name)
        if key is None and name not in TWINS:
            raise bad_query(f"No property or field '{name}' exists in type '{at}'")
        at = key.type if key else ""


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    left, right = _comparable(left), _comparable(right)
    if isinstance(left, str) and isinstance(right, str) and GUID.fullmatch(right):
        left = left.lower()
    try:
        return compare(left, right)
    except TypeError:
        return False


def _comparable(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("/Date("):
        return read_moment(value)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _matches(method: str, value: Any, argument: str) -> bool:
    text = str(value or "")
    match method:
        case "Contains":
            return argument in text
        case "StartsWith":
            return text.startswith(argument)
        case _:
            return text.endswith(argument)


def resolver(element: dict[str, Any]) -> Resolve:
    """Reads ``Invoice.InvoiceID`` out of an element."""

    def resolve(path: str) -> Any:
        value: Any = element
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return resolve


def sort_key(path: str) -> Callable[[dict[str, Any]], tuple[bool, Any]]:
    def key(element: dict[str, Any]) -> tuple[bool, Any]:
        value = _comparable(resolver(element)(path))
        return value is not None, value if value is not None else ""

    return key
