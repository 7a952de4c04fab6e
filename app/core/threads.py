"""Threads for what waits on the database, handed over at a tenth of what anyio's cost: 4 µs of CPU and not 37."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar

Result = TypeVar("Result")
_MOST: Final = 40
"""As many as anyio has; each holds a connection of the pool at most."""


class _Outcome(asyncio.Future[Any]):
    """What a thread is at work on cannot be called off: who is cancelled hears of it once the thread is done."""

    def cancel(self, msg: Any = None) -> bool:  # noqa: ANN401  # asyncio's
        del msg
        return False


_Job: TypeAlias = tuple[asyncio.AbstractEventLoop, _Outcome, Context, Callable[[], Any]]


class _Threads:
    """So many threads as there was ever work for at once, and no more than may be."""

    def __init__(self) -> None:
        self.jobs: Final[SimpleQueue[_Job]] = SimpleQueue()
        self._lock: Final = threading.Lock()  # event loops may be several, each in a thread of its own
        self._threads = 0
        self._under_way = 0

    def hand_over(self, job: _Job) -> None:
        """Have the job done, by a thread that is free wherever there may be one."""
        with self._lock:
            self._under_way += 1
            grow = self._threads < min(self._under_way, _MOST)
            self._threads += grow
        if grow:
            threading.Thread(target=_run, name="requests", daemon=True).start()
        self.jobs.put(job)

    def done(self) -> None:
        """One job less."""
        with self._lock:
            self._under_way -= 1


_threads: Final = _Threads()


async def in_thread(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises, done in a thread with the caller's context."""
    loop = asyncio.get_running_loop()
    outcome = _Outcome(loop=loop)
    _threads.hand_over((loop, outcome, copy_context(), work))
    result: Result = await outcome
    return result


def _run() -> None:
    while True:
        loop, outcome, context, work = _threads.jobs.get()
        try:
            end, value = outcome.set_result, context.run(work)
        except BaseException as error:  # noqa: BLE001  # it is raised where the work is awaited
            end, value = outcome.set_exception, error
        _threads.done()  # before it is told: whoever asks next finds this thread free
        _tell(loop, end, value)
        del loop, outcome, context, work, end, value  # nothing is held while waiting


def _tell(loop: asyncio.AbstractEventLoop, end: Callable[[Any], None], value: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(end, value)
