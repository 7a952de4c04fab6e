"""Threads for what waits on the database, handed over at a tenth of what anyio's cost: 4 µs of CPU and not 37.

No more threads are awake than there is to wait for: one that begins with a piece of work wakes the next only if more is
to be done, and none while another has been woken and has not come yet. So short work is done by one thread after the
other piece by piece, and does not have dozens of them fight for the interpreter.
"""

import asyncio
import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, TypeAlias, TypeVar

Result = TypeVar("Result")
_MOST: Final = 40
"""As many as anyio has; each holds a connection of the pool at most."""


class Outcome(asyncio.Future[Any]):
    """Of work that cannot be called off: who is cancelled hears of it once the work is done."""

    def cancel(self, msg: Any = None) -> bool:  # noqa: ANN401  # asyncio's
        """It cannot be."""
        del msg
        return False


_Job: TypeAlias = tuple[asyncio.AbstractEventLoop, Outcome, Context, Callable[[], Any]]


class _Threads:
    """Jobs are taken in the order they come; of the threads, whichever rested last is woken first."""

    def __init__(self) -> None:
        self._jobs: Final[deque[_Job]] = deque()
        self._resting: Final[deque[LockType]] = deque()
        self._number = 0
        self._comes = False
        """Whether one was woken that has not looked at the jobs yet."""

    def put(self, job: _Job) -> None:
        """Have it done."""
        self._jobs.append(job)
        if not self._comes:
            self._wake()

    def _wake(self) -> None:
        # Whoever adds a job looks at `_comes` after that, and whoever comes looks at the jobs after it has taken the
        # mark away: so there is no moment in which a job is seen by neither.
        while True:
            self._comes = True
            try:
                self._resting.pop().release()
            except IndexError:
                if self._number < _MOST:
                    self._number += 1
                    threading.Thread(target=self._run, name="requests", daemon=True).start()
                    return
                self._comes = False
                if self._jobs and self._resting:  # somebody has gone to rest meanwhile
                    continue
            return

    def _run(self) -> None:
        bell = allocate_lock()
        bell.acquire()
        while True:
            self._comes = False
            self._work()
            self._resting.append(bell)
            if self._jobs and not self._comes:  # it came after the last look
                self._wake()
            bell.acquire()

    def _work(self) -> None:
        """Do what there is to do."""
        while True:
            try:
                loop, outcome, context, work = self._jobs.popleft()
            except IndexError:
                return
            if self._jobs and not self._comes:
                self._wake()
            try:
                _tell(loop, outcome.set_result, context.run(work))
            except BaseException as error:  # noqa: BLE001  # it is raised where the work is awaited
                _tell(loop, outcome.set_exception, error)
            del loop, outcome, context, work  # nothing is held while resting


_threads: Final = _Threads()


async def in_thread(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises, done in a thread with the caller's context."""
    loop = asyncio.get_running_loop()
    outcome = Outcome(loop=loop)
    _threads.put((loop, outcome, copy_context(), work))
    result: Result = await outcome
    return result


def _tell(loop: asyncio.AbstractEventLoop, end: Callable[[Any], None], value: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(end, value)
