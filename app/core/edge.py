"""What every HTTP message passes first and last.

HEAD is GET without the body; a 413 is a problem like any other; a compressed body has a tag of its own; a read that is
meant for another state is refused; problems, and what says nothing of caches, are kept by none.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import MEDIA_TYPE, PreconditionError, ProblemResponse, http_problem
from app.core.etag import READS, names_state

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
_STATES: Final = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})
_UNKEPT: Final = {"Cache-Control": "no-store"}
HEAD: Final = "head_is_asked"
"""In the scope of a request whose answer goes out without its body: nobody need make one, least of all an endless."""


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
        inner = {**scope, "method": "GET", HEAD: True} if head else scope
        await self.app(inner, receive, _Answer(scope, receive, send, head=head))
        if head and "route" in inner:
            scope["route"] = inner["route"]  # who counts the requests asks for it


class _Answer:
    def __init__(self, scope: Scope, receive: Receive, send: Send, *, head: bool) -> None:
        self._scope, self._receive, self._send, self._head = scope, receive, send, head
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            headers = _finished(message.get("headers", []))
            refusal = self._refusal(message, headers)
            if refusal is not None:
                self._replaced = True
                refusal.body = b"" if self._head else refusal.body
                await refusal(self._scope, self._receive, self._send)
                return
            if self._head:  # what is not made for a HEAD has no length; to say 0 would be untrue of the GET
                headers = [pair for pair in headers if pair != (b"content-length", b"0")]
            message = {**message, "headers": headers}
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def _refusal(self, message: Message, headers: Headers) -> ProblemResponse | None:
        """What is answered in its place, if anything."""
        if _is_plain_refusal(message):
            return ProblemResponse(http_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE), message["status"], _UNKEPT)
        lines = [value for name, value in self._scope["headers"] if name == b"if-match"]
        if not lines or self._scope["method"] not in READS or message["status"] not in _STATES:
            return None
        etag = dict(headers).get(b"etag", b"").decode("latin-1")
        if not etag or names_state(b",".join(lines).decode("latin-1"), etag):
            return None
        detail = f"If-Match does not name the present ETag {etag}: leave it out to read what there is now."
        error = PreconditionError(detail)
        return ProblemResponse(error.document(), error.status, {"ETag": etag, **_UNKEPT})


def _finished(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers as they leave."""
    headers = [(name, _once(value) if name == b"vary" else value) for name, value in headers]
    known = dict(headers)
    coding, etag = known.get(b"content-encoding"), known.get(b"etag", b"")
    if coding is not None and etag.endswith(b'"') and not etag.startswith(b"W/"):
        coded = etag[:-1] + b"-" + coding + b'"'
        return [(name, coded if name == b"etag" else value) for name, value in headers]
    if b"cache-control" not in known or known.get(b"content-type", b"").startswith(MEDIA_TYPE.encode()):
        return [*headers, (b"cache-control", b"no-store")]
    return headers


def _once(names: bytes) -> bytes:
    """A list of names without repetitions: the layer that compresses adds its own to whatever stands there."""
    return b", ".join(dict.fromkeys(name.strip() for name in names.split(b",")))


def _is_plain_refusal(message: Message) -> bool:
    """Whether the body limit refuses by itself: it does so where the length was declared and nobody read the body."""
    media = dict(message.get("headers", [])).get(b"content-type", b"")
    return bool(message["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and media.startswith(b"text/plain"))
