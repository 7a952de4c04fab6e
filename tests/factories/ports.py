"""Ports for servers of the tests' own."""

import random
import socket
from pathlib import Path
from typing import Final

_LOWEST: Final = 10_240
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL: Final = 32_768
"""Where the kernel's own choice begins on Linux, if it does not say."""
_draw = random.SystemRandom()  # the generators that are seeded give every process the same ports


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel hands out by itself.

    Between here and the server's own bind any connection to anywhere may be given a port of the kernel's range, and the
    server would find it taken.
    """
    highest = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _USUAL
    while True:
        port = _draw.randrange(_LOWEST, max(highest, 2 * _LOWEST))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
