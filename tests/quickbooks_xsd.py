"""Checks QuickBooks bodies against Intuit's published schema, which the tests read but the project does not carry.

The schema describes XML. Read as JSON: an element that may repeat is an array, simple content is an object with
``value`` and the attributes beside it, and attributes of an entity are keys like any other. The schema knows neither
required fields nor lengths, so passing here is necessary and not sufficient.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

SCHEMA_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "specs" / "quickbooks" / "2026-07"
XS = "{http://www.w3.org/2001/XMLSchema}"

# Known keys that only the server may fill. QuickBooks ignores some of them; sending one is still a mistake of ours.
SERVER_ONLY = frozenset(
    [
        "domain",
        "status",
        "MetaData",
        "HomeTotalAmt",
        "HomeBalance",
        "Balance",
        "CurrentBalance",
        "UnappliedAmt",
        "ItemAccountRef",
    ]
)
ANY_TYPE = "IntuitAnyType"
ENVELOPE_KEYS = frozenset({"time", "status", "requestId"})


@dataclass
class Member:
    """One key that a JSON object may have."""

    type_name: str
    is_array: bool
    choice: (
        tuple[int, int] | None
    )  # (number of the choice group, number of the branch) when only one branch may be sent


@dataclass
class ObjectType:
    """A complex type: its keys, and the type of ``value`` where the content is simple."""

    members: dict[str, Member] = field(default_factory=dict)
    is_open: bool = False


class Schema:
    """The component model of the six files, as far as JSON needs it."""

    def __init__(self, folder: Path) -> None:
        self._complex: dict[str, ElementTree.Element] = {}
        self._simple: dict[str, ElementTree.Element] = {}
        self._groups: dict[str, ElementTree.Element] = {}
        self.entities: dict[str, str] = {}
        self._resolved: dict[str, ObjectType] = {}
        self._choices = 0
        for path in sorted(folder.glob("*.xsd")):
            self._collect(ElementTree.parse(path).getroot())

    def _collect(self, root: ElementTree.Element) -> None:
        for node in root:
            name = node.get("name", "")
            if node.tag == f"{XS}complexType":
                self._complex[name] = node
            elif node.tag == f"{XS}simpleType":
                self._simple[name] = node
            elif node.tag == f"{XS}group":
                self._groups[name] = node
            elif node.tag == f"{XS}element" and node.get("substitutionGroup") == "IntuitObject":
                self.entities[name] = node.get("type", name)

    def object_type(self, name: str) -> ObjectType | None:
        """Return the keys of a complex type, or None when ``name`` is a simple type."""
        if name not in self._complex:
            return None
        if name not in self._resolved:
            resolved = ObjectType(is_open=name == ANY_TYPE)
            self._resolved[name] = resolved
            self._fill(resolved, self._complex[name], choice=None)
        return self._resolved[name]

    def enumeration(self, name: str) -> tuple[str, list[str]]:
        """Return the primitive below a simple type and its allowed values (empty: any)."""
        node = self._simple.get(name)
        if node is None:
            return name, []
        restriction = node.find(f"{XS}restriction")
        if restriction is None:
            return "xs:string", []
        values = [str(v.get("value")) for v in restriction.findall(f"{XS}enumeration")]
        base, inherited = self.enumeration(restriction.get("base", "xs:string"))
        return base, values or inherited

    def _fill(self, target: ObjectType, node: ElementTree.Element, choice: tuple[int, int] | None) -> None:
        for child in node:
            tag = child.tag.removeprefix(XS)
            if tag == "extension":
                self._extend(target, child.get("base", ""))
                self._fill(target, child, choice)
            elif tag == "group":
                self._fill(target, self._groups[child.get("ref", "")], choice)
            elif tag == "choice":
                self._fill_choice(target, child)
            elif tag == "element":
                self._add(target, child, choice)
            elif tag == "attribute":
                target.members[child.get("name", "")] = Member(child.get("type", "xs:string"), False, None)
            elif tag not in ("annotation", "documentation", "any"):
                self._fill(target, child, choice)

    def _extend(self, target: ObjectType, base: str) -> None:
        parent = self.object_type(base)
        if parent is None:
            target.members["value"] = Member(base, False, None)
        else:
            target.members.update(parent.members)

    def _fill_choice(self, target: ObjectType, node: ElementTree.Element) -> None:
        repeats = node.get("maxOccurs", "1") != "1"
        self._choices += 1
        number = self._choices
        for branch, child in enumerate(node):
            holder = ElementTree.Element("branch")
            holder.append(child)
            self._fill(target, holder, None if repeats else (number, branch))

    def _add(self, target: ObjectType, node: ElementTree.Element, choice: tuple[int, int] | None) -> None:
        is_array = node.get("maxOccurs", "1") not in ("0", "1")
        if node.get("ref") == "IntuitObject":
            for entity, type_name in self.entities.items():
                target.members[entity] = Member(type_name, is_array, choice)
            return
        name = str(node.get("name") or node.get("ref"))
        target.members[name] = Member(node.get("type", name), is_array, choice)


@dataclass
class _Walk:
    schema: Schema
    strict: bool
    problems: list[str] = field(default_factory=list)

    def value(self, where: str, value: Any, type_name: str) -> None:
        if value is None:
            if self.strict:
                self.problems.append(f"{where}: null is never sent")
            return
        shape = self.schema.object_type(type_name)
        if shape is None:
            self.simple(where, value, type_name)
        elif shape.is_open:
            if self.strict:
                self.problems.append(f"{where}: filled by the server only")
        elif not isinstance(value, dict):
            self.problems.append(f"{where}: an object of type {type_name} expected")
        else:
            self.object(where, value, shape)

    def object(self, where: str, value: dict[str, Any], shape: ObjectType) -> None:
        taken: dict[int, tuple[int, str]] = {}
        for key, inner in value.items():
            member = shape.members.get(key)
            if member is None:
                self.problems.append(f"{where}.{key}: unknown key")
                continue
            if self.strict and key in SERVER_ONLY:
                self.problems.append(f"{where}.{key}: filled by the server only")
            if self.strict and member.choice is not None:
                group, branch = member.choice
                other = taken.setdefault(group, (branch, key))
                if other[0] != branch:
                    self.problems.append(f"{where}.{key}: not together with {other[1]}")
            self.member(f"{where}.{key}", inner, member)

    def member(self, where: str, value: Any, member: Member) -> None:
        if not member.is_array:
            if isinstance(value, list):
                self.problems.append(f"{where}: one value expected, not an array")
            else:
                self.value(where, value, member.type_name)
        elif not isinstance(value, list):
            self.problems.append(f"{where}: an array expected")
        else:
            for number, item in enumerate(value):
                self.value(f"{where}[{number}]", item, member.type_name)

    def simple(self, where: str, value: Any, type_name: str) -> None:
        primitive, allowed = self.schema.enumeration(type_name)
        problem = _simple_problem(value, primitive, self.strict)
        if problem:
            self.problems.append(f"{where}: {problem}")
        elif allowed and value not in allowed:
            self.problems.append(f"{where}: {value!r} is not one of {', '.join(allowed)}")


def _simple_problem(value: Any, primitive: str, strict: bool) -> str | None:
    match primitive:
        case "xs:boolean":
            return None if isinstance(value, bool) else "true or false expected"
        case "xs:decimal" | "xs:int" | "xs:long" | "xs:positiveInteger":
            if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
                return None if _is_numeric_text(value) and not strict else "a number expected"
            if primitive != "xs:decimal" and int(value) != value:
                return "a whole number expected"
            return None
        case "xs:date":
            return None if _parses(date.fromisoformat, value, r"\d{4}-\d\d-\d\d") else "a date YYYY-MM-DD expected"
        case "xs:dateTime":
            return None if _parses(datetime.fromisoformat, value, r"\d{4}-\d\d-\d\dT.+") else "a time expected"
        case _:
            return None if isinstance(value, str) else "a string expected"


def _is_numeric_text(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def _parses(parser: Any, value: Any, pattern: str) -> bool:
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        return False
    try:
        parser(value)
    except ValueError:
        return False
    return True


@cache
def schema() -> Schema:
    """Return the schema, or skip the test when the folder is not there (a clone alone has none)."""
    if not SCHEMA_FOLDER.is_dir():
        pytest.skip("Intuit's schema files are not beside this checkout (../shared/specs/quickbooks)")
    return Schema(SCHEMA_FOLDER)


def validate_request(entity: str, body: Any) -> list[str]:
    """Return what is wrong with a body that is about to be posted; empty means nothing.

    Args:
        entity: the entity's schema name ("Invoice"), or "BatchItemRequest" for a whole batch body.
        body: the parsed JSON; numbers as int, float or Decimal.
    """
    body = _parsed(body)
    walk = _Walk(schema(), strict=True)
    if entity == "BatchItemRequest":
        walk.value("Batch", body, "IntuitBatchRequest")
        walk.problems += _batch_problems(body)
    elif entity not in walk.schema.entities:
        walk.problems.append(f"{entity}: not an entity of the schema")
    else:
        walk.value(entity, body, walk.schema.entities[entity])
        walk.problems += list(_line_problems(entity, body))
    return walk.problems


def validate_response(body: Any) -> list[str]:
    """Return what is wrong with an answer in one of the upper-case envelopes; empty means nothing."""
    body = _parsed(body)
    walk = _Walk(schema(), strict=False)
    walk.value("Answer", body, "IntuitResponse")
    if isinstance(body, dict) and not body.keys() - ENVELOPE_KEYS:
        walk.problems.append("Answer: holds neither an object nor a fault")
    return walk.problems


def _parsed(body: Any) -> Any:
    return msgspec.json.decode(body) if isinstance(body, (bytes, str)) else body


def _batch_problems(body: Any) -> Iterator[str]:
    envelope = {"bId", "operation", "optionsData"}
    for number, item in enumerate(body.get("BatchItemRequest", []) if isinstance(body, dict) else []):
        content = [key for key in item if key not in envelope]
        if len(content) != 1:
            yield f"Batch[{number}]: exactly one object or query expected, found {content}"
        elif content[0] in schema().entities:
            yield from _line_problems(content[0], item[content[0]])
            if "operation" not in item:
                yield f"Batch[{number}]: an object needs an operation"


def _line_problems(entity: str, body: Any) -> Iterator[str]:
    """A line's DetailType must name the detail that it carries; the schema cannot say so."""
    if not isinstance(body, dict) or not isinstance(body.get("Line"), list):
        return
    for number, line in enumerate(body["Line"]):
        details = [key for key in line if key.endswith("LineDetail")]
        kind = line.get("DetailType")
        if details and details != ["DescriptionLineDetail" if kind == "DescriptionOnly" else kind]:
            yield f"{entity}.Line[{number}]: DetailType {kind!r} does not name {details}"
