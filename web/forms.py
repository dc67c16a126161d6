"""Forms: what a browser posts, taken apart strictly (I1, I2).

The guard reads the body once (url-encoded only, bounded) and leaves the fields in the request's facts. A handler then
takes them by name through a :class:`Form`, which collects the mistakes of all fields, so that a page can show them at
once. A field that the handler does not name, or one that comes twice, is refused: no browser of ours sends that.
"""

import re
from collections.abc import Collection, Iterable
from datetime import date
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

from litestar import Request
from litestar.exceptions import ClientException, HTTPException

from web.facts import facts_of

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 100
MAX_TEXT = 2_000
CSRF_FIELD = "_csrf_token"
_INT64 = 2**63
# fromisoformat alone would also take week dates.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

AnyRequest = Request[Any, Any, Any]

REQUIRED = "This is needed."
NOT_READABLE = "This cannot be read."


class Form:
    """The fields of one posted form.

    Args:
        fields: name -> values, as read by the guard.
        names: fields that may come, each once.
        lists: fields that may come any number of times.
    """

    def __init__(self, fields: dict[str, list[str]], names: Iterable[str], lists: Collection[str] = ()) -> None:
        allowed = {*names, CSRF_FIELD}
        for name, values in fields.items():
            if name not in allowed and name not in lists:
                raise ClientException("a field that this form does not have")
            if len(values) > 1 and name not in lists:
                raise ClientException("a field that came twice")
        self._fields = fields
        self._lists = frozenset(lists)
        self.errors: dict[str, str] = {}

    @property
    def is_valid(self) -> bool:
        """Whether no field was refused so far."""
        return not self.errors

    def refuse(self, name: str, message: str) -> None:
        """Note a mistake; the first one of a field stays."""
        self.errors.setdefault(name, message)

    def raw(self, name: str) -> str:
        """Return the text exactly as it came, "" if it did not; for passwords."""
        return self._fields.get(name, [""])[0]

    def text(self, name: str, *, max_length: int = MAX_TEXT, required: bool = True) -> str:
        """Return the text without surrounding blanks, its lines ended in one way."""
        value = self.raw(name).replace("\r\n", "\n").strip()
        if not value and required:
            self.refuse(name, REQUIRED)
        if len(value) > max_length:
            self.refuse(name, f"At most {max_length} characters.")
        return value

    def choice(self, name: str, choices: Collection[str], *, required: bool = True) -> str | None:
        """Return one of ``choices``; None for an empty field that may be empty."""
        value = self.raw(name)
        if value in choices:
            return value
        if value or required:
            self.refuse(name, "Choose one from the list.")
        return None

    def integer(self, name: str, *, least: int = 0, most: int = _INT64 - 1, required: bool = True) -> int | None:
        """Return a whole number within its range; never more than a column holds."""
        value = self.raw(name).strip()
        if not value:
            if required:
                self.refuse(name, REQUIRED)
            return None
        if len(value) <= 20 and value.isascii() and value.removeprefix("-").isdigit():
            number = int(value)
            if least <= number <= most:
                return number
        self.refuse(name, f"Enter a whole number from {least} to {most}.")
        return None

    def day(self, name: str, *, required: bool = True) -> date | None:
        """Return a date as browsers send it, ``2026-03-31``."""
        value = self.raw(name).strip()
        if _DAY.fullmatch(value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        if value or required:
            self.refuse(name, "Choose a date.")
        return None

    def uuid(self, name: str, *, required: bool = True) -> UUID | None:
        """Return an id of ours."""
        value = self.raw(name)
        if len(value) == 36:
            try:
                return UUID(value)
            except ValueError:
                pass
        if value or required:
            self.refuse(name, NOT_READABLE)
        return None

    def checked(self, name: str) -> bool:
        """Return whether a box was ticked."""
        return bool(self.raw(name))

    def values(self, name: str) -> list[str]:
        """Return every value of a field that may come several times."""
        if name not in self._lists:
            raise KeyError(name)
        return list(self._fields.get(name, []))


def take_form(request: AnyRequest, *names: str, lists: Collection[str] = ()) -> Form:
    """Return the posted form, which may have the fields ``names`` and ``lists`` and no others."""
    return Form(facts_of(request.scope).fields, names, lists)


async def read_fields(request: AnyRequest) -> dict[str, list[str]]:
    """Read the body of a form.

    Raises:
        HTTPException: 415 for any other type of body, 413 for one that is too long, 400 for one that is damaged.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        if not content_type and not await request.body():
            return {}
        raise HTTPException(status_code=415)
    return parse_fields(await request.body())


def parse_fields(body: bytes) -> dict[str, list[str]]:
    """Take a url-encoded body apart.

    Raises:
        ClientException: too many fields; bytes that are no text for either database (NUL, lone surrogates).
    """
    if not body:
        return {}
    pairs = body.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        raise ClientException("too many fields")
    fields: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        fields.setdefault(_decode(name), []).append(_decode(value))
    return fields


def _decode(encoded: bytes) -> str:
    try:
        text = unquote_to_bytes(encoded.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ClientException("a field that is not text") from exc
    if "\0" in text:
        raise ClientException("a field that is not text")
    return text
