"""Log lines: one JSON object each, known fields only, no secrets by construction (L1, L2)."""

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core.logging import FIELDS, configure_logging, get_logger
from tests.runtime import VirtualRuntime


class Log:
    """What was written since the test began."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    written = Log()
    configure_logging("debug", stream=written.stream, runtime=VirtualRuntime())
    yield written
    configure_logging("warning", tracebacks=True)


def test_a_line_is_one_object_with_time_level_and_part(log: Log) -> None:
    get_logger("web").info("request", status=200, route="/payments")
    assert log.lines == [
        {
            "at": "2026-03-02T09:00:00.000Z",
            "level": "info",
            "part": "web",
            "status": 200,
            "route": "/payments",
            "event": "request",
        }
    ]


def test_fields_that_are_not_on_the_list_are_dropped(log: Log) -> None:
    get_logger("web").info("x", password="canary", email="canary", token="canary", body={"a": "canary"}, status=1)
    assert "canary" not in log.text
    assert log.lines[0]["status"] == 1


def test_no_field_of_the_list_names_a_secret_or_a_person() -> None:
    words = (
        "password",
        "token",
        "secret",
        "cookie",
        "email",
        "name",
        "body",
        "payload",
        "query",
        "url",
        "header",
        "text",
    )
    assert not {field for field in FIELDS if any(word in field for word in words)}


def test_line_breaks_stay_inside_the_line(log: Log) -> None:
    get_logger("web").info("x\nInjected: yes\r\n{}", route="/a\nb\u2028c", reason="\x1b[31m")
    assert len(log.text.splitlines()) == len(log.lines) == 1


def test_values_are_bounded_and_always_json(log: Log) -> None:
    get_logger("web").info("x", route="y" * 10_000, key_ids={"k1"}, kind=object, code=None)
    assert len(log.lines[0]["route"]) == 300
    assert log.lines[0]["key_ids"] == ["k1"]
    assert "code" not in log.lines[0]


def test_an_exception_is_its_class_and_its_way_never_its_words(log: Log) -> None:
    try:
        try:
            raise KeyError("canary-1")
        except KeyError as exc:
            raise ValueError("canary-2") from exc
    except ValueError:
        get_logger("worker").exception("failed")
    line = log.lines[0]
    assert line["exception"] == "ValueError from KeyError"
    assert any("test_an_exception_is" in frame for frame in line["frames"])
    assert "canary" not in log.text


def test_context_variables_travel_with_every_line(log: Log) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1", password="canary"):
        get_logger("web").info("x")
    assert log.lines[0]["request_id"] == "r1"
    assert "canary" not in log.text


@pytest.mark.parametrize(
    "name",
    ["httpx", "httpcore", "stripe", "aiosqlite", "asyncpg", "sqlalchemy.engine", "uvicorn.access", "asyncio", "x"],
)
def test_other_libraries_start_at_warning_and_lose_their_values(log: Log, name: str) -> None:
    logger = logging.getLogger(name)
    logger.info("HTTP Request: %s", "https://x.example/?code=canary")
    logger.debug("body %s", "canary")
    logger.warning("refused %s\nbody: canary", "canary")
    assert "canary" not in log.text
    if name != "uvicorn.access":
        assert [line["event"] for line in log.lines] == ["refused %s"]
    else:
        assert log.lines == []


def test_a_task_that_nobody_awaited_tells_no_secret(log: Log) -> None:
    async def fails() -> None:
        raise ValueError("canary")

    async def forget() -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        # The young alone: looking at all that the tests before have left takes seconds.
        gc.collect(1)

    asyncio.run(forget())
    assert "canary" not in log.text
    assert log.lines[0]["event"] == "Task exception was never retrieved"
    assert log.lines[0]["exception"] == "ValueError"


def test_the_level_is_respected(log: Log) -> None:
    configure_logging("warning", stream=log.stream, runtime=VirtualRuntime())
    get_logger("web").info("quiet")
    get_logger("web").warning("loud")
    assert [line["event"] for line in log.lines] == ["loud"]
