"""A parent that has loaded the product once and forks its processes: a start costs little, and a death is real.

It takes orders as lines of JSON on its standard input and tells births and deaths as lines on its standard output. When
its input ends, so do its children.
"""

import gc
import json
import os
import signal
import sys
import traceback

import web.app
import web.cli

__all__ = ["main", "web"]

_children: set[int] = set()


def main() -> None:
    """Fork what is ordered until the orders end."""
    gc.freeze()
    signal.signal(signal.SIGCHLD, _buried)
    for line in sys.stdin:
        order = json.loads(line)
        # No death is told before its birth.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            os._exit(_become(order))
        _children.add(pid)
        _tell(born=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in _children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become(order: dict[str, object]) -> int:
    """Be the process that was ordered: its environment, its log, its command; nothing of the parent's."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.environ.clear()
    os.environ.update(order["env"])  # type: ignore[arg-type]  # written by Fleet.start
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        return web.cli.main(order["words"])  # type: ignore[arg-type]
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    except BaseException:  # noqa: BLE001 - it must never return into the parent's loop
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _buried(_number: int, _frame: object) -> None:
    while _children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _children.discard(pid)
        _tell(ended=pid, code=os.waitstatus_to_exitcode(status))


def _tell(**facts: int) -> None:
    # Below Python's own buffers: the handler of a signal may interrupt a write of the loop.
    os.write(1, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    main()
