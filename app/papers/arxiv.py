"""Fetch a paper's metadata from the arXiv API: one allow-listed host, https, bounded time and bytes, no entities."""

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import httpx
import structlog
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic import ValidationError

from app.core.clock import now
from app.core.outgoing import Deadline, NotPublicError, UnresolvedError, checked_address, pinned
from app.core.settings import ArxivSettings
from app.papers.errors import ArxivError, ArxivNotFoundError, PaperChangeError
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPut
from app.protocol.paper_ids import never_given

_log = structlog.get_logger(__name__)
_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_ARXIV: Final = "{http://arxiv.org/schemas/atom}"
_HTTPS: Final = 443
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
    if (why := never_given(ref.arxiv_id, now().date())) is not None:
        detail = f"arXiv cannot have a paper {ref.arxiv_id}: {why}. Check the id."
        raise ArxivNotFoundError(detail)
    return parse_feed(_download(ref, settings, transport), ref)


def _public_address(host: str) -> str:
    try:
        return checked_address(host, _HTTPS)
    except UnresolvedError as error:
        detail = f"{host} cannot be resolved from here; try again later, or register the paper with PUT."
        raise ArxivError(detail) from error
    except NotPublicError as error:
        detail = f"{host} resolves to an address that is not public; it is not contacted."
        raise ArxivError(detail) from error


def _download(ref: PaperRef, settings: ArxivSettings, transport: httpx.BaseTransport | None) -> bytes:
    asked = httpx.URL(f"https://{settings.host}/api/query", params={"id_list": ref.arxiv_id, "max_results": 1})
    try:
        with (
            Deadline(settings.timeout_s) as deadline,
            httpx.Client(timeout=settings.timeout_s, follow_redirects=False, transport=transport) as client,
        ):
            url, host, extensions = pinned(asked, _public_address(settings.host))
            extensions["trace"] = deadline.trace
            with client.stream("GET", url, headers={**host, **_HEADERS}, extensions=extensions) as response:
                if response.status_code != httpx.codes.OK:
                    detail = f"arXiv answered {response.status_code}; try again later, or register the paper with PUT."
                    raise ArxivError(detail)
                return _read_bounded(response, settings, deadline)
    except httpx.HTTPError as error:
        if deadline.is_over:
            detail = f"arXiv took more than {settings.timeout_s:g} s; try again later, or register the paper with PUT."
            raise ArxivError(detail) from error
        _log.warning("arxiv_unreachable", error=type(error).__name__)
        detail = f"{settings.host} does not answer from here; try again later, or register the paper with PUT."
        raise ArxivError(detail) from error


def _read_bounded(response: httpx.Response, settings: ArxivSettings, deadline: Deadline) -> bytes:
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
