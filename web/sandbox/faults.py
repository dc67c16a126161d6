"""Injected faults: rules that the edge of the sandbox applies to matching requests.

Errors are worded the way the real provider words them; each stand-in registers its shape.
"""

import re
from collections.abc import Callable
from enum import StrEnum

import msgspec

from web.sandbox.clock import SandboxClock

JSON_TYPE = "application/json"


class FaultKind(StrEnum):
    """What goes wrong. "Commit" means: the stand-in has changed its state."""

    DROP_BEFORE_COMMIT = "drop_before_commit"
    """Cut the connection, nothing was done."""
    DROP_AFTER_COMMIT = "drop_after_commit"
    """Do the work, then cut the connection without an answer."""
    HANG = "hang"
    """No answer until the client gives up; the work is done first when ``after_commit``."""
    DELAY = "delay"
    """Answer normally, ``delay_s`` late."""
    STATUS = "status"
    """Answer ``status`` with an error body of the provider's real shape."""
    RATE_LIMIT = "rate_limit"
    """429 in the provider's shape, with ``retry_after`` where given."""
    JUNK = "junk"
    """200, a JSON content type, and a body that is no JSON."""
    TRUNCATE = "truncate"
    """Do the work, send half of the answer, cut the connection."""
    HTML_500 = "html_500"
    """500 with a proxy's HTML page."""


class FaultRule(msgspec.Struct, kw_only=True):
    """Which requests are hit, how often, and by what."""

    kind: FaultKind
    id: str = ""
    provider: str | None = None
    """``stripe``, ``quickbooks``...; None = any."""
    method: str | None = None
    path: str = ""
    """Regular expression, searched in path + query string. Empty = every path."""
    body: str = ""
    """Regular expression, searched in the request body. Empty = every body."""
    skip: int = 0
    """Let this many matching requests pass first: ``skip=2`` hits the third."""
    count: int | None = 1
    """Hit this many, then rest. None = for ever."""
    probability: float = 1.0
    """Share of matching requests (after ``skip``) that are hit."""
    delay_s: float = 0.0
    """Wait before acting; works with every kind."""
    status: int = 500
    retry_after: str | None = None
    code: str | None = None
    """Error code inside the body, for kinds that have one."""
    message: str | None = None
    after_commit: bool = False
    """Do the work first, then answer wrongly (status, rate_limit, junk, html_500, hang)."""
    matched: int = 0
    hits: int = 0


class FaultAnswer(msgspec.Struct):
    """An answer to send in place of the real one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


ErrorShape = Callable[[FaultRule], FaultAnswer]
"""Builds a provider's error body for ``rule.status`` (429 for ``rate_limit``), ``rule.code`` and ``message``."""


class Faults:
    """All active rules. The first matching rule wins."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._rules: list[FaultRule] = []
        self._shapes: dict[str, ErrorShape] = {}

    def register_shape(self, provider: str, shape: ErrorShape) -> None:
        """Tell how ``provider`` words its errors; called once by each stand-in."""
        self._shapes[provider] = shape

    def add(self, rule: FaultRule) -> FaultRule:
        for pattern in (rule.path, rule.body):
            check_pattern(pattern)
        rule.id = rule.id or self._clock.new_id("fault_", 12)
        self._rules.append(rule)
        return rule

    def rules(self) -> list[FaultRule]:
        return list(self._rules)

    def clear(self, rule_id: str | None = None) -> int:
        """Remove one rule, or all; return how many went."""
        kept = [rule for rule in self._rules if rule_id is not None and rule.id != rule_id]
        removed = len(self._rules) - len(kept)
        self._rules = kept
        return removed

    def take(self, *, provider: str, method: str, path: str, body: bytes) -> FaultRule | None:
        """Return the rule that hits this request, and count it."""
        for rule in self._rules:
            if not _matches(rule, provider=provider, method=method, path=path, body=body):
                continue
            rule.matched += 1
            if rule.matched <= rule.skip or (rule.count is not None and rule.hits >= rule.count):
                continue
            if rule.probability < 1.0 and self._clock.random() >= rule.probability:
                continue
            rule.hits += 1
            return rule
        return None

    def answer(self, rule: FaultRule, provider: str) -> FaultAnswer | None:
        """The wrong answer of ``rule``, or None where its kind leaves the answer alone."""
        match rule.kind:
            case FaultKind.JUNK:
                return FaultAnswer(200, [("content-type", JSON_TYPE)], b'{"id": "not quite js')
            case FaultKind.HTML_500:
                page = b"<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>"
                return FaultAnswer(500, [("content-type", "text/html; charset=utf-8")], page)
            case FaultKind.STATUS:
                return self._shaped(rule, provider)
            case FaultKind.RATE_LIMIT:
                return self._shaped(msgspec.structs.replace(rule, status=429), provider)
            case _:
                return None

    def _shaped(self, rule: FaultRule, provider: str) -> FaultAnswer:
        shape = self._shapes.get(provider)
        if shape is None:
            answer = FaultAnswer(rule.status, [("content-type", "text/plain")], (rule.message or "error").encode())
        else:
            answer = shape(rule)
        if rule.retry_after is not None:
            answer.headers.append(("retry-after", rule.retry_after))
        return answer


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression, in words for whoever wrote it."""
    try:
        re.compile(pattern)
    except re.error as error:
        message = f"not a regular expression: {pattern!r} ({error})"
        raise ValueError(message) from error


def _matches(rule: FaultRule, *, provider: str, method: str, path: str, body: bytes) -> bool:
    if rule.provider not in (None, provider) or (rule.method and rule.method.upper() != method):
        return False
    if rule.path and not re.search(rule.path, path):
        return False
    return not rule.body or re.search(rule.body, body.decode("utf-8", "replace")) is not None
