"""The load generator: a process of its own, thin enough to stay out of the way.

``python -m tests.bench.load JOB``: JOB is a file of :class:`Job`; a :class:`Result` is written to standard output.
Each connection sends one request, waits for its answer, and sends the next. Bodies are built and signed before the
clock starts, but those of a steady pace as they fall due: a signature is good for five minutes only.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.bench.events import bodies, signature
from tests.bench.processes import HOST, WEBHOOK_SECRET

_LIMIT_S = 60.0


class Job(msgspec.Struct, kw_only=True):
    """What to send. ``per_second`` None: as fast as the answers come."""

    ports: list[int]
    templates: list[str]
    run: str
    count: int
    connections: int = 32
    per_second: float | None = None
    path: str = "/webhooks/stripe"


class Result(msgspec.Struct, kw_only=True):
    """What came back: how long all of it took, each answer's time, and the ids that were answered 200."""

    elapsed_s: float
    latencies_s: list[float]
    accepted: list[str]
    refused: int


def send(job: Job, folder: Path) -> Result:
    """Run ``job`` in a process of its own."""
    path = folder / f"{job.run}.json"
    path.write_bytes(msgspec.json.encode(job))
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", str(path)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=2 * _limit_s(job),
    )
    return msgspec.json.decode(done.stdout, type=Result)


def _limit_s(job: Job) -> float:
    return _LIMIT_S + (job.count / job.per_second if job.per_second else 0)


class _Caller(asyncio.Protocol):
    """One keep-alive connection. Ours answers without a body; a peer says in its head how long its body is."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, is_whole, body = self._buffer.partition(b"\r\n\r\n")
        if is_whole and len(body) >= _body_length(head) and self._answer is not None:
            status, self._buffer = int(head[9:12]), b""
            self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    async def call(self, request: bytes) -> int:
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


async def _run(job: Job) -> Result:
    requests: Iterable[tuple[str, bytes]] = (
        (event_id, _request(job.path, body)) for event_id, body in bodies(job.templates, job.run, job.count)
    )
    if job.per_second is None:
        requests = list(requests)
    loop = asyncio.get_running_loop()
    result = Result(elapsed_s=0, latencies_s=[], accepted=[], refused=0)
    callers = []
    for number in range(job.connections):
        port = job.ports[number % len(job.ports)]
        callers.append((await loop.create_connection(_Caller, "127.0.0.1", port))[1])
    started = time.perf_counter()
    async with asyncio.timeout(_limit_s(job)):
        if job.per_second is None:
            waiting = iter(requests)
            await asyncio.gather(*(_keep_calling(caller, waiting, result) for caller in callers))
        else:
            await _call_in_step(callers, requests, job.per_second, result)
    result.elapsed_s = time.perf_counter() - started
    for caller in callers:
        caller.transport.close()
    return result


async def _keep_calling(caller: _Caller, requests: Iterator[tuple[str, bytes]], result: Result) -> None:
    for event_id, request in requests:
        await _call(caller, event_id, request, time.perf_counter(), result)


async def _call_in_step(
    callers: list[_Caller], requests: Iterable[tuple[str, bytes]], per_second: float, result: Result
) -> None:
    """Send at a steady pace; a late answer counts from when its request was due."""
    begun, free = time.perf_counter(), asyncio.Queue[_Caller]()
    tasks: set[asyncio.Task[None]] = set()
    for caller in callers:
        free.put_nowait(caller)

    async def one(event_id: str, request: bytes, due: float) -> None:
        caller = await free.get()
        await _call(caller, event_id, request, due, result)
        free.put_nowait(caller)

    for number, (event_id, request) in enumerate(requests):
        due = begun + number / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(event_id, request, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def _call(caller: _Caller, event_id: str, request: bytes, since: float, result: Result) -> None:
    status = await caller.call(request)
    result.latencies_s.append(time.perf_counter() - since)
    if status == 200:
        result.accepted.append(event_id)
    else:
        result.refused += 1


def _body_length(head: bytes) -> int:
    _, is_there, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if is_there else 0


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Stripe/1.0\r\nAccept: */*\r\n"
        "Content-Type: application/json; charset=utf-8\r\nCache-Control: no-cache\r\n"
        f"Stripe-Signature: {signature(body, WEBHOOK_SECRET)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    job = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_run(job))))
