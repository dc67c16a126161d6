"""Calls to one company of QuickBooks: addresses, headers, minor version, and every answer checked for a fault."""

import re
from typing import NamedTuple
from urllib.parse import quote, urlencode

from core.accounting.quickbooks.faults import error_for, read_faults, tid
from core.errors import ConfigurationError, OutcomeUnknownError, ProviderUnavailableError
from core.outgoing import Answer, Outgoing

MINOR_VERSION = "75"

_REALM = re.compile(r"[0-9]{1,20}")
_OBJECT_ID = re.compile(r"[0-9]{1,20}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
_PATH = re.compile(r"/[a-z]{1,30}(/[0-9]{1,20})?")


class Reply(NamedTuple):
    """A successful answer."""

    body: bytes
    request_id: str | None


def is_realm(text: str) -> bool:
    """Tell whether ``text`` can be a company's id (I4)."""
    return _REALM.fullmatch(text) is not None


def is_object_id(text: str) -> bool:
    """Tell whether ``text`` can be an object's id (I4)."""
    return _OBJECT_ID.fullmatch(text) is not None


class QuickBooksClient:
    """One company, one access token. Repeats nothing by itself."""

    def __init__(self, outgoing: Outgoing, *, api_base: str, access_token: str, realm_id: str) -> None:
        if not is_realm(realm_id):
            raise ConfigurationError("a company id of QuickBooks has digits only")
        self._outgoing = outgoing
        self._base = f"{api_base}/v3/company/{realm_id}"
        self._headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        self.calls = 0
        """Requests made so far."""

    async def write(self, path: str, body: bytes, *, request_id: str, read_timeout_s: float | None = None) -> Reply:
        """POST ``body`` under its idempotency key.

        Raises:
            OutcomeUnknownError: it may have been written: no answer, a 5xx, or QuickBooks itself does not know.
            ProviderError: everything else that :func:`~core.accounting.quickbooks.faults.error_for` knows.
        """
        if _REQUEST_ID.fullmatch(request_id) is None or _PATH.fullmatch(path) is None:
            raise ConfigurationError("refused to send: malformed key or path")
        query = urlencode({"requestid": request_id, "minorversion": MINOR_VERSION})
        headers = {**self._headers, "Content-Type": "application/json"}
        self.calls += 1
        answer = await self._outgoing.send(
            "POST", f"{self._base}{path}?{query}", headers=headers, content=body, read_timeout_s=read_timeout_s
        )
        return _checked(answer, is_write=True)

    async def read(self, path: str, **parameters: str) -> Reply:
        """GET one object."""
        if _PATH.fullmatch(path) is None:
            raise ConfigurationError("refused to read: malformed path")
        return await self._get(f"{self._base}{path}?{urlencode({**parameters, 'minorversion': MINOR_VERSION})}")

    async def query(self, statement: str) -> Reply:
        """Run one statement of the query language, built by :mod:`core.accounting.quickbooks.queries`."""
        parameters = urlencode({"query": statement, "minorversion": MINOR_VERSION}, quote_via=quote)
        return await self._get(f"{self._base}/query?{parameters}")

    async def _get(self, url: str) -> Reply:
        self.calls += 1
        try:
            answer = await self._outgoing.send("GET", url, headers=self._headers)
        except OutcomeUnknownError as exc:
            # A read changes nothing, so there is no doubt to carry: only no answer.
            raise ProviderUnavailableError(exc.text, status=exc.status) from exc
        return _checked(answer, is_write=False)


def _checked(answer: Answer, *, is_write: bool) -> Reply:
    faults = read_faults(answer.body) if answer.status != 200 or b"ault" in answer.body[:200] else []
    if answer.status != 200 or faults:
        raise error_for(answer, faults, is_write=is_write)
    return Reply(answer.body, tid(answer))
