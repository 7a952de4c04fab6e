"""One reader a process: reads the log once for all streams, and looks after the runs that they watch.

Streams go on from a position of their own: what is recent they find here, what is older they read from the log. So a
slow stream holds up nobody and fills no memory.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import structlog
from anyio import to_thread

from app.core.db import Database
from app.core.settings import EventSettings
from app.events.queries import hold_still, last_position, read_events, read_moving, read_waiting
from app.events.told import CONCLUSIVE, EventType, Told, Wanted

SUBJECT: Final = "events"
"""As the triggers of the log announce it (migration 0006)."""
_BATCH: Final = 200
_KEPT: Final = 1000
_KEPT_BYTES: Final = 8 * 1024 * 1024
_PAGE: Final = 100
_READERS: Final = 4
"""Streams that read old events at once; more would take the database's connections from everybody else."""
_PARTING_S: Final = 10.0
_log = structlog.get_logger(__name__)


class Follower(Protocol):
    """A stream, as the feed sees it."""

    wanted: Wanted
    due: float
    """When it wants to be woken at the latest, by the event loop's clock."""

    def wake(self) -> None:
        """There is something to do."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was read of one moment: the events up to a position, and the runs that have moved."""

    upto: int
    events: list[Told]
    moved: list[tuple[str, Told]] = field(default_factory=list)
    placed: list[tuple[str, Told]] = field(default_factory=list)
    """Runs that wait and have another place in the queue."""
    complete: bool = True
    """Whether these are all events of that moment."""
    is_placed: bool = True
    """Whether nobody's place can be another than was told."""


class Feed:
    """Open while the service runs; reads only while there is somebody to tell."""

    def __init__(
        self,
        database: Database,
        settings: EventSettings,
        watch: Callable[[str], AbstractContextManager[asyncio.Future[None]]],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """`watch` gives a future that is done at the next message about a subject.

        After `settled` no process serves what was before the newest commit.
        """
        self._database, self.settings, self._watch, self._settled = database, settings, watch, settled
        self.position: int | None = None
        """Everything up to here has been told; None while nobody listens."""
        self.tick = 0
        """Counts the looks at the runs that move."""
        self.stopping = False
        self._floor = 0
        self._recent: Final[deque[Told]] = deque()
        self._bytes = 0
        self._moving: Final[dict[UUID, tuple[int, str, Told]]] = {}
        self._waiting: Final[dict[UUID, tuple[int, str, Told]]] = {}
        self._is_placed = True
        self._looked_at = 0.0
        self._followers: Final[set[Follower]] = set()
        self._present: Final = asyncio.Event()
        self._readers: Final = asyncio.Semaphore(_READERS)
        self._over: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin."""
        self._over = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(self._over), name="events")

    async def close(self) -> None:
        """End the streams, and the reading; what is being read in a thread is waited for."""
        self.stop()
        if self._over is not None and self._task is not None:
            self._over.set_result(None)
            self._present.set()
            await asyncio.wait([self._task], timeout=_PARTING_S)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def stop(self) -> None:
        """Have every stream end."""
        self.stopping = True
        for follower in self._followers:
            follower.wake()

    def join(self, follower: Follower) -> None:
        """Tell this one, too."""
        self._followers.add(follower)
        self._present.set()

    def leave(self, follower: Follower) -> None:
        """Tell it nothing more."""
        self._followers.discard(follower)

    def after(self, position: int) -> list[Told] | None:
        """The events behind this position, as far as they were read; None where they have to be read from the log."""
        if self.position is None:
            return []
        if position < self._floor:
            return None
        found: list[Told] = []
        for told in reversed(self._recent):
            if (told.position or 0) <= position:
                break
            found.append(told)
        return found[::-1]

    def moved(self, since: int) -> list[Told]:
        """The runs that have moved since that tick, or are at another place in the queue, each as it is now."""
        return [told for tick, _, told in (*self._waiting.values(), *self._moving.values()) if tick > since]

    async def page(self, wanted: Wanted, position: int) -> tuple[list[Told], int]:
        """Events of the log behind this position, and the position to go on from. Raises SQLAlchemyError."""
        upto = self.position or 0

        def read() -> list[Told]:
            with self._database.unit_of_work() as session:
                return read_events(session, wanted, after=position, upto=upto, limit=_PAGE)

        async with self._readers:
            found = await to_thread.run_sync(read)
        return found, (found[-1].position or upto) if len(found) == _PAGE else max(position, upto)

    async def _run(self, over: "asyncio.Future[None]") -> None:
        while True:
            await self._present.wait()
            if over.done():
                return
            with self._watch(SUBJECT) as changed:
                complete = await self._tell()
                if not self._followers:
                    self._rest()
                elif complete:
                    await asyncio.wait({changed, over}, timeout=self.settings.poll_s, return_when="FIRST_COMPLETED")

    async def _tell(self) -> bool:
        """Read what is new and wake those whom it is for; whether that was all."""
        watched = self._watched()
        awaited = {one.wanted.run_id for one in self._followers if one.wanted.run_id}
        try:
            look = await to_thread.run_sync(self._look, self.position, watched, awaited)
            if any(told.type in CONCLUSIVE for told in look.events):
                await self._settled()
        except Exception as error:  # noqa: BLE001  # the database may be away; whatever it is, it is tried again
            _log.warning("events_unread", error=type(error).__name__)
            self._rouse([])
            return True
        is_first = self.position is None
        self._keep(look)
        fresh = look.events + [told for _, told in (*look.moved, *look.placed)]
        self._rouse(fresh, everybody=is_first)
        return look.complete

    def _watched(self) -> set[UUID] | None:
        """The runs whose progress is followed; None for all."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._looked_at + self.settings.poll_s * 0.9:
            return set()
        self._looked_at = loop.time()
        wanted = [follower.wanted for follower in self._followers if follower.wanted.moves]
        return None if any(one.run_id is None for one in wanted) else {one.run_id for one in wanted if one.run_id}

    def _look(self, position: int | None, watched: set[UUID] | None, awaited: set[UUID]) -> _Look:
        known, placed = ([one[1] for one in list(kept.values())] for kept in (self._moving, self._waiting))
        with self._database.unit_of_work() as session:
            # Of one moment: a run never seems to move before it is told that it runs, or after it has finished.
            hold_still(session)
            upto = last_position(session)
            after = upto if position is None else position
            events = read_events(session, Wanted(), after=after, upto=upto, limit=_BATCH) if upto > after else []
            # Whatever becomes of a run, others that wait may have another place for it.
            is_placed = self._is_placed and not any(told.run_id is not None for told in events)
            if len(events) == _BATCH:
                return _Look(events[-1].position or upto, events, complete=False, is_placed=is_placed)
            if watched == set():
                return _Look(upto, events, is_placed=is_placed)
            moved = read_moving(session, known, watched)
            return _Look(upto, events, moved, [] if is_placed else read_waiting(session, placed, awaited))

    def _keep(self, look: _Look) -> None:
        if self.position is None:
            self._floor = look.upto
        self.position = max(look.upto, self.position or 0)
        for told in look.events:
            self._recent.append(told)
            self._bytes += len(told.message)
            if told.run_id is not None:
                self._waiting.pop(told.run_id, None)
                if told.type is not EventType.running:
                    self._moving.pop(told.run_id, None)
        while len(self._recent) > _KEPT or self._bytes > _KEPT_BYTES:
            oldest = self._recent.popleft()
            self._floor = oldest.position or self._floor
            self._bytes -= len(oldest.message)
        self.tick += 1
        self._is_placed = look.is_placed
        for kept, found in ((self._moving, look.moved), (self._waiting, look.placed)):
            for version, told in found:
                assert told.run_id is not None  # noqa: S101  # progress is a run's
                kept[told.run_id] = (self.tick, version, told)

    def _rouse(self, fresh: list[Told], *, everybody: bool = False) -> None:
        moment = asyncio.get_running_loop().time()
        for follower in self._followers:
            if everybody or moment >= follower.due or any(map(follower.wanted.admits, fresh)):
                follower.wake()

    def _rest(self) -> None:
        """Nobody is here: what happens meanwhile is in the log."""
        self._present.clear()
        self.position = None
        self._recent.clear()
        self._moving.clear()
        self._waiting.clear()
        self._bytes = 0
