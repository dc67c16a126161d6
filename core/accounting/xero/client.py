"""Calls to one organisation of Xero: addresses, headers, keys, and every answer checked for a refusal.

Every call names the stored organisation (O11): a token is a person's and opens all that they ever connected.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode

from core.accounting.xero.faults import correlation_id, error_for, is_missing, names_elements
from core.errors import ConfigurationError, OutcomeUnknownError, ProviderUnavailableError
from core.outgoing import Answer, Outgoing

MAX_KEY = 128
NO_ID = "00000000-0000-0000-0000-000000000000"

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z0-9.-]{1,80}")
# An element after the collection is an id, or a contact's number that we made.
_PATH = re.compile(r"/[A-Z][A-Za-z]{1,30}(?:/[A-Za-z0-9_-]{1,60})?")

# One element tells its own outcome, with HTTP 200; what happens to good elements otherwise is nowhere said.
_EACH = (("summarizeErrors", "false"),)
_QUERIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "/Contacts": _EACH,
    "/Invoices": (*_EACH, ("unitdp", "4")),
    "/Payments": _EACH,
    "/CreditNotes": (*_EACH, ("unitdp", "4")),
    "/BankTransactions": (*_EACH, ("unitdp", "4")),
    # Xero's file knows no parameter here; one bad transfer turns the whole answer into a 400.
    "/BankTransfers": (),
    "/Accounts": (),
}


class Reply(NamedTuple):
    """A successful answer. Its elements may still have been refused."""

    body: bytes
    request_id: str | None
    names_refused: bool = False
    """The call was refused as a whole, and ``Elements`` names those on whose account."""


def is_guid(text: str) -> bool:
    """Tell whether ``text`` is the id of something (I4): a GUID, and not the empty one of a refused element."""
    return _GUID.fullmatch(text) is not None and text != NO_ID


class XeroClient:
    """One organisation, one access token. Repeats nothing by itself."""

    def __init__(self, outgoing: Outgoing, *, api_base: str, access_token: str, tenant_id: str) -> None:
        if not is_guid(tenant_id):
            raise ConfigurationError("the id of a Xero organisation is a GUID")
        self.calls = 0
        """Requests made so far."""
        self._outgoing = outgoing
        self._tenant_id = tenant_id
        self._base = f"{api_base}/api.xro/2.0"
        self._headers = {
            "Authorization": f"Bearer {access_token}",
            "Xero-Tenant-Id": tenant_id,
            # Without it Xero answers in XML.
            "Accept": "application/json",
        }

    async def create(self, path: str, body: bytes, *, key: str, send: int = 1) -> Reply:
        """PUT ``body``, which creates and never changes what exists.

        Args:
            path: collection, e.g. ``/Invoices``.
            body: exact bytes.
            key: idempotency key of the write. Xero's keys are one space over all organisations of an app, so the
                organisation goes into it; and an error is remembered under its key for six minutes, so ``send`` does.
            send: which sending this is.

        Raises:
            OutcomeUnknownError: it may have been written: no answer, a 5xx, or a key that Xero knows otherwise.
            ProviderError: everything else that :func:`~core.accounting.xero.faults.error_for` knows.
        """
        return _checked(await self._put(path, body, key, send), is_write=True)

    async def create_many(self, path: str, body: bytes, *, key: str, send: int = 1) -> Reply:
        """PUT several elements, as :meth:`create`; a refusal that names its elements is an answer, too."""
        answer = await self._put(path, body, key, send)
        if names_elements(answer):
            return Reply(answer.body, correlation_id(answer), names_refused=True)
        return _checked(answer, is_write=True)

    async def read(self, path: str, **parameters: str) -> Reply:
        """GET a collection or an element that must exist."""
        return _checked(await self._get(path, parameters), is_write=False)

    async def read_changed(self, path: str, since: datetime, **parameters: str) -> Reply:
        """GET what was changed in a collection at ``since`` or later, to the second.

        In any other form than this one, Xero ignores the header and answers with everything.
        """
        modified = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return _checked(await self._get(path, parameters, {"If-Modified-Since": modified}), is_write=False)

    async def find(self, path: str) -> Reply | None:
        """GET one element; None when there is none."""
        answer = await self._get(path, {})
        return None if is_missing(answer) else _checked(answer, is_write=False)

    async def _put(self, path: str, body: bytes, key: str, send: int) -> Answer:
        wire_key = f"{self._tenant_id}.{key}.{send}"
        if _KEY.fullmatch(key) is None or len(wire_key) > MAX_KEY or path not in _QUERIES:
            raise ConfigurationError("refused to send: malformed key or path")
        query = f"?{urlencode(_QUERIES[path])}" if _QUERIES[path] else ""
        headers = {**self._headers, "Content-Type": "application/json", "Idempotency-Key": wire_key}
        self.calls += 1
        return await self._outgoing.send("PUT", f"{self._base}{path}{query}", headers=headers, content=body)

    async def _get(self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        if _PATH.fullmatch(path) is None:
            raise ConfigurationError("refused to read: malformed path")
        query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
        self.calls += 1
        try:
            return await self._outgoing.send(
                "GET", f"{self._base}{path}{query}", headers={**self._headers, **(headers or {})}
            )
        except OutcomeUnknownError as exc:
            # A read changes nothing, so there is no doubt to carry: only no answer.
            raise ProviderUnavailableError(exc.text, status=exc.status) from exc


def _checked(answer: Answer, *, is_write: bool) -> Reply:
    if answer.status != 200:
        raise error_for(answer, is_write=is_write)
    return Reply(answer.body, correlation_id(answer))
