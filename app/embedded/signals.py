"""Ctrl-C, SIGTERM and SIGHUP as one orderly stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(KeyboardInterrupt):
    """A signal asked this process to stop; raised in the main thread, once, wherever that is."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopSignals:
    """The process's handlers of the three signals, while somebody needs them.

    The first signal raises StopRequested; while a stop is under way, further ones only count as impatience.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self.impatience = 0
        """How many signals came while a stop was under way."""
        self._users: set[object] = set()
        self._stops_under_way = 0
        self._before: dict[int, Any] = {}

    def install(self, user: object) -> None:
        """Takes over the signals; outside the main thread, where Python forbids it, it does nothing.

        A signal that is ignored stays so: `nohup` and a shell's background jobs mean it.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if not self._users:
            self.received.clear()
            self.impatience = 0
            for signum in _SIGNALS:
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._handle)
        self._users.add(user)

    def remove(self, user: object) -> None:
        """Gives the signals back to whoever had them, after the last user; in another thread it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._users.discard(user)
        while not self._users and self._before:
            signum, before = self._before.popitem()
            signal.signal(signum, before or signal.SIG_DFL)  # None: it was set outside of Python

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Within it no signal raises: a second Ctrl-C must not cut a clean stop short, only hasten it."""
        self._stops_under_way += 1
        try:
            yield
        finally:
            self._stops_under_way -= 1

    def _handle(self, signum: int, _: FrameType | None) -> None:
        self.received.append(signum)
        if self._stops_under_way:
            self.impatience += 1
        else:
            raise StopRequested(signum)


STOP_SIGNALS = StopSignals()  # one, as the process's handlers are one
