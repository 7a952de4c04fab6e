"""What every HTTP message passes first and last: HEAD is GET without the body; a 413 is a problem like any other."""

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import ProblemResponse, http_problem


class Edge:
    """Wraps the whole application, so that it sees also what the framework answers by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if head else scope
        await self.app(inner, receive, _Answer(scope, receive, send, head=head))


class _Answer:
    def __init__(self, scope: Scope, receive: Receive, send: Send, *, head: bool) -> None:
        self._scope, self._receive, self._send, self._head = scope, receive, send, head
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start" and _is_plain_refusal(message):
            self._replaced = True
            response = ProblemResponse(http_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE), message["status"])
            await response(self._scope, self._receive, self._send)
            return
        if self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _is_plain_refusal(message: Message) -> bool:
    """Whether the body limit refuses by itself: it does so where the length was declared and nobody read the body."""
    media = dict(message.get("headers", [])).get(b"content-type", b"")
    return bool(message["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and media.startswith(b"text/plain"))
