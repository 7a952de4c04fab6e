"""Keep what was made last: the next run that needs it has it at once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """What was made last, by key, up to `most` of it together; the least recently used goes first, the newest stays."""

    def __init__(self, most: int, size: Callable[[T], int] = lambda _: 1) -> None:
        self._most = most
        self._size = size
        self._known: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under `key`, or is made now; others wait meanwhile."""
        with self._lock:
            if key not in self._known:
                self._known[key] = make()
            self._known.move_to_end(key)
            while len(self._known) > 1 and sum(map(self._size, self._known.values())) > self._most:
                self._known.popitem(last=False)
            return self._known[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._known
