"""The process between a supervisor and its child, which ends the child and all it started when the supervisor is gone.

The kernel can bind a child to its parent's life, on Linux, but not the child's children, and not one that ignores the
signal. So this process watches a pipe whose other end the supervisor alone holds, and which ends when that does.
Run as a script by `process.spawn`; it imports the standard library alone.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Any

_CANNOT_START = 126
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Guard:
    """One child and the signals that are meant for it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._alone = False

    def run(self) -> int:
        """The child's exit code."""
        for number in _FORWARDED:
            signal.signal(number, self._forward)
        self._child = child = _start(self._order)
        for early in self._early:
            child.send_signal(early)
        threading.Thread(target=self._watch, args=(child,), daemon=True).start()
        code = child.wait()
        if self._alone:
            os.killpg(0, signal.SIGKILL)
        return code

    def _forward(self, number: int, _: FrameType | None) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        # The parent's number is looked at too: a fork of the supervisor may hold the pipe open after it.
        while not select.select([self._order["watch"]], [], [], 1.0)[0] and os.getppid() == self._order["parent"]:
            pass
        self._alone = True
        child.send_signal(self._order["death_signal"])
        time.sleep(self._order["death_grace"])
        os.killpg(0, signal.SIGKILL)


def _start(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    argv, cwd = order["argv"], order["cwd"]
    try:
        if order["identity"] == "nobody":
            return subprocess.Popen(argv, cwd=cwd, user="nobody", group="nobody", extra_groups=[])  # noqa: S603 our order
        return subprocess.Popen(argv, cwd=cwd)  # noqa: S603 the supervisor names the program
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error}\n")
        sys.exit(_CANNOT_START)


def _end_as(code: int) -> None:
    if code >= 0:
        sys.exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


if __name__ == "__main__":
    _end_as(Guard(json.loads(sys.argv[1])).run())
