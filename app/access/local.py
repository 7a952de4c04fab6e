"""A rate limit inside one process: about a microsecond, no network, nothing that can be away."""

from math import ceil
from threading import Lock
from typing import Final

_MINUTE: Final = 60.0


class LocalLimiter:
    """At most `per_minute` requests of each caller, evenly refilled, and so many at once (GCRA: one moment a caller).

    0 is no limit. Bounded: it forgets who has nothing left to wait for, and everybody where that does not do.
    """

    def __init__(self, per_minute: int, *, most_callers: int = 65_536) -> None:
        self.per_minute: Final = per_minute
        self._most = most_callers
        self._interval = _MINUTE / per_minute if per_minute else 0.0
        self._free_at: dict[str, float] = {}
        self._lock = Lock()

    def wait_s(self, caller: str, now: float, *, count: bool = True) -> float:
        """Count a request that comes at `now` (any clock that only goes forward, in seconds), or only ask.

        0.0 lets it pass; else it is not counted, and would pass after so many seconds.
        """
        if not self.per_minute:
            return 0.0
        with self._lock:
            free_at = max(self._free_at.get(caller, now), now)
            wait = free_at + self._interval - now - _MINUTE
            if wait > 1e-9:  # noqa: PLR2004  # sums of the interval are not exact
                return wait
            if not count:
                return 0.0
            self._keep(caller, free_at + self._interval, now)
            return 0.0

    def take(self, caller: str, now: float, number: int) -> int:
        """Count as many of so many requests as pass, and say how many those are. Not where there is no limit."""
        with self._lock:
            free_at = max(self._free_at.get(caller, now), now)
            taken = min(number, int((now + _MINUTE - free_at) / self._interval + 1e-6))
            if taken > 0:
                self._keep(caller, free_at + taken * self._interval, now)
            return max(0, taken)

    def stands(self, caller: str, now: float) -> tuple[int, int]:
        """How many more would pass at once, and the seconds, rounded up, until all of them would."""
        if not self.per_minute:
            return 0, 0
        with self._lock:
            refill_s = max(self._free_at.get(caller, now) - now, 0.0)
        return int((_MINUTE - refill_s) / self._interval + 1e-6), ceil(refill_s)

    def _keep(self, caller: str, free_at: float, now: float) -> None:
        if len(self._free_at) >= self._most and caller not in self._free_at:
            self._forget(now)
        self._free_at[caller] = free_at

    def _forget(self, now: float) -> None:
        self._free_at = {caller: moment for caller, moment in self._free_at.items() if moment > now}
        if len(self._free_at) >= self._most:
            self._free_at.clear()
