"""What is done for every request, outermost: its id, and its entry in the journal."""

import re
import secrets
from collections.abc import Callable
from itertools import chain, count
from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app.core.journal import Journal

_ACCEPTABLE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CUT_OFF: Final = 499
"""Of what was never answered, as nginx counts it: the client went away."""


_LAST: Final = [b"%03x" % number for number in range(16**3)]


class Ids:
    """One random start for each process, then a count: unique, at a twentieth of a UUID's cost."""

    def __init__(self) -> None:
        start = secrets.token_hex(6).encode()
        blocks = ((start + b"-%x" % number).__add__ for number in count())
        self.new: Final[Callable[[], bytes]] = chain.from_iterable(map(block, _LAST) for block in blocks).__next__
        """The next id."""


class Requests:
    """Gives each HTTP request an id, or keeps the one it came with, and notes what became of it."""

    def __init__(self, app: ASGIApp, journal: Journal, ids: Ids) -> None:
        self._app: Final = app
        self._journal: Final = journal
        self._ids: Final = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._id(scope)
        scope["request_id"] = request_id.decode()
        header = (b"x-request-id", request_id)
        status, sent = _CUT_OFF, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], header]}
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        began = monotonic()
        try:
            await self._app(scope, receive, watched)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            address = method, scope["path"], scope["query_string"], _route(scope)
            outcome = self._journal.outcome(*address, status, sent)
            peer = self._journal.peers.of(scope.get("client"))
            self._journal.note((began, monotonic(), request_id, outcome, peer))

    def _id(self, scope: Scope) -> bytes:
        given: bytes | None = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        return given if given is not None and _ACCEPTABLE.fullmatch(given) else self._ids.new()


def _route(scope: Scope) -> str:
    return str(scope.get("route_template") or getattr(scope.get("route"), "path_format", "unmatched"))


class Bound:
    """Gives everything that is logged on the way the request's id. Not for the hot path, which logs nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        bind_contextvars(request_id=scope.get("request_id", ""))  # of this request's task, which ends with it
        await self._app(scope, receive, send)
