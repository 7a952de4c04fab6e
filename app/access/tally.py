"""Counts what is answered from memory against its address: in portions, so that most requests cost one look-up."""

from collections.abc import Sequence
from typing import Final

from app.access.address import Network, client_address, limited_as
from app.access.local import LocalLimiter

PORTION: Final = 32
"""Requests that are counted at once, before they come; what is left of it waits for its address."""
_MOST: Final = 65_536
_SHARE: Final = 60
"""A portion is at most this part of a minute's requests: a low limit is counted one by one."""
Client = tuple[str, int] | None
Headers = Sequence[tuple[bytes, bytes]]


class Tally:
    """Of one process, for its event loop alone: there is no lock. The limiter is the one that counts all else, too."""

    def __init__(self, limiter: LocalLimiter, trusted: Sequence[Network]) -> None:
        self._limiter, self._trusted = limiter, trusted
        self._portion = max(1, min(PORTION, limiter.per_minute // _SHARE))
        self._left: dict[str, int] = {}

    def passes(self, client: Client, headers: Headers, now: float) -> bool:
        """Count a request; False, and not counted, where its address has none left: the usual way refuses it."""
        if self._trusted:
            host = client_address({"client": client, "headers": headers}, self._trusted)
        else:
            host = client[0] if client else "local"
        left = self._left.get(host)
        if left:
            self._left[host] = left - 1
            return True
        return self._take(host, now)

    def _take(self, host: str, now: float) -> bool:
        if not self._limiter.per_minute:
            return True
        taken = self._limiter.take(limited_as(host), now, self._portion)
        if len(self._left) >= _MOST:
            self._left.clear()  # each loses less than a portion
        if taken > 1:
            self._left[host] = taken - 1
        else:
            self._left.pop(host, None)
        return taken > 0
