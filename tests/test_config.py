"""What a person reads who starts Tieout in the wrong environment, word for word (D2).

``tests/core/test_config.py`` looks at the rules one by one; this is the text as it arrives, from the command line.
"""

import base64
import subprocess
import sys

import pytest

from tests.test_architecture import ROOT
from web.cli import main

KEY = base64.b64encode(bytes(range(32))).decode()
CANARY = "canary-of-a-secret"
GOOD = {
    "APP_BASE_URL": "https://books.example.com",
    "DATABASE_URL": "postgresql://tieout@db/tieout",
    "TOKEN_KEYS": f"k1:{KEY}",
    "SECRET_KEY": "s" * 32,
    "STRIPE_CLIENT_ID": "ca_1",
    "STRIPE_SECRET_KEY": "sk_live_1",
    "STRIPE_WEBHOOK_SECRETS": "whsec_1",
    "QUICKBOOKS_CLIENT_ID": "client",
    "QUICKBOOKS_CLIENT_SECRET": "secret",
}
OVERRIDE = "is not the provider's own address (ALLOW_PROVIDER_OVERRIDES permits it)"

BAD = [
    ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
    ({"TOKEN_KEYS": "   "}, "TOKEN_KEYS is missing"),
    ({"STRIPE_CLIENT_ID": ""}, "STRIPE_CLIENT_ID is missing"),
    ({"SECRET_KEY": CANARY}, "SECRET_KEY must have at least 32 characters"),
    ({"TOKEN_KEYS": CANARY}, "TOKEN_KEYS: key 1 needs a short id of letters and digits before the colon"),
    ({"TOKEN_KEYS": f"k1:{CANARY}"}, "TOKEN_KEYS: key k1 is not base64"),
    ({"TOKEN_KEYS": "k1:c2hvcnQ="}, "TOKEN_KEYS: key k1 has 5 bytes, it must have 32"),
    ({"TOKEN_KEYS": f"k1:{KEY},k2:{KEY}"}, "TOKEN_KEYS: key k2 is there twice"),
    ({"TOKEN_KEYS": f"k1:{KEY},k1:{KEY[::-1]}"}, "TOKEN_KEYS: key k1 is not base64"),
    ({"APP_BASE_URL": "http://books.example.com"}, "APP_BASE_URL must start with https:// in production"),
    (
        {"APP_BASE_URL": "https://x.example/app"},
        "APP_BASE_URL must look like https://books.example.com, without a path",
    ),
    ({"DATABASE_URL": f"mysql://u:{CANARY}@db/x"}, "DATABASE_URL must start with postgresql:// or sqlite:///"),
    ({"DEMO_DATA": "yes"}, "DEMO_DATA is refused in production"),
    ({"MOCK_BOOKS_PATH": "books.db"}, "MOCK_BOOKS_PATH is refused in production"),
    ({"STRIPE_API_BASE": "http://localhost:1"}, f"STRIPE_API_BASE {OVERRIDE}"),
    ({"QUICKBOOKS_TOKEN_URL": "https://evil.example"}, f"QUICKBOOKS_TOKEN_URL {OVERRIDE}"),
    ({"STRIPE_SECRTE_KEY": CANARY}, "STRIPE_SECRTE_KEY is not a variable of Tieout; is it misspelt?"),
    ({"TOKEN_KEY": CANARY}, "TOKEN_KEY is not a variable of Tieout; is it misspelt?"),
    ({"PORT": "http"}, "PORT must be a whole number from 0 to 65535"),
    ({"PORT": "70000"}, "PORT must be a whole number from 0 to 65535"),
    ({"TRUSTED_HOPS": "-1"}, "TRUSTED_HOPS must be a whole number from 0 to 10"),
    ({"APP_ENV": "prod"}, "APP_ENV must be production or development"),
    ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be debug or info or warning or error"),
    ({"STRIPE_MODE": CANARY}, "STRIPE_MODE must be test or live"),
    ({"DEMO_DATA": "perhaps"}, "DEMO_DATA must be true or false"),
]


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a good start, and nothing of this machine's."""
    for name in ("APP_ENV", "PORT", "HOST", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(("change", "words"), BAD)
def test_each_problem_is_told_in_these_words(
    change: dict[str, str], words: str, environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in change.items():
        environ.setenv(name, value)
    assert main(["migrate"]) == 2
    assert capsys.readouterr().out == f"Tieout cannot start:\n- {words}\n"


def test_all_problems_are_told_at_once(environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in GOOD:
        environ.delenv(name)
    environ.setenv("DATABASE_URL", "mysql://x")
    environ.setenv("DEMO_DATA", "on")
    environ.setenv("QUICKBOOKS_CLIENT", CANARY)
    environ.setenv("PORT", "http")
    environ.setenv("STRIPE_MODE", CANARY)
    assert main(["web"]) == 2
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Tieout cannot start:"
    assert set(told[1:]) == {
        "- QUICKBOOKS_CLIENT is not a variable of Tieout; is it misspelt?",
        "- DATABASE_URL must start with postgresql:// or sqlite:///",
        "- SECRET_KEY is missing",
        "- TOKEN_KEYS is missing",
        "- STRIPE_SECRET_KEY is missing",
        "- STRIPE_WEBHOOK_SECRETS is missing",
        "- STRIPE_CLIENT_ID is missing",
        "- QUICKBOOKS_CLIENT_ID is missing",
        "- QUICKBOOKS_CLIENT_SECRET is missing",
        "- APP_BASE_URL must start with https:// in production",
        "- DEMO_DATA is refused in production",
        "- PORT must be a whole number from 0 to 65535",
        "- STRIPE_MODE must be test or live",
    }


def test_a_mistyped_kind_of_environment_is_told_alone(
    environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ.setenv("APP_ENV", "developmnet")
    environ.setenv("APP_BASE_URL", "http://localhost:8000")
    environ.delenv("STRIPE_CLIENT_ID")
    assert main(["web"]) == 2
    assert capsys.readouterr().out == "Tieout cannot start:\n- APP_ENV must be production or development\n"


def test_a_worker_of_its_own_needs_postgresql(environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environ.setenv("DATABASE_URL", "sqlite:///never-made.db")
    assert main(["worker"]) == 2
    assert "On SQLite the worker runs inside `tieout web`." in capsys.readouterr().out


def test_a_wrong_start_as_a_process_says_so_without_a_traceback() -> None:
    """As a host sees it: exit code, words, and no secret on either stream."""
    done = subprocess.run(
        [sys.executable, "-m", "web.cli", "web"],
        cwd=ROOT,
        env={**GOOD, "SECRET_KEY": CANARY, "STRIPE_WEBHOOK_SECRET": CANARY, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("Tieout cannot start:\n- STRIPE_WEBHOOK_SECRET is not a variable of Tieout")
