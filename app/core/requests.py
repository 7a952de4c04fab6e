"""What is done for every request, outermost: its id, its line in the access log, its place in the metrics."""

import re
import secrets
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

_ACCEPTABLE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_CUT_OFF: Final = 499
"""Of what was never answered, as nginx counts it: the client went away."""

Record = Callable[["Exchange"], None]


class Exchange:
    """One request and what became of it."""

    __slots__ = ("id", "scope", "seconds", "sent", "status")

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.scope, self.id = scope, request_id
        self.status, self.sent, self.seconds = _CUT_OFF, 0, 0.0

    @property
    def route(self) -> str:
        """The template of the address, so that there are as many as there are operations."""
        known = self.scope.get("route_template")
        return str(known or getattr(self.scope.get("route"), "path_format", "unmatched"))


class Requests:
    """Gives each HTTP request an id, or keeps the one it came with, and hands each exchange to those who record."""

    def __init__(self, app: ASGIApp, *records: Record) -> None:
        self._app: Final = app
        self._records: Final = records
        # One random start for each process, then a count: unique, at a tenth of a UUID's cost.
        self._start: Final = secrets.token_hex(6)
        self._count: Final = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        if given is None or not _ACCEPTABLE.fullmatch(given):
            given = f"{self._start}-{next(self._count):x}".encode()
        exchange = Exchange(scope, given.decode())
        scope["request_id"] = exchange.id
        header = (b"x-request-id", given)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message = {**message, "headers": [*message["headers"], header]}
            elif message["type"] == "http.response.body":
                exchange.sent += len(message.get("body", b""))
            await send(message)

        began = perf_counter()
        try:
            await self._app(scope, receive, watched)
        finally:
            exchange.seconds = perf_counter() - began
            for record in self._records:
                record(exchange)


class Bound:
    """Gives everything that is logged on the way the request's id. Not for the hot path, which logs nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        with bound_contextvars(request_id=scope.get("request_id", "")):
            await self._app(scope, receive, send)
