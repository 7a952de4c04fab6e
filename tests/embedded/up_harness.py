"""Running a small `verdicts up` in a process of its own, and finding every process that belongs to a data folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_NOBODY = 65534
_ROOT = Path(__file__).parents[2]


def processes_of(folder: Path) -> dict[int, str]:
    """Every live process with the folder in its arguments, or at work in it (how Postgres's backends are found)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(folder) in command or (entry / "cwd").readlink().is_relative_to(folder):
                    found[int(entry.name)] = command
    return found


def is_running(pid: int) -> bool:
    """Whether the process is there, and more than a dead one that nobody has asked about yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def kill_all(folder: Path) -> None:
    """SIGKILL, to the supervisor last: it, or the kernel in its name, would have the others end in good order."""
    for pid, _ in sorted(processes_of(folder).items(), key=lambda item: "small_up" in item[1]):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def nothing_left(folder: Path, seconds: float = 0.0) -> bool:
    return wait_until(lambda: not processes_of(folder), seconds)


def as_ordinary_user(data_dir: Path) -> tuple[str, ...]:
    """What to put before a command so that no root runs it; the folder becomes its user's."""
    if os.geteuid() != 0:
        return ()
    os.chown(data_dir, _NOBODY, _NOBODY)
    # The capability is for Python itself, which may lie in a folder that root keeps closed.
    reach = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    return ("/usr/bin/setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *reach)


@contextmanager
def small_up(
    data_dir: Path,
    *,
    servers: bool = True,
    services: Mapping[str, Sequence[str]] | None = None,
    grace: float = 5.0,
    only_guards: bool = False,
    fork: bool = False,
    prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    order = {
        "data_dir": str(data_dir),
        "servers": servers,
        "services": {name: list(argv) for name, argv in (services or {}).items()},
        "grace": grace,
        "only_guards": only_guards,
        "fork": fork,
    }
    argv = [*prefix, sys.executable, "-m", "tests.embedded.small_up", json.dumps(order)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=_ROOT) as up:
        try:
            yield up
        finally:
            up.kill()
            nothing_left(data_dir, 30)  # whatever the test has shown by now: a clean end leaves no shared memory behind
            kill_all(data_dir)


def wait_ready(up: subprocess.Popen[str]) -> tuple[str, str]:
    """The dsn and the Redis URL, once everything is ready."""
    assert up.stdout
    said = []
    for line in up.stdout:
        if line.startswith("ready "):
            _, dsn, redis_url = line.split()
            return dsn, redis_url
        said.append(line)
    raise AssertionError("".join(said))


def finish(up: subprocess.Popen[str], signum: int | None = None, seconds: float = 90.0) -> str:
    """What it said after it was sent the signal, until its end."""
    if signum is not None:
        up.send_signal(signum)
    return up.communicate(timeout=seconds)[0]
