"""One supervised process: it is started, dies, is started again after a while, and is stopped."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.embedded import logs
from app.embedded.errors import EmbeddedError
from app.embedded.identity import Identity
from app.embedded.process import Launch, kill_group, spawn

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """A program to keep running, and how to tell that it is ready."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    """Its whole environment; None means ours."""
    ready: Callable[[], bool] | None = None
    """Called until it is true; without it, a running process is ready."""
    prepare: Callable[[threading.Event], None] | None = None
    """Called before each start, in the keeper's thread; it should end early once the event is set."""
    stop_signal: int = signal.SIGTERM
    grace: float = 25.0
    """Seconds from the stop signal to SIGKILL."""
    death_signal: int = signal.SIGTERM
    """What it gets when the supervisor was killed."""
    identity: Identity = Identity.same
    cwd: Path | None = None
    guarded: bool = True
    """A guard stands between (12 MB), for programs that start others or may not heed the death signal."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a dead process is started again: doubled with each death, forgotten when it settles."""

    first: float = 0.25
    most: float = 30.0
    settled: float = 60.0
    """A process that lived this many seconds counts as well again."""

    def delay(self, deaths: int) -> float:
        """Seconds to wait after this many deaths in a row (1 or more)."""
        return min(self.most, self.first * 2.0 ** min(deaths - 1, 30))


class Child:
    """The process of one service. Only the keeper's thread calls its methods; others read `deaths` and `running`."""

    def __init__(self, service: Service, log: Path, backoff: Backoff) -> None:
        self.service = service
        self.log = log
        self.deaths = 0
        self.last_words = ""
        self.refusal: EmbeddedError | None = None
        """Why it cannot be started at all."""
        self._backoff = backoff
        self._output = logs.open_log(log)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._due = 0.0
        self._kill_at: float | None = None

    @property
    def running(self) -> bool:
        """Whether it has a process that was alive when last looked at."""
        return self._process is not None

    def keep(self, stopping: threading.Event) -> None:
        """Starts it where it is due; notices where it has died."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self._start(stopping)
        elif self._process.poll() is not None:
            self._died(f"ended with {_code(self._process.returncode)}")

    def bound_log(self) -> None:
        """Keeps its log from filling the disk."""
        logs.bound(self.log)

    def ask_to_stop(self) -> None:
        """Sends the stop signal; its grace begins."""
        if self._process is not None:
            self._process.send_signal(self.service.stop_signal)
            self._kill_at = time.monotonic() + self.service.grace

    def stopped(self, at_most: float) -> bool:
        """Whether it is gone; where its grace, or `at_most` seconds more of it, is over it is killed first."""
        if self._process is None:
            return True
        now = time.monotonic()
        self._kill_at = min(self._kill_at or now, now + at_most)
        if self._process.poll() is None and now < self._kill_at:
            return False
        kill_group(self._process)
        self._process = None
        return True

    def close(self) -> None:
        """Closes its log."""
        self._output.close()

    def _start(self, stopping: threading.Event) -> None:
        service = self.service
        try:
            if service.prepare:
                service.prepare(stopping)
            if stopping.is_set():
                return
            env = os.environ if service.env is None else service.env
            launch = Launch(
                tuple(service.argv), env, service.cwd, service.identity, service.death_signal, service.guarded
            )
            self._process = spawn(launch, self._output)
            self._started = time.monotonic()
        except Exception as error:  # noqa: BLE001 the keeper must outlive whatever a service's own code raises
            if isinstance(error, EmbeddedError):
                self.refusal = error
            if not stopping.is_set():
                self._died(f"could not be started: {error}")

    def _died(self, how: str) -> None:
        now = time.monotonic()
        if self._process is not None:
            kill_group(self._process)
            self._process = None
            if now - self._started > self._backoff.settled:
                self.deaths = 0
        self.deaths += 1
        self.last_words = how
        delay = self._backoff.delay(self.deaths)
        self._due = now + delay
        _log.warning("%s %s; starting it again in %.2g s", self.service.name, how, delay)


def _code(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
