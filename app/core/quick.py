"""uvicorn's protocol with a way round the application: an answer that is there in bytes is sent as soon as it is asked.

To make an ASGI scope, a cycle and a task and to check and join each header costs several times what it takes to find an
answer in memory. So the application may offer `at_once`; whatever that does not answer goes to it as ever, and what it
does answer is, byte for byte, what the application would have sent.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Final, TypeAlias, cast

from app.core.patience import PatientProtocol, Ticker
from app.core.peers import Peer
from app.core.settings import LimitSettings

AtOnce: TypeAlias = Callable[[bytes, list[tuple[bytes, bytes]], Peer, float], tuple[bytes, bytes, bytes, bytes] | None]
"""Of the address and headers of a GET without a body, who asks, and when: status line, the headers' lines up to the id
of the request, that id, and the body; None where the application has to be asked."""


LOOKED: Final = "looked_at_once"
"""In the scope of a request: the application was asked for an answer at once, and had none."""


def quick(limits: LimitSettings) -> type:
    """What uvicorn takes as `http`: its own protocol, with these limits, and answers at once where there are any."""
    return cast("type", partial(QuickProtocol, limits=limits, ticker=Ticker(), served=Served()))


class Served:
    """The headers that uvicorn gives every answer, as lines; it makes them anew each second."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._lines = b""

    def lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The lines of these headers."""
        if headers is not self._headers:
            self._headers, self._lines = headers, b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._lines


class QuickProtocol(PatientProtocol):
    """One connection."""

    def __init__(self, *args: Any, served: Served, **options: Any) -> None:  # noqa: ANN401  # uvicorn's
        super().__init__(*args, **options)
        plain = not self.root_path and self.limit_concurrency is None
        self._at_once: Final[AtOnce | None] = getattr(self.app, "at_once", None) if plain else None
        self._peer = Peer("")
        self._came = 0.0
        self._served: Final = served
        self._answered = self._looked = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Somebody is there: who it is need not be found out for each request."""
        super().connection_made(transport)
        if self._at_once is not None:
            self._peer = cast("Any", self.app).peer_of(self.client)

    def on_message_begin(self) -> None:
        """A request comes. Its scope is made where one is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Answer, or have the application answer."""
        answer = self._answer() if self._at_once is not None else None
        if answer is None:
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers = self.scope["headers"] = headers
            if self._looked:
                self.scope[LOOKED] = True  # type: ignore[typeddict-unknown-key]  # our own
            super().on_headers_complete()
            return
        self._answered = True
        status, head, request_id, body = answer
        served = self._served.lines(self.server_state.default_headers)
        self.transport.write(b"".join((status, served, head, request_id, b"\r\n\r\n", body)))
        self.server_state.total_requests += 1

    def _answer(self) -> tuple[bytes, bytes, bytes, bytes] | None:
        parser, self._looked = self.parser, False
        if (
            (self.cycle is not None and not self.cycle.response_complete)  # its turn comes
            or parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            return None
        self._looked = True
        self._came = monotonic()
        return self._at_once(self.url, self.headers, self._peer, self._came)  # type: ignore[misc]  # the caller looked

    def on_message_complete(self) -> None:
        """The whole request has come."""
        if not self._answered:
            super().on_message_complete()
            return
        self._answered = False
        self._rest(self._came)
