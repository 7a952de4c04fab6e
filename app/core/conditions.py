"""What a reading request's headers ask for."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from starlette.types import Scope

LONGEST_WAIT_S: Final = 30
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE)
_CODINGS: Final = ("zstd", "br", "gzip")
"""In the order of our liking, where the client likes several as well."""


@dataclass(slots=True)
class Conditions:
    """The headers that an answer from the cache depends on."""

    coding: str = ""
    held: str | None = None
    """If-None-Match."""
    wait_s: int = 0
    has_body: bool = False


def conditions_of(scope: Scope) -> Conditions:
    """Read them in one pass."""
    found = Conditions()
    accepted = None
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            found.held = value.decode("latin-1") if found.held is None else f"{found.held}, {value.decode('latin-1')}"
        elif name == b"accept-encoding":
            accepted = value if accepted is None else accepted + b"," + value
        elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            found.has_body = True
        elif name == b"prefer":
            found.wait_s = max(found.wait_s, wait_of(value.decode("latin-1")))
    if accepted is not None:
        found.coding = coding_of(accepted)
    return found


def wait_of(prefer: str) -> int:
    """Seconds that `Prefer: wait=N` (RFC 7240) asks for, bounded; 0 where it asks for none."""
    match = _WAIT.search(prefer)
    return min(int(match[1]), LONGEST_WAIT_S) if match else 0


@lru_cache(maxsize=512)
def coding_of(accept_encoding: bytes) -> str:
    """The coding of the body that an Accept-Encoding (RFC 9110) likes best of ours; "" for none."""
    qualities: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        quality = re.search(r"(?:^|;)\s*q\s*=\s*([^;\s]*)", parameters)
        try:
            value = min(float(quality[1]), 1.0) if quality else 1.0
        except ValueError:
            value = 0.0
        qualities[name.strip()] = value if value > 0 else 0.0  # and what is no number is not above it
    liked = {name: qualities.get(name, qualities.get("*", 0.0)) for name in _CODINGS}
    best = max(_CODINGS, key=liked.__getitem__)
    return best if liked[best] > 0 and liked[best] >= qualities.get("identity", 0.0) else ""
