"""One answer of text/event-stream: what a client has missed, what happens, and a sign of life while nothing does."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import SystemRandom
from typing import Final

import structlog
from fastapi.sse import format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.edge import HEAD
from app.events.feed import Feed
from app.events.told import EventType, Told, Wanted

MEDIA_TYPE: Final = "text/event-stream"
_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep the events until it has enough of them
}
_BEAT: Final = b":\n\n"
_log = structlog.get_logger(__name__)


class EventStream(Response):
    """Follows the feed from a position until the client goes, its time is over, or the service stops.

    A client that takes nothing is cut off by the server's own clock (app.core.patience); until then it waits in `send`,
    and what it misses it reads from the log.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, feed: Feed, wanted: Wanted, position: int, first: Sequence[Told] = (), *, over: bool = False
    ) -> None:
        """`first` is told before the events behind `position`, and nothing else where the stream is `over` with it.

        The stream of a run ends after its end.
        """
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self.wanted, self.due = wanted, 0.0
        self._feed, self._position, self._first, self._over = feed, position, first, over
        self._tick = feed.tick
        self._wake = asyncio.Event()
        self._until = 0.0

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if not scope.get(HEAD):
            gone = asyncio.create_task(_gone(receive))
            gone.add_done_callback(lambda _: self.wake())
            self._feed.join(self)
            try:
                await self._follow(send, gone)
            except SQLAlchemyError as error:  # the client comes again, and is told then
                _log.warning("stream_broken_off", error=type(error).__name__)
            finally:
                self._feed.leave(self)
                gone.cancel()
                with suppress(asyncio.CancelledError):
                    await gone
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send, gone: "asyncio.Task[None]") -> None:
        loop, settings = asyncio.get_running_loop(), self._feed.settings
        self._until = loop.time() + settings.longest_s
        hello = format_sse_event(retry=settings.retry_ms, id=str(self._position))
        await self._send(send, hello + b"".join(told.message for told in self._first))
        while not (self._over or gone.done() or self._feed.stopping or loop.time() >= self._until):
            self._wake.clear()
            told = await self._news()
            for one in told:
                await self._send(send, one.message)
                if gone.done():
                    return
                if self.wanted.run_id is not None and one.type is EventType.finished:
                    self._over = True
            if told is _NOTHING:
                if loop.time() >= self.due:
                    await self._send(send, _BEAT)
                await self._wake.wait()

    async def _send(self, send: Send, message: bytes) -> None:
        # Not all at the same time: beats of streams that were told the same would hold up everybody else.
        beat_s = self._feed.settings.heartbeat_s * SystemRandom().uniform(0.7, 1.0)
        self.due = min(self._until, asyncio.get_running_loop().time() + beat_s)
        await send({"type": "http.response.body", "body": message, "more_body": True})

    async def _news(self) -> Sequence[Told]:
        recent = self._feed.after(self._position)
        if recent is None:
            page, self._position = await self._feed.page(self.wanted, self._position)
            return page
        moved, self._tick = self._feed.moved(self._tick), self._feed.tick
        self._position = max(self._position, self._feed.position or 0)
        return [told for told in (*recent, *moved) if self.wanted.admits(told)] or _NOTHING


_NOTHING: Final[Sequence[Told]] = ()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
