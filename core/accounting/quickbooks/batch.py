"""Several writes in one call: how the call is put together, and how each member's outcome is told from the answer.

A batch is no transaction: it answers 200 although members failed, in any order, and a member may be missing.
QuickBooks recognises a repeated member by the call's ``requestid`` and the member's ``bId`` joined, so a batch can be
repeated only as the very same batch. To QuickBooks a member sent alone under its own key is another write: after any
doubt about a batch a look-up must come first.
"""

import base64
import hashlib
from collections.abc import Sequence

import httpx
import msgspec

from core.accounting.port import Posted, PreparedWrite
from core.accounting.quickbooks.client import Reply
from core.accounting.quickbooks.entities import MONEY_KINDS, entity_of
from core.accounting.quickbooks.faults import error_for, read_faults
from core.accounting.quickbooks.posted import written
from core.errors import OutcomeUnknownError, ProviderError, StopError
from core.outgoing import Answer
from core.reasons import Reason

PATH = "/batch"

MOST = 25
"""Members of one call. Intuit's pages name 10 and 30, its own client 25; above the limit the whole call is refused."""

READ_TIMEOUT_S = 130.0
"""QuickBooks itself gives up after 120 s."""

_MEMBER_ID = 10
"""Longest ``bId``; with a ``requestid`` of 36 the joined key stays below 50."""


def composed(writes: Sequence[PreparedWrite]) -> bytes:
    """Return the body of the call; pure, with each member's frozen bytes as they are.

    Raises:
        StopError: ``OUR_FAULT`` for no writes, too many, writes of several kinds, or one write twice.
    """
    kinds = {write.kind for write in writes}
    ids = [member_id(write) for write in writes]
    if len(kinds) != 1 or not kinds <= MONEY_KINDS or len(writes) > MOST or len(set(ids)) != len(ids):
        raise StopError(Reason.OUR_FAULT, {"batch": len(writes), "kinds": sorted(kind.value for kind in kinds)})
    entity = entity_of(writes[0].kind).name
    members = [
        {"bId": member, "operation": "create", entity: msgspec.Raw(write.body)}
        for member, write in zip(ids, writes, strict=True)
    ]
    return msgspec.json.encode({"BatchItemRequest": members})


def member_id(write: PreparedWrite) -> str:
    """Return the member's ``bId``: ten characters of a hash of the write's key, the same on every repeat."""
    digest = hashlib.sha256(write.key.encode()).digest()
    return base64.b32encode(digest)[:_MEMBER_ID].decode().lower()


def outcomes(writes: Sequence[PreparedWrite], reply: Reply, home_currency: str) -> list[Posted | ProviderError]:
    """Return how each write ended, in their order.

    Raises:
        OutcomeUnknownError: the answer as a whole cannot be read; any member may have been written.
    """
    try:
        envelope = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        members = msgspec.json.decode(envelope["BatchItemResponse"], type=list[msgspec.Raw])
        answered = [(_member_of(member), bytes(member)) for member in members]
    except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeDecodeError) as exc:
        raise OutcomeUnknownError(
            "QuickBooks answered without a readable batch", answered=True, request_id=reply.request_id, status=200
        ) from exc
    return [
        _outcome(write, [body for member, body in answered if member == member_id(write)], reply, home_currency)
        for write in writes
    ]


def _member_of(member: msgspec.Raw) -> str:
    return msgspec.json.decode(member, type=_Member).b_id


class _Member(msgspec.Struct, frozen=True):
    b_id: str = msgspec.field(name="bId", default="")


def _outcome(
    write: PreparedWrite, answered: Sequence[bytes], reply: Reply, home_currency: str
) -> Posted | ProviderError:
    if len(answered) != 1:
        how_often = "not at all" if not answered else "more than once"
        return OutcomeUnknownError(
            f"the batch answered this member {how_often}", answered=True, request_id=reply.request_id, status=200
        )
    body = answered[0]
    faults = read_faults(body)
    if faults:
        answer = Answer(200, httpx.Headers({"intuit_tid": reply.request_id or ""}), body)
        return error_for(answer, faults, is_write=True)
    try:
        return written(write, body, reply.request_id, home_currency)
    except ProviderError as exc:
        return exc
