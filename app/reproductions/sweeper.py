"""The sweep's own thread, run by every API and worker process; the advisory lock lets one work at a time."""

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import structlog
from sqlalchemy.orm import Session

from app.core.db import Database
from app.core.queue import Doorbell
from app.core.settings import QueueSettings
from app.reproductions.sweep import SweepResult, sweep
from app.reproductions.swept import count_actions

_log = structlog.get_logger(__name__)


class Sweeper:
    """Sweeps every `sweep_s` seconds until it is left. `on_tick` is called each time, whatever the sweep came to.

    `chores` are done with the sweep, in its transaction; each says how many things it did.
    """

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        queue: QueueSettings,
        on_tick: Callable[[], object] = lambda: None,
        chores: Mapping[str, Callable[[Session], int]] | None = None,
    ) -> None:
        self._database, self._doorbell, self._queue, self._on_tick = database, doorbell, queue, on_tick
        self._chores = chores or {}
        self.actions: Final = (*SweepResult.__slots__, *self._chores)
        """What its sweeps may do."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(self._queue.sweep_s):
            # Each by itself: a full disk that takes no sign of life must not keep this process from sweeping.
            for do in (self._on_tick, self._sweep):
                try:
                    do()
                except Exception as error:  # noqa: BLE001  # the database may be away; the next turn may do better
                    _log.warning("sweep_failed", error=type(error).__name__)

    def _sweep(self) -> None:
        with self._database.unit_of_work() as session:
            result = sweep(session, self._queue, self._doorbell)
            if result is None:
                return
            actions = {name: getattr(result, name) for name in SweepResult.__slots__}
            actions |= {name: do(session) for name, do in self._chores.items()}
            count_actions(session, actions)
        if any(actions.values()):
            _log.info("swept", **actions)
