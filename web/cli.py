"""``tieout``: the one command line. Each command explains itself with ``--help`` and ends with 0, 1 or 2.

0: done. 1: it failed, and said why. 2: the command or the environment is wrong, nothing was done.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence

from core.config import Settings, load_settings
from core.db.listen import listen
from core.db.migrate import is_current, upgrade
from core.errors import ConfigurationError, TieoutError
from core.identity.rotate import rotate_keys
from core.logging import configure_logging
from core.ops.pulse import WORKER, Pulse
from core.sync.worker import Worker
from core.wiring import open_wiring
from web.app import create_app
from web.cli_adopt import add_words, adopt
from web.cli_books import prove_books, write_journal_of
from web.cli_doctor import call_doctor
from web.cli_reopen import add_options, reopen_all
from web.server import run_server

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is for scripts, the text for people."""
    args = _parser().parse_args(argv)
    command: Command = args.run
    try:
        return command(args)
    except ConfigurationError as exc:
        _say(str(exc))
        return 2
    except TieoutError as exc:
        _say(f"Failed: {exc}")
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tieout", description="Stripe payments, in your books, tied to the cent.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(commands, "web", _web, "serve the dashboard (and the worker, when embedded)")
    _add(commands, "worker", _worker, "work beside PostgreSQL: take events, post payments")
    _add(commands, "migrate", _migrate, "bring the database to the newest shape")
    _add(commands, "rotate-keys", _rotate, "bring every stored secret under the first key of TOKEN_KEYS")
    doctor = _add(commands, "doctor", call_doctor, "say what is wrong with this installation, and what to do about it")
    doctor.epilog = "Ends with 0: all is well, 1: something wants to be looked at, 2: something is broken."
    doctor.add_argument("--network", action="store_true", help="call the providers' hosts and ask Stripe as well")
    doctor.add_argument("--json", action="store_true", help="for scripts: level, and about, level, text, do of each")
    journal = _add(commands, "journal", write_journal_of, "write the books as plain-text double entry (Beancount)")
    proof = _add(commands, "prove", prove_books, "look up every entry in the books: each must stand there once")
    for command in (journal, proof):
        command.add_argument("--workspace", help="name or id of the workspace, where there are several")
    add_options(
        _add(commands, "reopen", reopen_all, "let go on what a fault of ours stopped, after a release mends it")
    )
    adopting = _add(commands, "adopt", adopt, "after a restore: look everything up in the books before sending it")
    add_words(adopting)
    demo = _add(commands, "demo", _demo, "start app and sandbox with a lively workspace, all on this machine")
    demo.add_argument("--port", type=int, help="port of the dashboard (default: PORT, or 8000)")
    demo.add_argument("--sandbox-port", type=int, help="port of the sandbox (default: the next one)")
    demo.add_argument("--quiet", action="store_true", help="no new payments by themselves")
    sandbox = _add(commands, "sandbox", _sandbox, "start the stand-ins of Stripe, QuickBooks and Xero alone")
    sandbox.add_argument("--host", default="127.0.0.1")
    sandbox.add_argument("--port", type=int, default=8001)
    sandbox.add_argument("--webhook-url", help="where the sandbox delivers Stripe's events")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: Command, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def _settings() -> Settings:
    settings = load_settings()
    configure_logging(settings.log_level, tracebacks=not settings.is_production)
    return settings


def _web(_args: argparse.Namespace) -> int:
    settings = _settings()
    run_server(create_app(settings), settings)
    return 0


def _worker(_args: argparse.Namespace) -> int:
    settings = _settings()
    if settings.is_sqlite:
        raise ConfigurationError(
            "On SQLite the worker runs inside `tieout web`. A worker of its own needs DATABASE_URL=postgresql://..."
        )
    asyncio.run(_work(settings))
    return 0


async def _work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is in flight (F32)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with open_wiring(settings) as wiring:
        if not await is_current(wiring.db.engine):
            raise ConfigurationError("The database is not at its newest shape. Run `tieout migrate` first.")
        worker = Worker(wiring)
        beside = [
            asyncio.create_task(listen(wiring)),
            asyncio.create_task(Pulse(wiring, WORKER, lambda: worker.passed_at).run()),
        ]
        try:
            await worker.run(stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


def _migrate(_args: argparse.Namespace) -> int:
    settings = _settings()
    upgrade(settings.database_url)
    _say("The database is at its newest shape.")
    return 0


def _rotate(_args: argparse.Namespace) -> int:
    settings = _settings()

    async def rotate() -> int:
        async with open_wiring(settings) as wiring:
            done = await rotate_keys(wiring.db, wiring.keys)
        _say(
            f"{done.rotated} brought under key {wiring.keys.first_key_id}, {done.current} were there already, "
            f"{done.overtaken} refreshed meanwhile, {done.unreadable} cannot be opened."
        )
        if done.exit_code:
            _say("Keep the old keys: " + ("reconnect what cannot be opened." if done.unreadable else "run this again."))
        return done.exit_code

    return asyncio.run(rotate())


def _demo(args: argparse.Namespace) -> int:
    # Imported here: a production install starts without the sandbox ever being loaded.
    from web.demo import run_demo  # noqa: PLC0415

    return run_demo(port=args.port, sandbox_port=args.sandbox_port, lively=not args.quiet)


def _sandbox(args: argparse.Namespace) -> int:
    from web.sandbox.app import run  # noqa: PLC0415 - see _demo
    from web.sandbox.settings import SandboxSettings  # noqa: PLC0415

    base_url = f"http://{args.host}:{args.port}"
    _say(f"Sandbox: {base_url} (its control API: docs/sandbox.md)")
    run(SandboxSettings(base_url=base_url, stripe_webhook_url=args.webhook_url), host=args.host, port=args.port)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
