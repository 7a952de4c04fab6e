"""What the service connects to by itself: nothing in its own network, only the address it checked, not for ever."""

import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

import httpx

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_HANDED_OUT: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that hosts on the open network have. The rest holds site-local addresses and other ways to write those of
IPv4, which Python takes for global ones."""
_NOBODYS: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""More that it does: for protocols, gateways and examples."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class UnresolvedError(Exception):
    """The name has no address."""


class NotPublicError(Exception):
    """The name has an address inside a network of somebody's own."""


def checked_address(host: str, port: int, *, allow_private: bool = False) -> str:
    """An address of the host. Raises UnresolvedError, and NotPublicError where any is not reachable from anywhere.

    `allow_private` takes whatever address there is.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnresolvedError(host) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise UnresolvedError(host)
    if not allow_private and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
        raise NotPublicError(host)
    return addresses[0]


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is one host's on the open network; an IPv6 address that carries an IPv4 one is judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if carried is not None:
            return is_public(carried)
        if address not in _HANDED_OUT:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOBODYS)


def pinned(url: httpx.URL, address: str) -> tuple[httpx.URL, dict[str, str], dict[str, Any]]:
    """The URL, headers and extensions by which httpx connects to this address and asks it for this URL.

    A second look-up of the name cannot lead elsewhere, and the certificate has to be the name's.
    """
    host = url.raw_host.decode("ascii")
    return url.copy_with(host=address), {"Host": url.netloc.decode("ascii")}, {"sni_hostname": host}


def port_of(url: httpx.URL) -> int:
    """The port that the URL means."""
    return _DEFAULT_PORTS[url.scheme] if url.port is None else url.port


class Deadline:
    """Bounds a whole exchange, where a time-out bounds one read: a head that comes in drops would never end.

    When the time is over the socket is shut down under whoever reads from it.
    """

    def __init__(self, seconds: float) -> None:
        self._until = monotonic() + seconds
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    @property
    def is_over(self) -> bool:
        """Whether the time has passed."""
        return monotonic() >= self._until

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear from httpcore which connection it has made (its documented extension `trace`)."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it may be closed by now, or handed on to TLS, whose handshake has its own bound
                # The plain socket's: TLS would unwrap itself under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
