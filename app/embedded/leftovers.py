"""A server that outlived its supervisor, because it is still shutting down after the supervisor was killed."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from app.embedded.errors import EmbeddedError

_PATIENCE_S = 20.0
_PROC = Path("/proc")


def wait_for_leftover(pid: int | None, mark: str, cancelled: threading.Event) -> None:
    """Returns when no process `pid` with `mark` among its arguments runs; kills one that does not end by itself.

    To be called under the folder's lock only: whoever holds it knows that such a process belongs to nobody.
    """
    if pid is None:
        return
    deadline = time.monotonic() + _PATIENCE_S
    while _is_ours(pid, mark):
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            deadline += _PATIENCE_S
        if cancelled.wait(0.02):
            msg = "interrupted while waiting for a server of an earlier run"
            raise EmbeddedError(msg)


def read_pid(path: Path) -> int | None:
    """The number in the file's first line; None where there is no such file or number."""
    try:
        return int(path.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_ours(pid: int, mark: str) -> bool:
    # The number alone proves nothing: after a kill or a reboot it may belong to anyone.
    return mark in _arguments(pid)


def _arguments(pid: int) -> list[str]:
    if _PROC.is_dir():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []
    listed = subprocess.run(  # noqa: S603 a number is the only variable part
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()
