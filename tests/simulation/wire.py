"""The line between the product and the outside world: everything that leaves passes here, and may be spoiled here.

Beside spoiling it watches: no write without its committed intent (N4), no second call for it meanwhile (N5), no company
but its own (N6).
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from random import Random

import httpx

from tests.runtime import VirtualRuntime
from tests.simulation import disk
from tests.simulation.catalogue import hit
from tests.simulation.direct import Answer, Endpoints
from tests.simulation.life import LIFE, Death, point
from web.sandbox.app import Sandbox
from web.sandbox.edge import provider_of
from web.sandbox.faults import FaultKind, FaultRule

TOKENS = re.compile(r"/(token|bearer)$")
BOOKS = re.compile(r"/v3/company/|/api\.xro/")
_REFUSED = re.compile(rb'"Fault":|"ValidationErrors":\s?\[\s?\{')
_REALM = re.compile(r"/v3/company/([^/]+)/")
Spoil = Callable[[httpx.Request, Answer], Answer | None]


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to the endpoints of one sandbox, by the sandbox's rules of faults."""

    def __init__(self, sandbox: Sandbox, runtime: VirtualRuntime) -> None:
        self.sandbox = sandbox
        self.runtime = runtime
        self._endpoints = Endpoints(sandbox)
        self.dice = Random(1)
        self.is_turbulent = False
        self.trace: list[str] = []
        """Every call, with the moment and what became of it."""
        self.broken: list[str] = []
        """What must never be seen on the line."""
        self.in_flight: Counter[str] = Counter()
        self.refreshing: Counter[str] = Counter()
        self.errors_in_a_row: Counter[str] = Counter()
        self.spoils: list[Spoil] = []
        self.dies_after_write: int | None = None
        self.writes_spoiled = 0
        self.lost_keys: set[str] = set()
        """Keys of writes that the books took and whose answer got lost."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        provider = provider_of(request.url.path)
        if provider == "sandbox":
            return _response(await self._endpoints.answer(request))
        is_token = TOKENS.search(request.url.path) is not None
        is_write = _writes(request)
        point(f"before {request.method} {provider}")
        keys = self._check(request, provider) if is_write else []
        told = [*keys, "refresh " + provider] if is_token else keys
        for key in told:
            self.in_flight[key] += 1
            if self.in_flight[key] > 1:
                self.broken.append(f"N5: two calls at once for {key}")
        try:
            await self._turns()
            answer = await self._carry(request, provider, is_write=is_write, is_token=is_token, keys=keys)
            await self._turns()
        except httpx.HTTPError as exc:
            self._tell(request, type(exc).__name__)
            raise
        finally:
            for key in told:
                self.in_flight[key] -= 1
        self._tell(request, str(answer.status))
        self._note(answer, provider, is_token=is_token, is_write=is_write)
        if is_write and answer.status < 300:
            self._may_kill()
        try:
            point(f"after {request.method} {provider}")
        except Death:
            if is_write and answer.status < 300:
                hit("F8")
            raise
        return _response(answer)

    def _tell(self, request: httpx.Request, end: str) -> None:
        digest = hashlib.sha256(request.content).hexdigest()[:8]
        self.trace.append(f"{self.runtime.now():%m-%d %H:%M:%S} {request.method} {request.url.path} {digest} {end}")

    def _may_kill(self) -> None:
        """Let the process die now, where this is the write that it was to die after."""
        if self.dies_after_write is None:
            return
        self.dies_after_write -= 1
        life = LIFE.get()
        if self.dies_after_write <= 0 and life is not None:
            self.dies_after_write, life.dies_in = None, 0

    async def _turns(self) -> None:
        """Let others have their turn while the call is under way."""
        if self.is_turbulent:
            for _ in range(self.dice.randrange(4)):
                await asyncio.sleep(0)

    async def _carry(
        self, request: httpx.Request, provider: str, *, is_write: bool, is_token: bool, keys: list[str]
    ) -> Answer:
        target = request.url.raw_path.decode()
        entry = self.sandbox.log.start(
            at=self.sandbox.clock.timestamp(), provider=provider, method=request.method,
            path=request.url.path, query=request.url.query.decode(),
        )  # fmt: skip
        rule = self.sandbox.faults.take(provider=provider, method=request.method, path=target, body=request.content)
        if rule is None:
            answer = await self._endpoints.answer(request, entry)
            for spoil in self.spoils:
                answer = spoil(request, answer) or answer
            return answer
        return await self._spoiled(request, rule, provider, is_write=is_write, is_token=is_token, keys=keys)

    async def _spoiled(
        self, request: httpx.Request, rule: FaultRule, provider: str, *, is_write: bool, is_token: bool, keys: list[str]
    ) -> Answer:
        self.writes_spoiled += is_write
        if rule.delay_s:
            self.runtime.forward(seconds=rule.delay_s)
            hit("F12")
        if rule.kind is FaultKind.DELAY:
            return await self._endpoints.answer(request)
        if rule.kind is FaultKind.DROP_BEFORE_COMMIT:
            if rule.code == "refused":
                hit("F6")
                raise httpx.ConnectError("refused")
            raise httpx.ReadError("cut before anything was done")
        wrong = self.sandbox.faults.answer(rule, provider)
        is_done = rule.after_commit or rule.kind in (FaultKind.DROP_AFTER_COMMIT, FaultKind.TRUNCATE)
        if is_done:
            real = await self._endpoints.answer(request)
            if real.status < 300:
                hit("F15" if is_token else "F7") if is_write or is_token else None
                self.lost_keys.update(keys)
        if rule.kind is FaultKind.HANG:
            hit("F12")
            raise httpx.ReadTimeout("no answer within the time")
        if wrong is None:
            raise httpx.ReadError("cut in the middle")
        if is_token:
            hit("F16")
        return Answer(wrong.status, wrong.headers, wrong.body)

    def _note(self, answer: Answer, provider: str, *, is_token: bool, is_write: bool) -> None:
        if answer.status == 429:
            hit("F10")
        elif answer.status == 401 and not is_token:
            hit("F13")
        elif answer.status >= 500:
            self.errors_in_a_row[provider] += 1
            if self.errors_in_a_row[provider] == 5:
                hit("F11")
        elif is_write and (answer.status == 400 or _REFUSED.search(answer.body)):
            hit("F20")
        if answer.status < 500:
            self.errors_in_a_row[provider] = 0

    def _check(self, request: httpx.Request, provider: str) -> list[str]:
        """Hold a write against what is committed: its bytes must stand there as sent, for this very company."""
        realm = _REALM.search(request.url.path)
        company = realm.group(1) if realm else request.headers.get("xero-tenant-id", "")
        with_intent = (
            "SELECT o.key, o.body, c.external_id FROM operation o JOIN connection c ON c.id = o.connection_id"
            " WHERE o.state = 'sent'"
        )
        database = disk.peek()
        try:
            rows = [row for row in database.execute(with_intent) if _carries(request.content, bytes(row["body"]))]
        finally:
            database.close()
        if not rows:
            self.broken.append(f"N4: without a committed intent: {request.url.path} {request.content[:200]!r}")
        for row in rows:
            if row["external_id"] != company:
                self.broken.append(f"N6: what was meant for {row['external_id']} went to {company}")
        return [str(row["key"]) for row in rows]


def _carries(content: bytes, body: bytes) -> bool:
    """Tell whether a call carries these frozen bytes: as they are, or Xero's one element among others."""
    return body in content or (body.endswith(b"}]}") and body[body.index(b"[") + 1 : -2] in content)


def _writes(request: httpx.Request) -> bool:
    """Tell whether the books are asked to change something; QuickBooks is asked several questions by a POST as well."""
    if request.method not in ("POST", "PUT") or not BOOKS.search(request.url.path):
        return False
    return not (request.url.path.endswith("/batch") and b'"operation"' not in request.content)


def _response(answer: Answer) -> httpx.Response:
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
