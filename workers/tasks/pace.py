"""How long a run still takes, by its pace so far."""

from math import inf
from time import monotonic


class Pace:
    """Counts one attempt's predictions. `quick` says of a run that no model has to be loaded or run for it."""

    def __init__(self, stored: int, *, quick: bool) -> None:
        self.total: int | None = None
        self._quick, self._stored = quick, stored
        self._made, self._began = 0, 0.0

    def expect(self, total: int) -> None:
        """The run has so many examples, and begins with them now."""
        self.total, self._began = total, monotonic()

    def add(self, number: int) -> None:
        """So many more are predicted."""
        self._made += number

    def left_s(self) -> float:
        """Seconds until the last prediction; infinite where nothing is known of the pace yet."""
        if self.total is None or self._made == 0:
            return 0.0 if self._quick else inf
        left = self.total - self._stored - self._made
        return left * (monotonic() - self._began) / self._made
