"""Compressed bodies: the same bytes each time, because their strong ETag says so."""

import gzip
from collections.abc import Callable
from typing import Final, TypeAlias

from starlette.types import ASGIApp
from starlette_compress import CompressMiddleware

SMALLEST: Final = 1000
"""Bytes: what fits one packet arrives no sooner for being smaller."""
_GZIP_LEVEL: Final = 4
Headers: TypeAlias = list[tuple[bytes, bytes]]


class Compression(CompressMiddleware):
    """The package's own, but that its gzip leaves out the second in which it compresses."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=SMALLEST, gzip_level=_GZIP_LEVEL)
        assert self._gzip is not None  # noqa: S101  # each is on unless it is turned off
        assert self._brotli is not None  # noqa: S101  # as above
        assert self._zstd is not None  # noqa: S101  # as above
        self._gzip.oneshot = _gzip_once
        self._once: Final[dict[str, Callable[[bytes], bytes]]] = {
            "gzip": _gzip_once,
            "br": self._brotli.oneshot,
            "zstd": self._zstd.oneshot,
        }

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
