"""Fetch a paper's metadata from the arXiv API: one allow-listed host, https, bounded time and bytes, no entities."""

import ipaddress
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self
from xml.etree.ElementTree import Element, ParseError

import httpx
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic import ValidationError

from app.core.settings import ArxivSettings
from app.papers.errors import ArxivError, ArxivNotFoundError, PaperChangeError
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPut

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_ARXIV: Final = "{http://arxiv.org/schemas/atom}"
_HEADERS: Final = {
    "User-Agent": "paper-verdicts",
    "Accept": "application/atom+xml",
    "Accept-Encoding": "identity",  # a few compressed bytes can become many megabytes before they can be counted
}


def fetch_metadata(ref: PaperRef, settings: ArxivSettings, *, transport: httpx.BaseTransport | None = None) -> PaperPut:
    """The title, abstract, category, journal reference and date that arXiv gives for the paper.

    Raises ArxivNotFoundError where arXiv knows no such paper, ArxivError where it cannot be asked or answers nonsense.
    """
    if ref.is_draft:
        detail = "A draft is not on arXiv. Register it with PUT, or give it its arXiv id with PATCH first."
        raise PaperChangeError(detail)
    return parse_feed(_download(ref, settings, transport), ref)


def _public_address(host: str) -> str:
    """An address of the host that is reachable from anywhere: never one inside our own network."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        detail = f"{host} cannot be resolved from here; try again later, or register the paper with PUT."
        raise ArxivError(detail) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(_is_public(ipaddress.ip_address(address)) for address in addresses):
        detail = f"{host} resolves to an address that is not public; it is not contacted."
        raise ArxivError(detail)
    return addresses[0]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is one host's on the open network; an IPv6 address that carries an IPv4 one is judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is not None:
            return _is_public(carried)
    return address.is_global and not address.is_multicast


def _download(ref: PaperRef, settings: ArxivSettings, transport: httpx.BaseTransport | None) -> bytes:
    try:
        with (
            _Deadline(settings.timeout_s) as deadline,
            httpx.Client(timeout=settings.timeout_s, follow_redirects=False, transport=transport) as client,
        ):
            request = _request(ref, settings, deadline)
            with client.stream("GET", request.url, headers=request.headers, extensions=request.extensions) as response:
                if response.status_code != httpx.codes.OK:
                    detail = f"arXiv answered {response.status_code}; try again later, or register the paper with PUT."
                    raise ArxivError(detail)
                return _read_bounded(response, settings, deadline)
    except httpx.HTTPError as error:
        if deadline.is_over:
            detail = f"arXiv took more than {settings.timeout_s:g} s; try again later, or register the paper with PUT."
            raise ArxivError(detail) from error
        detail = f"arXiv could not be asked ({type(error).__name__}); try again later, or register the paper with PUT."
        raise ArxivError(detail) from error


def _request(ref: PaperRef, settings: ArxivSettings, deadline: "_Deadline") -> httpx.Request:
    # The connection goes to the address that was checked, so that a second look-up cannot lead elsewhere.
    address = _public_address(settings.host)
    literal = f"[{address}]" if ":" in address else address
    return httpx.Request(
        "GET",
        f"https://{literal}/api/query",
        params={"id_list": ref.arxiv_id, "max_results": 1},
        headers={"Host": settings.host, **_HEADERS},
        extensions={"sni_hostname": settings.host, "trace": deadline.trace},
    )


class _Deadline:
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


def _read_bounded(response: httpx.Response, settings: ArxivSettings, deadline: _Deadline) -> bytes:
    """The body, unless it grows too large, or drips in so slowly that no single read ever times out."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        detail = "arXiv's answer is compressed although it was asked for as it is; it was not used."
        raise ArxivError(detail)
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > settings.max_bytes or deadline.is_over:
            detail = f"arXiv's answer exceeds {settings.max_bytes} bytes or {settings.timeout_s:g} s; it was not used."
            raise ArxivError(detail)
    return bytes(body)


def parse_feed(body: bytes, ref: PaperRef) -> PaperPut:
    """The metadata in an Atom feed of the arXiv API."""
    try:
        entry = fromstring(body, forbid_dtd=True).find(f"{_ATOM}entry")
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        detail = "arXiv's answer is not a well-formed Atom feed; it was not used."
        raise ArxivError(detail) from error
    if entry is None or "/api/errors" in _text(entry, f"{_ATOM}id"):
        detail = f"arXiv has no paper {ref.arxiv_id}. Check the id."
        raise ArxivNotFoundError(detail)
    if not _is_about(ref, _text(entry, f"{_ATOM}id")):
        detail = f"arXiv answered with another paper than {ref.arxiv_id}; it was not used."
        raise ArxivError(detail)
    category = entry.find(f"{_ARXIV}primary_category")
    try:
        return PaperPut.model_validate(
            {
                "title": _text(entry, f"{_ATOM}title"),
                "abstract": _text(entry, f"{_ATOM}summary"),
                "primary_category": category.get("term") if category is not None else None,
                "venue": _text(entry, f"{_ARXIV}journal_ref") or None,
                "published_at": _text(entry, f"{_ATOM}published") or None,
            }
        )
    except ValidationError as error:
        detail = f"arXiv's entry for {ref.arxiv_id} lacks what a paper needs; it was not used."
        raise ArxivError(detail) from error


def _is_about(ref: PaperRef, url: str) -> bool:
    """Whether an entry's id (`http://arxiv.org/abs/math/0309136v1`) is the paper's; it leaves out the subject class."""
    archive, slash, number = ref.arxiv_id.rpartition("/")
    name = re.escape(archive.partition(".")[0]) + r"(?:\.[A-Z]{2})?" if slash else ""
    return re.fullmatch(rf"https?://arxiv\.org/abs/{name}{slash}{re.escape(number)}(?:v[0-9]+)?", url) is not None


def _text(entry: Element, tag: str) -> str:
    return " ".join((entry.findtext(tag) or "").split())
