"""What one worker process holds: its database, its name and device, and whether it is to stop."""

import os
import socket
import threading
from dataclasses import dataclass, field

from app.core.db import Database
from app.core.queue import Doorbell
from app.core.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """One worker process on one device."""

    settings: Settings
    database: Database
    doorbell: Doorbell
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """Host, process and device."""
        return f"{socket.gethostname()}:{os.getpid()}:{self.settings.device}"
