"""What one worker process holds: its database, its name and device, and whether it is to stop."""

import os
import socket
import threading
from dataclasses import dataclass, field
from math import inf
from time import monotonic

from app.core.db import Database
from app.core.queue import Doorbell
from app.core.settings import Settings
from app.reproductions.presence import Identity


@dataclass(slots=True)
class WorkerContext:
    """One worker process on one device."""

    settings: Settings
    database: Database
    doorbell: Doorbell
    stopping: threading.Event = field(default_factory=threading.Event)
    _stop_by: float = inf

    def ask_to_stop(self) -> None:
        """Have the run at hand end soon, or be handed back. May be called by a signal's handler."""
        self._stop_by = min(self._stop_by, monotonic() + self.settings.queue.shutdown_s)
        self.stopping.set()

    def seconds_to_stop(self) -> float:
        """How long the run at hand may still take: for ever, until this worker is asked to stop."""
        return max(0.0, self._stop_by - monotonic())

    @property
    def name(self) -> str:
        """Host, process and device."""
        return self.identity.name

    @property
    def identity(self) -> Identity:
        """The same, by its parts."""
        host, device = socket.gethostname(), self.settings.device
        return Identity(f"{host}:{os.getpid()}:{device}", host, device)
