"""Lists of Xero: filters for several things at once, cut to lengths that any server takes, and pages read to the end.

Only what we made or read as an id ever stands in a filter (I5); what people typed does not, unless it is plain.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote

from core.accounting.xero import answers
from core.accounting.xero.client import XeroClient, is_guid
from core.errors import ConfigurationError, ProviderUnavailableError

PAGE = 1000
MAX_PAGES = 10
"""Ten thousand that fit one question: a search that finds more is not answered with "not there"."""

MAX_ASKED_AT_ONCE = 6000
"""Characters of one parameter as sent. Servers on the way are known to refuse addresses above eight thousand."""

_PLAIN = re.compile(r"[\w .,'@()&+/-]{1,255}", re.ASCII)
E = TypeVar("E", bound=answers.Element)


def is_plain(text: str) -> bool:
    """Tell whether ``text`` may stand between the quotes of a filter: no quote, no backslash, nothing unusual."""
    return _PLAIN.fullmatch(text) is not None


def is_text(name: str, values: Iterable[str]) -> Iterator[str]:
    """Return filters that find whatever has one of these texts in ``name``."""
    return _any_of(f'{name}=="{_quoted(value)}"' for value in dict.fromkeys(values))


def is_id(name: str, values: Iterable[str]) -> Iterator[str]:
    """Return filters that find whatever has one of these ids in ``name``."""
    return _any_of(f'{name}==guid("{_guid(value)}")' for value in dict.fromkeys(values))


def listed(values: Iterable[str]) -> Iterator[str]:
    """Return lists with commas, for the parameters that take one."""
    return _packed((_single(value) for value in dict.fromkeys(values)), ",")


async def read_all(client: XeroClient, name: str, shape: type[E], **parameters: str) -> list[E]:
    """Read every page of the collection ``name`` that fits the parameters, each element once.

    Raises:
        ProviderUnavailableError: an answer cannot be read, or there are more than anybody can be sure of.
    """
    found: dict[str, E] = {}
    for page in range(1, MAX_PAGES + 1):
        reply = await client.read(f"/{name}", **parameters, page=str(page), pageSize=str(PAGE))
        rows = answers.read_list(reply.body, name, shape, request_id=reply.request_id)
        found.update((row.id, row) for row in rows)
        if len(rows) < PAGE:
            return list(found.values())
    raise ProviderUnavailableError(f"too many {name} of that kind to be sure")


async def read_whole(client: XeroClient, name: str, shape: type[E], **parameters: str) -> list[E]:
    """Read a collection that has no pages."""
    reply = await client.read(f"/{name}", **parameters)
    return answers.read_list(reply.body, name, shape, request_id=reply.request_id)


def _any_of(terms: Iterable[str]) -> Iterator[str]:
    return _packed(terms, " OR ")


def _packed(terms: Iterable[str], between: str) -> Iterator[str]:
    held: list[str] = []
    length = 0
    for term in terms:
        more = len(quote(term + between, safe=""))
        if held and length + more > MAX_ASKED_AT_ONCE:
            yield between.join(held)
            held, length = [], 0
        held.append(term)
        length += more
    if held:
        yield between.join(held)


def _quoted(value: str) -> str:
    if not is_plain(value):
        raise ConfigurationError("refused to ask: the text could change the question")
    return value


def _single(value: str) -> str:
    if "," in value:
        raise ConfigurationError("refused to ask: the text is more than one")
    return _quoted(value)


def _guid(value: str) -> str:
    if not is_guid(value):
        raise ConfigurationError("refused to ask: malformed id")
    return value
