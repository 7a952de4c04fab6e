"""How long a client may take to say what it wants, and how many may take their time at once.

A server that waits for ever can be stopped by anybody who sends a byte now and then. uvicorn bounds only the pause
between two requests, and its parser no head; so its protocol is given a clock and a measure here.
"""

import asyncio
import json
import socket
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from math import inf
from time import monotonic
from typing import Any, Final, cast

import structlog
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.core.errors import MEDIA_TYPE, http_problem, problem
from app.core.joined import Joined
from app.core.settings import LimitSettings

_log = structlog.get_logger(__name__)


STOPPING: Final = "stopping"
"""In the state that the application's lifespan gives: what the server calls when it stops, to have streams end."""
_TICK_S: Final = 0.25
_NEVER: Final = inf
_MOST_IN_LINE: Final = 64
"""Requests of a connection that wait for the answer to the one before: a segment of 256 KiB can hold ten thousand."""


class _Nowhere(list[tuple[bytes, bytes]]):
    """Where trailers go.

    To uvicorn they are headers like all others, late and without end: a key, or an address of the client, that whoever
    stands in front has not looked at.
    """

    def append(self, _: tuple[bytes, bytes], /) -> None:
        """Forget it."""


_NOWHERE: Final = _Nowhere()
_NO_HTTP: Final = problem(
    HTTPStatus.BAD_REQUEST,
    "request_unreadable",
    "The request is no HTTP",
    "What came is no request of HTTP/1.1, or one that two readers may take for different ones. Send it by a library.",
)
_PASSING: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE}
"""The same request may do better a little later."""


class _RefusedError(Exception):
    """Ends the parser's work on what was received."""


class Ticker:
    """Looks at the clocks of all connections now and then: a timer a request cost 2.5 µs, a quarter of uvicorn."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def watch(self, loop: asyncio.AbstractEventLoop, connections: Collection[object]) -> None:
        """Go on looking for as long as there is a connection."""
        if self._handle is None:
            self._handle = loop.call_later(_TICK_S, self._look, loop, connections)

    def _look(self, loop: asyncio.AbstractEventLoop, connections: Collection[object]) -> None:
        self._handle = None
        moment = monotonic()
        for one in list(connections):
            if isinstance(one, PatientProtocol):
                one.look(moment)
        if connections:
            self.watch(loop, connections)


def patient(limits: LimitSettings) -> type[asyncio.Protocol]:
    """What uvicorn takes as `http`: its own protocol, with these limits."""
    return cast("type[asyncio.Protocol]", partial(PatientProtocol, limits=limits, ticker=Ticker()))


class PatientProtocol(HttpToolsProtocol):
    """One connection whose client has so long to say what it wants, and gives way to others where there are many."""

    def __init__(self, *args: Any, limits: LimitSettings, ticker: Ticker, **options: Any) -> None:  # noqa: ANN401  # uvicorn's
        super().__init__(*args, **options)
        self._limits, self._ticker = limits, ticker
        self._deadline = self._write_deadline = _NEVER
        self._head_bytes = self._bytes_beside = 0
        self._in_head = False
        self._rests = False
        self._owes_since: float | None = None
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the clock, and make room where there are too many connections."""
        super().connection_made(transport)
        self._joined = Joined(transport, self.loop)
        _notice_silence(transport, self._limits.write_s)
        self._expect_head(self._limits.head_s)
        self._ticker.watch(self.loop, self.connections)
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def shutdown(self) -> None:
        """The server stops: answers that go on for ever are told to end."""
        super().shutdown()
        if (stop := self.app_state.get(STOPPING)) is not None:
            stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._deadline = self._write_deadline = _NEVER
        self._owes_since = None
        if self._running is not None:  # uvicorn tells only the last of several requests, and the first would go on
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        self._joined.begin()
        cycle.transport = cast("asyncio.Transport", self._joined)
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Count what a head takes; one that is too large is refused before it is whole.

        So is too much of what is no body, either: trailers, and extensions of chunks.
        """
        if self._in_head:
            self._head_bytes += len(data)
            if self._rests:
                self._rests = False
                self._deadline += self._limits.head_s
        else:
            self._bytes_beside += len(data)
        super().data_received(data)
        if self._in_head:
            if self._head_bytes > self._limits.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._bytes_beside > self._limits.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head has come: its clock stops."""
        self._in_head = self._rests = False
        self._deadline, self._bytes_beside = _NEVER, 0
        hosts = sum(name == b"host" for name, _ in self.headers)
        is_lacking = hosts == 0 and self.parser.get_http_version() == "1.1"  # RFC 9112, 3.2
        if len(self.pipeline) >= _MOST_IN_LINE or hosts > 1 or is_lacking:
            raise _RefusedError
        super().on_headers_complete()
        self.headers = _NOWHERE

    def on_body(self, body: bytes) -> None:
        """A piece of the body has come."""
        self._bytes_beside = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as all else is refused; an address that is too long for its parser is too large."""
        del msg  # uvicorn's own words, which say less
        is_large = self._head_bytes > self._limits.head_bytes
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_large else HTTPStatus.BAD_REQUEST)

    def on_message_complete(self) -> None:
        """The whole request has come: the client owes nothing more. What comes now is the next head."""
        super().on_message_complete()
        self._in_head, self._head_bytes, self._owes_since = True, 0, None
        if self.cycle.response_complete:  # its answer went out before, and what came since was thrown away
            self._expect_head(self.timeout_keep_alive + self._limits.head_s)

    def on_response_complete(self) -> None:
        """The clock of the next head, or of what is left of a body that nobody wanted."""
        self._joined.flush()  # what had no body: the next answer may be there before the loop's next turn
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self._owes_since is None:
            self._expect_head(self.timeout_keep_alive + self._limits.head_s)
        else:
            self._deadline = monotonic() + self._limits.body_s

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        super().pause_writing()
        self._write_deadline = monotonic() + self._limits.write_s

    def resume_writing(self) -> None:
        """It takes it again."""
        super().resume_writing()
        self._write_deadline = _NEVER

    def _expect_head(self, seconds: float) -> None:
        moment = monotonic()
        self._in_head, self._head_bytes, self._owes_since = True, 0, moment
        self._deadline = moment + seconds

    def _rest(self, moment: float) -> None:
        """The pause between two requests, with no timer of its own: its end, and then the head's, is a deadline."""
        self._in_head = self._rests = True
        self._head_bytes, self._owes_since, self._deadline = 0, moment, moment + self.timeout_keep_alive

    def look(self, moment: float) -> None:
        """Give up on a client whose time is over by this moment."""
        if moment > self._write_deadline:
            self.transport.abort()
        elif moment <= self._deadline:
            return
        elif self._in_head and self._head_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _answers(self) -> bool:
        """Whether an answer is under way, or is owed to what has come whole."""
        cycle = self.cycle
        if cycle is None or (cycle.response_complete and not self.pipeline):
            return False
        return bool(self.pipeline) or cycle.response_started or not cycle.more_body

    def _make_room(self) -> None:
        """Close the connection that has owed its request for longest; where none does, this one is too many."""
        others = [one for one in self.connections if isinstance(one, PatientProtocol) and one is not self]
        slow = [(one._owes_since, id(one), one) for one in others if one._owes_since is not None]  # noqa: SLF001  # of this class
        if slow:
            _, _, slowest = min(slow)
            slowest._owes_since = None  # noqa: SLF001  # as above; it still counts until the loop comes round
            slowest.transport.abort()
        else:
            _log.warning("too_many_connections", connections=len(self.connections))
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with a problem document where no other answer is under way, and close."""
        if self.transport.is_closing():
            return
        if self._answers():
            self.transport.abort()
            return
        document = http_problem(status) if status is not HTTPStatus.BAD_REQUEST else _NO_HTTP
        body = json.dumps(document, separators=(",", ":")).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nCache-Control: no-store\r\n"
        again = "Retry-After: 2\r\n" if status in _PASSING else ""
        head += f"{again}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


def _notice_silence(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel give up a client whose host takes nothing of what was sent: it may have vanished."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
