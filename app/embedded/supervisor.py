"""Keeps a list of services running while something else happens in the foreground, and takes them down in order."""

import atexit
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from app.embedded import logs
from app.embedded.child import Backoff, Child, Service
from app.embedded.errors import ServiceFailedError
from app.embedded.signals import STOP_SIGNALS, StopRequested

__all__ = ["Backoff", "Service", "Supervisor"]

_TICK_S = 0.1
_LOG_CHECK_S = 5.0
_TRIES = 3
_GRACE_BY_IMPATIENCE = (float("inf"), 2.0, 0.0)


class Supervisor:
    """Starts the services, starts again what dies, and on leaving stops them all; their output goes to log files.

    A thread of its own, the keeper, starts and stops every process, and lives as long as they do: no KeyboardInterrupt
    can reach it between a process and its being on the books, and the kernel's binding of children is to that thread.
    """

    def __init__(self, services: Sequence[Service], data_dir: Path, *, backoff: Backoff | None = None) -> None:
        """The log of each service is `<data_dir>/logs/<name>.log`."""
        self._services = services
        self._logs = data_dir / "logs"
        self._backoff = backoff or Backoff()
        self._children: list[Child] = []
        self._stopping = threading.Event()
        self._gone = threading.Event()
        self._owner = 0
        self._seen = 0
        self._keeper = threading.Thread(target=self._keep, name="verdicts-keeper", daemon=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begins; returns at once. Takes over SIGINT, SIGTERM and SIGHUP when called in the main thread."""
        STOP_SIGNALS.install(self)
        self._seen = len(STOP_SIGNALS.received)
        self._owner = os.getpid()
        # For the interrupt that falls between two lines of a `with` statement, so that nobody calls stop().
        atexit.register(self.stop)
        self._children += [Child(s, self._logs / f"{s.name}.log", self._backoff) for s in self._services]
        self._keeper.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Returns when every service is ready; raises ServiceFailedError when one is not, with the end of its log."""
        deadline = time.monotonic() + timeout
        for child in self._children:
            while not (child.running and (child.service.ready is None or child.service.ready())):
                if child.refusal:
                    raise child.refusal
                if child.deaths >= _TRIES:
                    raise _failed(child, child.last_words)
                if time.monotonic() > deadline:
                    raise _failed(child, f"was not ready after {timeout:.0f} s")
                time.sleep(0.01)

    @property
    def running(self) -> list[str]:
        """The names of the services that have a process."""
        return [child.service.name for child in self._children if child.running]

    def wait(self) -> int | None:
        """Returns the number of the signal that asked this process to stop, or None when `stop` was called.

        The signal may have come earlier, since the start: servers such as uvicorn catch it, end, and return.
        """
        try:
            if not STOP_SIGNALS.received[self._seen :]:
                self._stopping.wait()
        except StopRequested as request:
            return request.signum
        return next(iter(STOP_SIGNALS.received[self._seen :]), None)

    def stop(self) -> None:
        """Stops every service and returns when all are gone: its stop signal, its grace, SIGKILL to its group.

        A second Ctrl-C while this runs cuts the grace to 2 seconds, a third one ends it.
        """
        with STOP_SIGNALS.stopping():
            # Otherwise it was never started, is stopped already, or this is the copy of it in a forked process.
            if self._owner == os.getpid():
                self._stopping.set()
                while self._keeper.is_alive() and not self._gone.wait(0.05):
                    pass
                atexit.unregister(self.stop)
                self._owner = 0
        STOP_SIGNALS.remove(self)

    def _keep(self) -> None:
        log_check = 0.0
        try:
            while True:
                for child in self._children:
                    child.keep(self._stopping)
                if time.monotonic() > log_check:
                    for child in self._children:
                        child.bound_log()
                    log_check = time.monotonic() + _LOG_CHECK_S
                if self._stopping.wait(_TICK_S):
                    break
        finally:
            self._stopping.set()
            self._take_down()
            self._gone.set()

    def _take_down(self) -> None:
        left = self._children[::-1]
        for child in left:
            child.ask_to_stop()
        while left:
            at_most = _GRACE_BY_IMPATIENCE[min(STOP_SIGNALS.impatience, 2)]
            left = [child for child in left if not child.stopped(at_most)]
            if left:
                time.sleep(0.005)
        for child in self._children:
            child.close()


def _failed(child: Child, how: str) -> ServiceFailedError:
    msg = f"{child.service.name} {how}. The end of {child.log}:\n{logs.tail(child.log)}"
    return ServiceFailedError(msg)
