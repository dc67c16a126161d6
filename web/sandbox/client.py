"""Typed calls of the control API, for tests, the demo and the benchmarks."""

from typing import Any, TypeVar

import httpx
import msgspec

from web.sandbox.faults import FaultRule
from web.sandbox.log import LogEntry
from web.sandbox.stripe import inputs
from web.sandbox.stripe.disputes import COUNTERED_FEE
from web.sandbox.stripe.knobs import Knobs
from web.sandbox.stripe.webhooks import Attempt

T = TypeVar("T")
Json = dict[str, Any]


class SandboxError(Exception):
    """The sandbox answered with an error; the text is its message."""


class Payment(msgspec.Struct, kw_only=True):
    """What one payment made."""

    payment_intent: str | None = None
    charge: str | None = None
    balance_transaction: str | None = None
    customer: str | None = None
    checkout_session: str | None = None
    payment_link: str | None = None
    invoice: str | None = None
    status: str | None = None


class Business(msgspec.Struct, kw_only=True):
    """One Stripe account of the sandbox."""

    id: str
    name: str
    email: str
    country: str
    currency: str
    secret_key: str
    platform: bool = False
    connected: list[str] = []


class Ledger(msgspec.Struct, kw_only=True):
    """Balance, balance transactions and broken invariants of one business."""

    balance: Json
    posted_minor: dict[str, int]
    rows: list[Json]
    problems: list[str]


class SandboxClient:
    """One sandbox, told what happens in the world outside."""

    def __init__(self, base_url: str, http: httpx.AsyncClient) -> None:
        self._root = base_url.rstrip("/") + "/_control"
        self._http = http

    async def clock(self) -> Json:
        return await self._get("/clock", Json)

    async def advance(self, *, seconds: float = 0.0, days: float = 0.0, flush: bool = True) -> Json:
        body = {"seconds": seconds, "days": days, "flush": flush}
        return await self._send("POST", "/clock/advance", body, Json)

    async def flush(self) -> Json:
        """Deliver everything that is due now."""
        return await self._send("POST", "/flush", None, Json)

    async def add_fault(self, rule: FaultRule) -> FaultRule:
        return await self._send("POST", "/faults", rule, FaultRule)

    async def faults(self) -> list[FaultRule]:
        return await self._get("/faults", list[FaultRule])

    async def clear_faults(self) -> None:
        await self._send("DELETE", "/faults", None, Json)

    async def log(
        self, *, provider: str | None = None, account: str | None = None, after_seq: int = 0
    ) -> list[LogEntry]:
        wanted = {"provider": provider, "account": account, "after_seq": str(after_seq)}
        query = {name: value for name, value in wanted.items() if value is not None}
        return await self._get("/log", list[LogEntry], query)

    async def clear_log(self) -> None:
        await self._send("DELETE", "/log", None, Json)

    async def record_bodies(self, on: bool = True) -> None:
        await self._send("PUT", "/log", {"record_bodies": on}, Json)

    async def create_account(self, name: str, **options: Any) -> Business:
        return await self._send("POST", "/stripe/accounts", inputs.AccountInput(name=name, **options), Business)

    async def accounts(self) -> list[Business]:
        return await self._get("/stripe/accounts", list[Business])

    async def connect(self, account: str, flow: str = "app") -> Json:
        """Grant access without the consent page; returns tokens."""
        return await self._send("POST", f"/stripe/accounts/{account}/connect", {"flow": flow}, Json)

    async def disconnect(self, account: str) -> None:
        await self._send("POST", f"/stripe/accounts/{account}/disconnect", None, Json)

    async def restricted_key(self, account: str, permissions: list[str]) -> str:
        body = inputs.PermissionsInput(permissions=permissions)
        made = await self._send("POST", f"/stripe/accounts/{account}/restricted_keys", body, dict[str, str])
        return made["key"]

    async def create_product(self, account: str, name: str, **options: Any) -> Json:
        body = inputs.ProductInput(name=name, **options)
        return await self._send("POST", f"/stripe/accounts/{account}/products", body, Json)

    async def create_customer(self, account: str, **details: Any) -> Json:
        body = inputs.CustomerInput(**details)
        return await self._send("POST", f"/stripe/accounts/{account}/customers", body, Json)

    async def pay(self, account: str, amount: int | None = None, **options: Any) -> Payment:
        """Make one payment; see :class:`web.sandbox.stripe.inputs.PaymentInput` for everything it can be told."""
        body = inputs.PaymentInput(amount=amount, **options)
        return await self._send("POST", f"/stripe/accounts/{account}/payments", body, Payment)

    async def refund(self, account: str, payment: str, amount: int | None = None, **options: Any) -> Json:
        body = inputs.RefundInput(payment=payment, amount=amount, **options)
        return await self._send("POST", f"/stripe/accounts/{account}/refunds", body, Json)

    async def fail_refund(self, account: str, refund: str) -> Json:
        return await self._send("POST", f"/stripe/accounts/{account}/refunds/{refund}/fail", None, Json)

    async def dispute(self, account: str, payment: str, **options: Any) -> Json:
        body = inputs.DisputeInput(payment=payment, **options)
        return await self._send("POST", f"/stripe/accounts/{account}/disputes", body, Json)

    async def withdraw_dispute(self, account: str, dispute: str) -> Json:
        return await self._send("POST", f"/stripe/accounts/{account}/disputes/{dispute}/withdraw", None, Json)

    async def answer_dispute(self, account: str, dispute: str, *, countered_fee: int = COUNTERED_FEE) -> Json:
        body = inputs.EvidenceInput(countered_fee=countered_fee)
        return await self._send("POST", f"/stripe/accounts/{account}/disputes/{dispute}/evidence", body, Json)

    async def close_dispute(self, account: str, dispute: str, outcome: str, **options: Any) -> Json:
        body = {"outcome": outcome, **options}
        return await self._send("POST", f"/stripe/accounts/{account}/disputes/{dispute}/close", body, Json)

    async def payout(self, account: str, **options: Any) -> Json:
        body = inputs.PayoutInput(**options)
        return await self._send("POST", f"/stripe/accounts/{account}/payouts", body, Json)

    async def move_payout(self, account: str, payout: str, step: str) -> Json:
        """``step``: advance, pay, cancel or fail."""
        return await self._send("POST", f"/stripe/accounts/{account}/payouts/{payout}/{step}", None, Json)

    async def add_row(self, account: str, kind: str, amount: int, **options: Any) -> Json:
        """Any other balance transaction."""
        body = inputs.RowInput(type=kind, amount=amount, **options)
        return await self._send("POST", f"/stripe/accounts/{account}/balance_transactions", body, Json)

    async def ledger(self, account: str) -> Ledger:
        return await self._get(f"/stripe/accounts/{account}/ledger", Ledger)

    async def stripe_object(self, account: str, object_id: str) -> Json:
        return await self._get(f"/stripe/accounts/{account}/objects/{object_id}", Json)

    async def set_knobs(self, **knobs: Any) -> Knobs:
        """Turn the given knobs and every other one back to its default."""
        return await self._send("PUT", "/stripe/webhooks/knobs", Knobs(**knobs), Knobs)

    async def held(self) -> list[Json]:
        return await self._get("/stripe/webhooks/held", list[Json])

    async def release(self, order: list[int] | None = None) -> int:
        body = inputs.ReleaseInput(order=order)
        answer = await self._send("POST", "/stripe/webhooks/release", body, dict[str, int])
        return answer["delivered"]

    async def resend(self, account: str, events: list[str] | None = None) -> int:
        body = inputs.ResendInput(account=account, events=events or [])
        answer = await self._send("POST", "/stripe/webhooks/resend", body, dict[str, int])
        return answer["deliveries"]

    async def send_odd(self, kind: str, account: str | None = None) -> int | None:
        """One strange delivery; returns the intake's status."""
        body = {"kind": kind, "account": account}
        answer = await self._send("POST", "/stripe/webhooks/odd", body, dict[str, int | None])
        return answer["status"]

    async def events(self, account: str) -> list[Json]:
        return await self._get("/stripe/webhooks/events", list[Json], {"account": account})

    async def attempts(self, account: str | None = None) -> list[Attempt]:
        query = {} if account is None else {"account": account}
        return await self._get("/stripe/webhooks/attempts", list[Attempt], query)

    async def set_rate_limit(self, per_second: float | None) -> None:
        await self._send("PUT", "/stripe/rate_limit", inputs.LimitInput(per_second=per_second), Json)

    async def _get(self, path: str, answer: type[T], query: dict[str, str] | None = None) -> T:
        return self._read(await self._http.get(self._root + path, params=query), answer)

    async def _send(self, method: str, path: str, body: Any, answer: type[T]) -> T:
        content = b"" if body is None else msgspec.json.encode(body)
        return self._read(await self._http.request(method, self._root + path, content=content), answer)

    @staticmethod
    def _read(response: httpx.Response, answer: type[T]) -> T:
        if response.status_code >= 400:
            raise SandboxError(response.text)
        return msgspec.json.decode(response.content, type=answer)
