"""The fast lane: a plain GET whose answer is in memory, in as few steps as it takes. All else goes the usual way.

What it sends and notes is what the layers behind it would: tests hold both to that.
"""

from time import monotonic, perf_counter, time
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.journal import Journal
from app.core.requests import Ids
from app.hot.conditions import coding_of
from app.hot.serving import Serving

_ELSEWHERE: Final = frozenset(
    {b"authorization", b"content-length", b"origin", b"prefer", b"transfer-encoding", b"x-request-id"}
)
"""Headers that ask for more than is done here."""


class Lane:
    """In front of everything."""

    def __init__(self, app: ASGIApp, serving: Serving, journal: Journal, ids: Ids) -> None:
        self._app: Final = app
        self._serving, self._listener = serving, serving.listener
        self._kept: Final = serving.cache.get
        self._note, self._id = journal.note, ids.new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        began = perf_counter()
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        raw = scope["headers"]
        headers = dict(raw)
        path = scope["path"]
        accepted = headers.get(b"accept-encoding")
        answer = self._kept((path, coding_of(accepted) if accepted else ""))
        if (
            answer is None
            or answer.version is not None
            or monotonic() >= self._listener.until
            or len(headers) != len(raw)  # some header came more than once
            or not _ELSEWHERE.isdisjoint(headers)
        ):
            await self._app(scope, receive, send)
            return
        held = headers.get(b"if-none-match")
        request_id = self._id()
        header = (b"x-request-id", request_id.encode())
        if held is None:
            status, sent = 200, answer.size
            await send({"type": "http.response.start", "status": 200, "headers": [*answer.headers, header]})
            await send(answer.whole)
        elif held == answer.tag:
            status, sent = 304, 0
            await send({"type": "http.response.start", "status": 304, "headers": [*answer.unchanged, header]})
            await send(_NOTHING)
        else:
            await self._app(scope, receive, send)
            return
        self._serving.hits += 1
        seconds = perf_counter() - began
        self._note((time(), request_id, "GET", path, b"", answer.route, status, sent, seconds, scope.get("client")))


_NOTHING: Final = {"type": "http.response.body", "body": b""}
