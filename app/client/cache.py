"""What was read before, so that the service need only say that it has not changed."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from app.client.effects import Request, Response

CACHE_BYTES: Final = 8 * 1024 * 1024
"""Together. What is larger than an eighth of it is not kept."""
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer with its tag."""

    tag: str
    response: Response


class EtagCache:
    """Bounded; what has not been read for longest goes first. May be used by several threads."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[_Key, Kept] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def find(self, request: Request) -> Kept | None:
        """What is kept of this address."""
        with self._lock:
            kept = self._kept.get(key := _key(request))
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def keep(self, request: Request, response: Response) -> None:
        """Keep an answer that has a tag and may be kept; forget what it replaces."""
        tag = response.headers.get("etag")
        may = tag is not None and "no-store" not in response.headers.get("cache-control", "")
        with self._lock:
            self._forget(_key(request))
            if tag is None or not may or len(response.body) > self._most // 8:
                return
            self._kept[_key(request)] = Kept(tag, response)
            self._bytes += len(response.body)
            while self._bytes > self._most:
                self._forget(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _forget(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.response.body)


def _key(request: Request) -> _Key:
    return request.path, tuple(sorted(request.params.items()))
