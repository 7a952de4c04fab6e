"""Compressed bodies: the same bytes each time, because their strong ETag says so."""

import gzip
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol, TypeAlias
from weakref import WeakSet

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type

from app.core.conditions import coding_of

SMALLEST: Final = 1000
"""Bytes: what fits one packet arrives no sooner for being smaller."""
_GZIP_LEVEL: Final = 4
_ALSO: Final = (
    "application/jsonl",
    "application/problem+json",
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.in-toto+json",
    "application/yaml",
    "text/csv",
)
"""Text that the package does not know of: our largest answers are of these. Parquet compresses itself."""
for _media in _ALSO:
    add_compress_type(_media)
MOST_STREAMS: Final = 64
"""Answers that are compressed while they are made, at once: each takes up to three megabytes for as long as its client
takes its time. Those beyond go out as they are."""
Headers: TypeAlias = list[tuple[bytes, bytes]]


class StreamEncoder(Protocol):
    """As the package has it."""

    def feed(self, data: bytes, flush: bool, /) -> Iterable[bytes]:  # noqa: FBT001  # the package's own
        """What can be sent by now."""

    def finish(self) -> Iterable[bytes]:
        """The rest."""


class _Stream:
    """A compressor, for as long as somebody holds it."""

    __slots__ = ("__weakref__", "feed", "finish")

    def __init__(self, encoder: StreamEncoder) -> None:
        self.feed: Final = encoder.feed
        self.finish: Final = encoder.finish


class Compression(CompressMiddleware):
    """The package's own, but that the client's liking counts, and that gzip leaves out the second it was made in."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=SMALLEST, gzip_level=_GZIP_LEVEL)
        assert self._gzip is not None  # noqa: S101  # each is on unless it is turned off
        assert self._brotli is not None  # noqa: S101  # as above
        assert self._zstd is not None  # noqa: S101  # as above
        self._gzip.oneshot = _gzip_once
        self._streams: Final[WeakSet[_Stream]] = WeakSet()
        for responder in (self._gzip, self._brotli, self._zstd):
            responder.create_encoder = partial(self._begun, responder.create_encoder)
        self._responders: Final[dict[str, ASGIApp]] = {
            "gzip": self._gzip,
            "br": self._brotli,
            "zstd": self._zstd,
            "": self._identity,
        }
        self._once: Final[dict[str, Callable[[bytes], bytes]]] = {
            "gzip": _gzip_once,
            "br": self._brotli.oneshot,
            "zstd": self._zstd.oneshot,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http":
            accepted = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
            coding = coding_of(accepted) if len(self._streams) < MOST_STREAMS else ""
            await self._responders[coding](scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _begun(self, create_encoder: Callable[[int], StreamEncoder], length: int) -> _Stream:
        stream = _Stream(create_encoder(length))
        self._streams.add(stream)
        return stream

    def coded(self, coding: str, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        """A JSON answer as this layer and app.core.edge would send it; `headers` have its ETag, length and Vary."""
        if not coding or len(body) < SMALLEST:
            return headers, body
        body, name = self._once[coding](body), coding.encode()
        changed = {b"content-length": b"%d" % len(body)}
        changed[b"etag"] = dict(headers)[b"etag"][:-1] + b"-" + name + b'"'
        return [*((key, changed.get(key, value)) for key, value in headers), (b"content-encoding", name)], body


def _gzip_once(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)
