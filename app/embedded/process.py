"""Starting a process that cannot outlive this one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from app.embedded import guard, launcher
from app.embedded.errors import EmbeddedError
from app.embedded.identity import Identity

KERNEL_BINDS = sys.platform == "linux"
_DEATH_GRACE_S = 10


@dataclass(frozen=True)
class Launch:
    """A program to start: absolute path and arguments, environment, and how it is bound to us."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    identity: Identity = Identity.same
    death_signal: int = signal.SIGTERM
    """What it gets when this process is gone without having stopped it."""
    guarded: bool = False
    """Whether a guard sees to it that what the program started goes too. Where no kernel binds, all have one."""


def spawn(launch: Launch, output: IO[bytes], *, stdin: int | IO[bytes] = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """The started process, leader of a session of its own: a terminal's Ctrl-C reaches it only through us.

    The kernel's binding is to the thread that calls this, so that thread must live as long as the child should.
    """
    watch = _life_line() if launch.guarded or not KERNEL_BINDS else None
    order = {
        "parent": os.getpid(),
        "watch": watch,
        "argv": launch.argv,
        "cwd": str(launch.cwd) if launch.cwd else None,
        "identity": launch.identity,
        "death_signal": int(launch.death_signal),
        "death_grace": _DEATH_GRACE_S,
    }
    script = launcher.__file__ if watch is None else guard.__file__
    return subprocess.Popen(  # noqa: S603 our own launcher
        [sys.executable, "-I", "-S", script, json.dumps(order)],
        env=launch.env,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=() if watch is None else (watch,),
    )


@cache
def _life_line() -> int:
    """The end of a pipe whose other end, which nothing closes, ends with this process."""
    return os.pipe()[0]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and to what it left in its group; the process is reaped."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_to_end(launch: Launch, cancelled: threading.Event, *, stdin: bytes = b"") -> None:
    """Runs the program to its end; when cancelled or failed, kills it with its group and raises EmbeddedError."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(stdin)
        given.seek(0)
        process = spawn(launch, output, stdin=given)
        try:
            while process.poll() is None and not cancelled.wait(0.01):
                pass
        finally:
            kill_group(process)
        if process.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            how = "was interrupted" if cancelled.is_set() else "failed"
            msg = f"{Path(launch.argv[0]).name} {how}: {said[-2000:]}"
            raise EmbeddedError(msg)
