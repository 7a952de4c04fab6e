"""(A script) Forks `verdicts` commands from a process that has imported them once.

Starting Python and importing takes seconds of CPU. What a child runs is the product's own entry point, in a process,
folder and environment of its own. Orders come as JSON lines; the answer is the child's pid, or its exit status.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork as ordered until the input ends; the kernel ends the children with this process."""
    import scipy.stats  # noqa: F401, PLC0415  # each service that lasts would load it for itself (app.core.afterwards)

    import app.main  # noqa: F401, PLC0415
    from app.cli.commands import COMMANDS  # noqa: PLC0415
    from app.cli.source import LOCAL  # noqa: PLC0415

    for lazy in (*(entry.what for entry in COMMANDS.values()), *LOCAL):
        lazy.load()

    _say("ready")
    for line in sys.stdin:
        _reap()
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            _become(order)
        _say(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if order["wait"] else pid))


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _reap() -> None:
    """Ask about those that have ended and that nobody waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _become(order: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    how = {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY | os.O_CREAT, "stderr": os.O_WRONLY | os.O_CREAT}
    for target, (name, flags) in enumerate(how.items()):
        os.dup2(os.open(order[name], flags | os.O_APPEND), target)
    # What these held so far was the parent's.
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode, closefd=False) for number, mode in enumerate("rww"))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.argv = ["verdicts", *order["argv"]]
    status = 1
    try:
        from app.cli import main as command  # noqa: PLC0415

        command()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # nothing may get past the fork
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
