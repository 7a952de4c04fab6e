"""Whose address a request comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Network = IPv4Network | IPv6Network
_HOME_BITS = 64


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """The peer; where that is a trusted proxy, the last address of X-Forwarded-For that is none.

    What stands further left in that header is the client's own word and never counts.
    """
    peer = scope.get("client")
    address = peer[0] if peer else "local"
    if not trusted or not _is_trusted(address, trusted):
        return address
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for hop in reversed(",".join(lines).split(",")):
        found = _parse(hop.strip())
        if found is None:
            return address
        address = str(found)
        if not _is_trusted(address, trusted):
            return address
    return address


@lru_cache(maxsize=4096)
def limited_as(address: str) -> str:
    """By what name an address is counted: IPv6 by its /64, of which every home has one or more."""
    found = _parse(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, _HOME_BITS), strict=False))
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    found = _parse(address)
    return found is not None and any(found in network for network in trusted)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
