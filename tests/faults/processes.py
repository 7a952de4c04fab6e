"""Real processes that can be killed, stopped and woken."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 300.0
"""A bound, not an expectation: how long anything may take on a machine that is busy with other things."""


def wait_for(what: str, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Return when the condition holds; raises TimeoutError, saying what was waited for."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.02)


@dataclass
class Process:
    """One process of the service."""

    name: str
    pid: int
    log: Path
    started: float = field(default_factory=time.monotonic)

    def send(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.alive():
            os.kill(self.pid, number)

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        self.send(signal.SIGSTOP)
        wait_for(f"{self.name} stands still", lambda: self._state() == "T")

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        wait_for(f"{self.name} is gone", lambda: not self.alive())

    def alive(self) -> bool:
        """Whether it runs, or stands still but could go on."""
        return self._state() not in "ZX"

    def _state(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1][0]
        except OSError:
            return "X"

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log about this event."""
        return [line for line in self.lines() if line.get("event") == event]

    def lines(self) -> list[dict[str, Any]]:
        """Its log, as far as it is JSON (a line may be cut off by a kill)."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return [line for line in found if isinstance(line, dict)]


def virtual_memory(pid: int) -> int:
    """The bytes of a process's address space."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Zygote:
    """Starts processes quickly; they end with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._count = 0

    def __enter__(self) -> Self:
        # One thread each for the mathematics: forks are only safe before a pool of threads is there.
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {**self._environment, **one, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
        with (self._folder / "zygote.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("zygote.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=environment,
                text=True,
                start_new_session=True,
            )
        assert self._read() == "ready", (self._folder / "zygote.log").read_text()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def start(self, name: str, argv: list[str], settings: Mapping[str, str]) -> Process:
        """A process with these settings."""
        self._count += 1
        log = self._folder / f"{self._count:04}-{name}.log"
        log.touch()
        order = {"argv": argv, "env": dict(settings), "log": str(log)}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Process(name, int(self._read()), log)
