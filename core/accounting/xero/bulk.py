"""Several frozen writes in one call, and how each of them ended.

Every element stands or falls alone, and is known by what only it carries: its number, what it pays and how much, its
reference. The place in the answer is never asked, since nobody says that it is kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from core.accounting.port import Posted, PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.client import Reply, XeroClient
from core.accounting.xero.outcome import SHAPES, mark, mark_of, posted_by, unclear
from core.errors import ProviderError

TOGETHER = 50
"""Xero's advice for one call."""

MAX_BODY = 3_000_000
"""Bytes of one call. Xero names 3.5 MB on one page and 10 MB on another."""

Outcome = Posted | ProviderError


async def send_many(
    client: XeroClient, writes: Sequence[PreparedWrite], *, key: str, send: int, home_currency: str
) -> list[Outcome]:
    """Send the writes in as few calls as they fit in: one, unless they go to two collections or are very long.

    The same writes make the same calls under the same keys, whenever they are sent.

    Raises:
        ProviderError: the first call failed as a whole, so it holds for all; later ones only for their own writes.
    """
    calls = list(_calls(writes))
    outcomes: dict[str, Outcome] = {}
    for number, members in enumerate(calls):
        own_key = key if len(calls) == 1 else f"{key}.{number}"
        try:
            reply = await client.create_many(members[0].path, composed(members), key=own_key, send=send)
            outcomes.update(_matched(members, reply, home_currency))
        except ProviderError as exc:
            if number == 0:
                raise
            outcomes.update((member.key, exc) for member in members)
    return [outcomes[write.key] for write in writes]


def composed(writes: Sequence[PreparedWrite]) -> bytes:
    """Return one body with the elements of all, byte for byte as each was frozen."""
    name = writes[0].path.removeprefix("/")
    elements = [bytes(raw) for write in writes for raw in _envelope(write)[name]]
    return b'{"%s":[%s]}' % (name.encode(), b",".join(elements))


def _envelope(write: PreparedWrite) -> dict[str, list[msgspec.Raw]]:
    return msgspec.json.decode(write.body, type=dict[str, list[msgspec.Raw]])


def _calls(writes: Sequence[PreparedWrite]) -> Iterator[list[PreparedWrite]]:
    for path in dict.fromkeys(write.path for write in writes):
        members: list[PreparedWrite] = []
        size = 0
        for write in writes:
            if write.path != path:
                continue
            if members and size + len(write.body) > MAX_BODY:
                yield members
                members, size = [], 0
            members.append(write)
            size += len(write.body)
        yield members


def _matched(writes: Sequence[PreparedWrite], reply: Reply, home_currency: str) -> dict[str, Outcome]:
    path = writes[0].path
    name = "Elements" if reply.names_refused else path.removeprefix("/")
    rows = answers.written_list(reply.body, name, SHAPES[path], request_id=reply.request_id)
    marked: defaultdict[str, list[answers.Row]] = defaultdict(list)
    for row in rows:
        marked[mark(row)].append(row)
    return {write.key: _outcome(write, marked[mark_of(write)], reply, home_currency) for write in writes}


def _outcome(write: PreparedWrite, rows: Sequence[answers.Row], reply: Reply, home_currency: str) -> Outcome:
    if len(rows) != 1:
        return unclear("the answer does not say what became of it", reply.request_id)
    if reply.names_refused and not rows[0].is_refused:
        # What becomes of the good elements of a call that was refused as a whole is nowhere said.
        return unclear("the answer refuses others", reply.request_id)
    try:
        return posted_by(write, rows[0], home_currency=home_currency, request_id=reply.request_id)
    except ProviderError as exc:
        return exc
