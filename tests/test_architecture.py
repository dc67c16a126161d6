"""The walls of the code base: who imports whom, and what may be done in one place only.

Each rule below names its exceptions with a reason; an exception that is no longer used fails as well.
"""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from core.accounting import registry
from core.logging import FIELDS

ROOT = Path(__file__).resolve().parents[1]
Finder = Callable[[ast.AST], str | None]


def test_imports_keep_to_the_contracts() -> None:
    """The contracts stand in pyproject.toml; ``make imports`` shows them."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_provider_is_under_the_contracts() -> None:
    """A new one must be named in two of them: it knows no other adapter, and nobody but the registry knows it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    packages = {f"core.accounting.{provider.kind}" for provider in registry.every()}
    (independent,) = [set(contract["modules"]) for contract in contracts if contract["type"] == "independence"]
    assert packages <= independent
    for package in packages:
        importers = [c["allowed_importers"] for c in contracts if package in c.get("protected_modules", ())]
        assert importers == [["core.accounting.registry"]], package


def test_the_sandbox_borrows_nothing_but_clock_and_money() -> None:
    """It stands in for other people's services: what it shared with the product could be wrong in both."""
    borrowed = [
        f"{name} {module}"
        for name, tree in trees("web/sandbox")
        for module in _imports(tree)
        if module.startswith(("core", "web", "tests"))
        and not module.startswith(("core.clock", "core.money", "web.sandbox"))
    ]
    assert borrowed == []


def test_the_product_never_imports_its_tests() -> None:
    for name, tree in trees("core", "web"):
        assert not any(module.split(".")[0] == "tests" for module in _imports(tree)), name


def test_nobody_prints() -> None:
    """What people read goes through the command line's own writer, everything else through the log."""
    check(_prints, {})


def test_certificates_are_always_checked() -> None:
    check(_skips_certificates, {})


def test_time_and_chance_come_from_the_runtime() -> None:
    """``uuid4`` is free: an id decides nothing. So are waits of the event loop that end by themselves."""
    check(
        _asks_the_machine,
        {
            "core/clock.py": {"datetime.now": 1, "time.monotonic": 1, "random.random": 1, "os.urandom": 1}
            | {"asyncio.sleep": 1},  # the one port itself
            "web/edge.py": {"loop.time": 1},  # the socket's own deadline, beside asyncio's own timeout
            "web/server.py": {"loop.call_later": 1},  # the same, where uvicorn has no other hook
            "web/demo/story.py": {"random.Random": 1},  # seeded: the same month for every visitor
            "web/sandbox/clock.py": {"random.Random": 1},  # the sandbox has a clock of its own, which can be moved
            "web/sandbox/edge.py": {"asyncio.sleep": 1},  # a fault that hangs must hang on the wire
        },
    )


def test_only_the_session_ends_a_transaction() -> None:
    """Whoever opened the transaction ends it: ``Database`` does both. A commit in the middle would split a unit."""
    check(
        _ends_a_transaction,
        {
            "core/db/engine.py": {"rollback": 1},  # of a connection that was given up: SQLite lets go of its lock
            "core/db/one_turn.py": {"rollback": 1},  # the driver's own, which the pool asks for on each return
        },
    )


def test_everything_is_caught_in_few_places() -> None:
    """Elsewhere a broad ``except`` would turn a fault of ours into a wrong answer. One that raises again is none."""
    check(
        _catches_everything,
        {
            "core/intake/webhook.py": {"Exception": 2},  # the inbox's writer: every waiting request gets an answer
            "core/sync/inbox.py": {"Exception": 1},  # a poisonous payload is set apart, the others go on
            "core/sync/posting_rounds.py": {"Exception": 3},  # the job runner, where items travel together: one of them
            "core/sync/worker.py": {"Exception": 4},  # the job runner: one item, one round, one lane, one pass
            "web/sandbox/routes.py": {"Exception": 1},  # the stand-in's own error page
            "web/sandbox/scheduler.py": {"Exception": 2},  # one due job must not stop the sandbox's clock
        },
    )


def test_pages_hold_no_queries() -> None:
    """A page calls one function of core. The demo fills a workspace as its owner would, without the pages."""
    check(_queries, {"web/demo/seed.py": {"select": 1}}, folders=("web",))


def test_libraries_are_used_by_the_doors_that_are_safe() -> None:
    """Authlib's clients store junk as tokens; ``litestar.contrib`` is on its way out."""
    for name, tree in trees("core", "web"):
        modules = set(_imports(tree))
        assert not any(module.startswith(("authlib.integrations", "litestar.contrib")) for module in modules), name


def test_every_log_line_uses_fields_that_exist() -> None:
    """A field that is not on the list is dropped in silence, so a line would say less than its author thought."""
    unknown = [
        f"{name}:{call.lineno} {keyword.arg}"
        for name, call in log_calls()
        for keyword in call.keywords
        if keyword.arg is not None and keyword.arg not in FIELDS | {"exc_info"}
    ]
    assert unknown == []


def test_tests_never_replace_our_own_functions() -> None:
    """A patched function proves nothing about the real one: fakes stand outside, at HTTP, clock and database."""
    for name, tree in trees("tests"):
        assert "unittest.mock" not in _imports(tree), name
        patched = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Attribute) and _dotted(n) == _SETATTR]
        assert patched == [], name


def test_the_walk_sees_what_it_is_meant_to_see() -> None:
    for finder, source, expected in (
        (_prints, "print(1)", "print"),
        (_skips_certificates, "httpx.Client(verify=False)", "verify=False"),
        (_skips_certificates, "context.check_hostname = False", "check_hostname = False"),
        (_skips_certificates, "ssl.CERT_NONE", "CERT_NONE"),
        (_asks_the_machine, "datetime.datetime.now()", "datetime.now"),
        (_asks_the_machine, "date.today()", "date.today"),
        (_asks_the_machine, "from time import time", "time.time"),
        (_asks_the_machine, "from asyncio import sleep", "asyncio.sleep"),
        (_asks_the_machine, "secrets.token_hex(4)", "secrets.token_hex"),
        (_asks_the_machine, "asyncio.get_running_loop().time()", "loop.time"),
        (_ends_a_transaction, "await session.commit()", "commit"),
        (_catches_everything, "try:\n  f()\nexcept Exception:\n  pass", "Exception"),
        (_catches_everything, "try:\n  f()\nexcept:\n  pass", "everything"),
        (_catches_everything, "try:\n  f()\nexcept (OSError, Exception):\n  pass", "Exception"),
        (_queries, "from sqlalchemy import func", "func"),
    ):
        assert [found for node in ast.walk(ast.parse(source)) if (found := finder(node))] == [expected], source
    for finder, source in (
        (_asks_the_machine, "secrets.compare_digest(a, b)"),
        (_asks_the_machine, "runtime.now(); runtime.sleep(1)"),
        (_catches_everything, "try:\n  f()\nexcept BaseException:\n  g()\n  raise"),
        (_skips_certificates, "httpx.Client(verify=True)"),
    ):
        assert not any(finder(node) for node in ast.walk(ast.parse(source))), source


# The walk


@cache
def trees(*folders: str) -> tuple[tuple[str, ast.Module], ...]:
    """Return every module below ``folders`` with its path from the root."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))) for path in paths)


def check(finder: Finder, allowed: dict[str, dict[str, int]], *, folders: tuple[str, ...] = ("core", "web")) -> None:
    """Compare what a finder finds, counted by file, with the exceptions."""
    found: dict[str, dict[str, int]] = {}
    where: list[str] = []
    for name, tree in trees(*folders):
        hits = [(getattr(node, "lineno", 0), hit) for node in ast.walk(tree) if (hit := finder(node))]
        if hits:
            found[name] = dict(Counter(hit for _, hit in hits))
            where += [f"{name}:{line} {hit}" for line, hit in hits if name not in allowed]
    assert found == allowed, where


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that writes a log line of the product; the sandbox speaks to whoever runs the demo."""
    for name, tree in trees("core", "web"):
        for node in ast.walk(tree):
            if (
                not name.startswith("web/sandbox/")
                and isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"log", "_log"}
                and node.func.attr in {"debug", "info", "warning", "error", "exception", "critical"}
            ):
                yield name, node


# The finders


_MACHINE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "asyncio.sleep", "os.urandom", "os.getrandom",
    "uuid.uuid1", "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.sleep",
    "loop.time", "loop.call_later", "loop.call_at",
}  # fmt: skip
_MODULES_OF_CHANCE = {"random", "secrets"}
_SETATTR = "monkeypatch.setattr"
_QUERY_WORDS = {"select", "insert", "update", "delete", "func", "text", "exists", "union", "union_all", "Table"}


def _asks_the_machine(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Call) and _dotted(node.value.func).endswith("get_running_loop"):
            short = f"loop.{node.attr}"
        else:
            short = ".".join(_dotted(node).split(".")[-2:])
        owner, _, what = short.partition(".")
        if short in _MACHINE or (owner in _MODULES_OF_CHANCE and what not in {"compare_digest", ""}):
            return short
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        return next((name for name in names if name in _MACHINE or node.module in _MODULES_OF_CHANCE), None)
    return None


def _prints(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "breakpoint"}:
        return node.func.id
    return None


def _skips_certificates(node: ast.AST) -> str | None:
    if isinstance(node, ast.keyword) and node.arg in {"verify", "check_hostname"} and _is_false(node.value):
        return f"{node.arg}=False"
    if isinstance(node, ast.Assign) and _is_false(node.value):
        names = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
        return next((f"{name} = False" for name in names if name in {"check_hostname", "verify"}), None)
    if isinstance(node, ast.Attribute) and node.attr in {"CERT_NONE", "_create_unverified_context"}:
        return node.attr
    return None


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _ends_a_transaction(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"commit", "rollback"}:
        return node.func.attr
    return None


def _catches_everything(node: ast.AST) -> str | None:
    if not isinstance(node, ast.ExceptHandler):
        return None
    if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
        return None
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    names = ["everything" if kind is None else _dotted(kind) for kind in kinds]
    return next((name for name in names if name in {"everything", "Exception", "BaseException"}), None)


def _queries(node: ast.AST) -> str | None:
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sqlalchemy":
        return next((alias.name for alias in node.names if alias.name in _QUERY_WORDS), None)
    return None


def _imports(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from unittest import mock` and `from core import clock` name the module in the second half.
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
