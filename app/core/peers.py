"""Addresses that ask: what is known of each without looking at a request."""

from json.encoder import encode_basestring_ascii as quoted
from typing import Final, TypeAlias

Client: TypeAlias = tuple[str, int] | None
"""The other end of a connection, as ASGI has it."""
NOBODY: Final = "local"
"""In place of the address, where a connection has none."""
_MOST: Final = 65_536


class Peer:
    """One address."""

    __slots__ = ("counted", "end", "host")

    def __init__(self, host: str) -> None:
        self.host: Final = host
        self.end: Final = f',"client":{quoted(host) if host and host != NOBODY else "null"}}}\n'.encode()
        """As it stands at the end of a line of the log."""
        self.counted = 0
        """Requests that are counted before they come (app.access.tally)."""


class Peers(dict[str, Peer]):
    """By address. Forgotten when there are many: whose connection is open keeps its own."""

    def of(self, client: Client) -> Peer:
        """The address at the other end."""
        return self[client[0] if client else NOBODY]

    def __missing__(self, host: str) -> Peer:
        if len(self) >= _MOST:
            self.clear()
        peer = self[host] = Peer(host)
        return peer
