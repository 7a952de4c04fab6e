"""Counts what is answered from memory against its address: in portions, so that most requests cost one look-up."""

from collections.abc import Sequence
from typing import Final

from app.access.address import Network, client_address, limited_as
from app.access.local import LocalLimiter
from app.core.peers import Peer

PORTION: Final = 32
"""Requests that are counted at once, before they come; what is left of it waits for its address."""
_SHARE: Final = 60
"""A portion is at most this part of a minute's requests: a low limit is counted one by one."""
Headers = Sequence[tuple[bytes, bytes]]


class Tally:
    """Of one process, for its event loop alone: there is no lock. The limiter is the one that counts all else, too."""

    def __init__(self, limiter: LocalLimiter, trusted: Sequence[Network]) -> None:
        self._limiter, self._trusted = limiter, trusted
        # A proxy's address is not that of who asks, so nothing is counted ahead for it.
        self._portion = 1 if trusted else max(1, min(PORTION, limiter.per_minute // _SHARE))

    def passes(self, peer: Peer, headers: Headers, now: float) -> bool:
        """Count a request; False, and not counted, where its address has none left: the usual way refuses it."""
        if peer.counted:
            peer.counted -= 1
            return True
        return self.take(peer, headers, now)

    def take(self, peer: Peer, headers: Headers, now: float) -> bool:
        """Count a request of which none is counted ahead, and some after it."""
        if not self._limiter.per_minute:
            return True
        host = client_address({"client": (peer.host, 0), "headers": headers}, self._trusted)
        taken = self._limiter.take(limited_as(host), now, self._portion)
        peer.counted = max(0, taken - 1)
        return taken > 0
