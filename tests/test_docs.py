"""What the documents, render.yaml and the lock files say is what the code does."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from core.config import Settings, load_settings, variable_names
from core.db.models import PaymentState
from core.errors import ConfigurationError
from tests.test_architecture import ROOT, log_calls, trees
from web.cli import main
from web.views.looks import STATES

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text("utf-8")
RENDER_TEXT = (ROOT / "render.yaml").read_text("utf-8")
RENDER: dict[str, Any] = yaml.safe_load(RENDER_TEXT)
WEB, WORKER = RENDER["services"]
(GROUP,) = RENDER["envVarGroups"]
DEFAULTS = {field.name.upper(): field.default for field in msgspec.structs.fields(Settings)}

SECRETS = {
    "SECRET_KEY",
    "OPERATOR_TOKEN",
    "TOKEN_KEYS",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRETS",
    "QUICKBOOKS_CLIENT_SECRET",
    "XERO_CLIENT_SECRET",
}
OPTIONAL = {"XERO_CLIENT_ID", "XERO_CLIENT_SECRET"}
"""What a person may leave empty: then Xero cannot be connected."""

MAY_BE_LOST = {"SECRET_KEY", "OPERATOR_TOKEN"}
CHOSEN_FOR_RENDER = {"HOST": "0.0.0.0", "PORT": "10000", "TRUSTED_HOPS": "2", "EMBEDDED_WORKER": "no"}
"""Where render.yaml differs from the default; the comment above each entry says why."""

OF_RENDER_ITSELF = {"PYTHON_VERSION"}
FLOORS = {"litestar": (2, 25), "authlib": (1, 9, 9), "cryptography": (46, 0, 7), "jinja2": (3, 1, 6)}


def needed() -> set[str]:
    """Return what production cannot do without, as an empty environment is told."""
    with pytest.raises(ConfigurationError) as told:
        load_settings({})
    return {name for name in variable_names() if f"\n- {name} " in str(told.value)}


# Environment variables


def test_the_readme_lists_every_variable() -> None:
    rows = ["| Variable | Meaning | Default |", "|---|---|---|"]
    asked = needed()
    for name, meaning in variable_names().items():
        default = "**needed**" if name in asked else f"`{_text(DEFAULTS[name])}`" if DEFAULTS[name] != "" else "empty"
        rows.append(f"| `{name}` | {meaning} | {default} |")
    table = "\n".join(rows)
    shown = README.partition("<!-- variables -->")[2].partition("<!-- /variables -->")[0].strip()
    assert shown == table, f"Put this between the two marks of README.md:\n\n{table}\n"


def test_render_sets_every_variable_once() -> None:
    documented = [entry["key"] for entry in [*WEB["envVars"], *GROUP["envVars"]] if "key" in entry]
    assert Counter(documented) == Counter([*variable_names(), *OF_RENDER_ITSELF])


def test_every_entry_of_render_says_what_it_is_for() -> None:
    """A comment stands right above each entry; the worker's only repeat the web service's."""
    lines = RENDER_TEXT.splitlines()
    start = next(i for i, line in enumerate(lines) if "type: worker" in line)
    end = next(i for i, line in enumerate(lines) if line.startswith("databases:"))
    for i, line in enumerate(lines):
        if line.strip().startswith("- key:") and not start < i < end:
            assert lines[i - 1].strip().startswith("# "), line.strip()


def test_render_takes_defaults_where_it_gives_no_reason() -> None:
    literals = {entry["key"]: entry["value"] for entry in GROUP["envVars"] if "value" in entry}
    for name in OF_RENDER_ITSELF:
        literals.pop(name)
    expected = {name: CHOSEN_FOR_RENDER.get(name, _text(DEFAULTS[name])) for name in literals}
    assert literals == expected
    assert all(_text(DEFAULTS[name]) != value for name, value in CHOSEN_FOR_RENDER.items())


def test_render_holds_no_secret_and_makes_only_what_may_be_lost() -> None:
    sources = {entry["key"]: set(entry) - {"key"} for entry in [*WEB["envVars"], *GROUP["envVars"]] if "key" in entry}
    assert {name for name, source in sources.items() if source == {"generateValue"}} == MAY_BE_LOST
    assert {name for name, source in sources.items() if source == {"sync"}} == needed() - MAY_BE_LOST | OPTIONAL
    assert all(sources[name] in ({"sync"}, {"generateValue"}) for name in SECRETS)
    assert all(entry["sync"] is False for entry in WEB["envVars"] if "sync" in entry)
    # Render asks for no value of a group, and drops such an entry without a word.
    assert not any("sync" in entry or "fromDatabase" in entry for entry in GROUP["envVars"])


def test_the_worker_has_the_same_settings_as_the_web_process() -> None:
    web = {entry["key"]: entry for entry in WEB["envVars"] if "key" in entry}
    worker = {entry["key"]: entry for entry in WORKER["envVars"] if "key" in entry}
    assert web.keys() == worker.keys()
    for name, entry in worker.items():
        if name == "DATABASE_URL":
            assert entry == web[name]
        else:
            assert entry["fromService"] == {"type": "web", "name": WEB["name"], "envVarKey": name}
    for service in (WEB, WORKER):
        assert [entry["fromGroup"] for entry in service["envVars"] if "fromGroup" in entry] == [GROUP["name"]]


def test_what_render_describes_starts() -> None:
    environ = {entry["key"]: entry["value"] for entry in GROUP["envVars"] if "value" in entry}
    environ |= dict.fromkeys(needed(), "x" * 44) | {
        "APP_BASE_URL": "https://books.example.com",
        "TOKEN_KEYS": f"k1:{'A' * 43}=",
        "DATABASE_URL": "postgresql://user:password@host:5432/database",
    }
    settings = load_settings(environ)
    assert settings.is_production
    assert not settings.runs_worker
    assert not settings.is_sqlite


def test_render_deploys_as_the_runbook_says() -> None:
    (database,) = RENDER["databases"]
    assert database["ipAllowList"] == []
    for service, command in ((WEB, "tieout web"), (WORKER, "tieout worker")):
        assert service["startCommand"] == command
        assert service["maxShutdownDelaySeconds"] == 90
        assert "--require-hashes -r requirements.txt" in service["buildCommand"]
        url = next(entry for entry in service["envVars"] if entry.get("key") == "DATABASE_URL")
        assert url["fromDatabase"] == {"name": database["name"], "property": "connectionString"}
    assert WEB["healthCheckPath"] == "/health"
    assert WEB["preDeployCommand"] == "tieout migrate"
    assert "preDeployCommand" not in WORKER, "two migrations at once would get in each other's way"


def test_the_code_reads_no_other_variable() -> None:
    for name, tree in trees("core", "web"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
                assert name in {"core/config.py", "web/demo/run.py"}, f"{name}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}:
                (first, *_) = node.args
                assert isinstance(first, ast.Constant)
                assert first.value in variable_names(), f"{name}:{node.lineno}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# The README and its neighbours


def test_two_commands_set_everything_up() -> None:
    set_up = README.partition("## Set up")[2].partition("\n## ")[0]
    assert re.findall(r"^    (.+)$", set_up, re.M) == ["make demo", "make test"]
    assert "make check" in (ROOT / ".ci/run").read_text("utf-8")


def test_every_target_and_command_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    ([a-z][a-z-]*)", capsys.readouterr().out, re.M))
    for page in PAGES:
        for code in _code(page.read_text("utf-8")):
            named = re.match(r"(?:[A-Z]+=\S+ )?(make|tieout) ([a-z][a-z-]*)", code)
            if named:
                assert named[2] in (targets if named[1] == "make" else commands), f"{page.name}: {code}"
    listed = README.partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `tieout ([a-z-]+)`", listed, re.M)) == commands


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if not target.startswith(("http://", "https://", "#")):
                path = page.parent / target.partition("#")[0]
                assert path.exists(), f"{page.relative_to(ROOT)}: {target}"


def test_files_that_are_named_exist() -> None:
    path = re.compile(r"(?:core|web|tests|docs|templates|static|\.ci)/[\w./-]*[\w/]")
    for page in PAGES:
        for code in _code(page.read_text("utf-8")):
            if path.fullmatch(code):
                assert (ROOT / code).exists(), f"{page.relative_to(ROOT)}: {code}"


def test_decisions_are_numbered_and_have_one_form() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    for page in pages:
        text = page.read_text("utf-8")
        assert re.match(rf"# {page.name[:4]} \S", text), page.name
        for part in ("**Context.**", "**Choice.**", "**Given up.**"):
            assert part in text, f"{page.name}: {part}"


def test_the_changelog_and_the_licence_are_in_their_usual_form() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    licence = (ROOT / "LICENSE").read_text("utf-8")
    assert licence.startswith("MIT License\n\nCopyright (c) 2026 The Tieout authors\n")


def _code(text: str) -> list[str]:
    """Return what stands in backticks and in indented blocks."""
    indented = [line.strip().partition("  #")[0] for line in re.findall(r"^ {4}(\S.*)$", text, re.M)]
    return [*re.findall(r"`([^`\n]+)`", text), *indented]


# The glossary


def glossary() -> dict[str, set[str]]:
    """Return each word of the glossary with the words that are not used for the same thing."""
    text = (ROOT / "docs/glossary.md").read_text("utf-8")
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| .+ \| ?(.*?) ?\|$", text, re.M)
    return {word: {other.strip() for other in others.split(",") if other.strip()} for word, others in rows}


def test_the_glossary_knows_the_six_states_by_their_words() -> None:
    assert STATES.keys() == {state.value for state in PaymentState}
    text = (ROOT / "docs/glossary.md").read_text("utf-8")
    for look in STATES.values():
        assert f"| **{look.word}** |" in text, look.word


def test_nobody_uses_a_second_word_for_one_thing() -> None:
    """In what people read: pages, reasons and documents."""
    words = glossary()
    assert len(words) > 20
    sources = [*(ROOT / "templates").rglob("*.html"), ROOT / "core/reasons.py", *PAGES]
    for source in sources:
        if source.name == "glossary.md":
            continue
        text = re.sub(r"`[^`]*`|\]\([^)]*\)|\{#.*?#\}", " ", source.read_text("utf-8"), flags=re.S)
        for word, others in words.items():
            for other in others:
                found = re.search(rf"\b{re.escape(other)}s?\b", text, re.I)
                assert not found, f"{source.relative_to(ROOT)} says {found[0]!r}; the word is {word!r}" if found else ""


# The runbook


def test_the_runbook_explains_every_log_event() -> None:
    names = [call.args[0] for _, call in log_calls()]
    assert all(isinstance(name, ast.Constant) for name in names), "an event's name is a fixed text"
    written = {str(name.value) for name in names if isinstance(name, ast.Constant)}
    text = (ROOT / "docs/runbook.md").read_text("utf-8")
    table = text.partition("## What the log says")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", table, re.M))
    assert sorted(written - explained) == [], "say what they mean in docs/runbook.md, “What the log says”"
    assert sorted(explained - written) == [], "nobody writes these any more"


# Lock files


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_a_lock_file_holds_versions_and_hashes_and_no_address(name: str) -> None:
    for pin, hashes in _pins(name).items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^\s;]+(?: ; .+)?", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", found) for found in hashes), pin


def test_what_runs_is_what_was_tested() -> None:
    assert _pins("requirements.txt").items() <= _pins("requirements-dev.txt").items()


def test_versions_with_known_holes_are_below_the_floor() -> None:
    locked = dict(pin.partition(" ;")[0].split("==") for pin in _pins("requirements.txt"))
    for package, floor in FLOORS.items():
        assert tuple(int(part) for part in locked[package].split(".")) >= floor, package
    assert "greenlet" in locked, "sqlalchemy without its asyncio extra"


def _pins(name: str) -> dict[str, tuple[str, ...]]:
    joined = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip()]
    assert not any(line.lstrip().startswith(("#", "-")) for line in lines), "only pins, no options"
    parts = [line.split("--hash") for line in lines]
    return {head.strip(): tuple(f"--hash{rest.strip()}" for rest in hashes) for head, *hashes in parts}


# Every file


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    """No path of somebody's machine, no address of a package index: both are nobody else's business."""
    forbidden = re.compile(
        "|".join(
            [
                r"(?<![\w.~-])/(?:home|Users|root|work)/\w",
                r"[a-z]+\.python" + r"hosted\.org",
                r"\bpypi" + r"\.org\b",
                r"registry\.npm" + r"js\.org",
                r"--(?:extra-)?index" + r"-url\b",
                r"//[^/\s]+/(?:artifactory|nexus|simple)/",
            ]
        )
    )
    for path in _files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found = forbidden.search(text)
        assert not found, f"{path.relative_to(ROOT)}: {found[0] if found else ''}"


def _files() -> list[Path]:
    """Return every file that is, or would be, in a commit."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this copy is no checkout, so nobody knows which files belong to it")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
