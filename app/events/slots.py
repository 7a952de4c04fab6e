"""How many streams there may be at once: of the process, and of an address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.settings import EventSettings
from app.events.errors import TooManyStreamsError, TooManyStreamsOfAddressError


class Slots:
    """Not for threads: everything happens on the event loop."""

    def __init__(self, settings: EventSettings) -> None:
        self._most, self._most_of_address = settings.streams, settings.streams_of_address
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many streams are open."""
        return self._taken.total()

    @contextmanager
    def take(self, address: str) -> Iterator[None]:
        """Hold a slot for the block. Raises TooManyStreamsError, TooManyStreamsOfAddressError."""
        if self.taken >= self._most:
            raise TooManyStreamsError
        if self._taken[address] >= self._most_of_address:
            raise TooManyStreamsOfAddressError(self._most_of_address)
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
