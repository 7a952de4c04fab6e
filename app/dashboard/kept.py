"""A bounded memory of what never changes."""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The newest so many values. Threads that ask for the same one at once may both work it out; it is the same."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._values: Final[dict[Key, Value]] = {}

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value, made where it is not here."""
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = make()
            while len(self._values) > self._most:
                self._values.pop(next(iter(self._values)), None)
        return found
