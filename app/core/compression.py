"""Compressed bodies: the same bytes each time, because their strong ETag says so."""

import gzip
from typing import Final

from starlette.types import ASGIApp
from starlette_compress import CompressMiddleware

SMALLEST: Final = 1000
"""Bytes: what fits one packet arrives no sooner for being smaller."""
_GZIP_LEVEL: Final = 4


class Compression(CompressMiddleware):
    """The package's own, but that its gzip leaves out the second in which it compresses."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=SMALLEST, gzip_level=_GZIP_LEVEL)
        assert self._gzip is not None  # noqa: S101  # it is on unless it is turned off
        self._gzip.oneshot = _gzip_once


def _gzip_once(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)
