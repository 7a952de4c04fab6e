"""Strong entity tags, and answering conditional requests with them.

A compressed body is another representation, so it has another tag: the plain one with the name of the coding, as in
`"…-br"` (app.core.edge adds it). The tag of any coding says that the client holds the present state.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response
from pydantic import BaseModel

from app.core.errors import PreconditionError

JSON = "application/json"
REVALIDATE: Final = "public, no-cache"
"""Anybody may keep it, and asks before each use whether it still holds."""
SETTLED: Final = "public, max-age=86400"
"""It never changes; after a day a cache asks all the same."""
_CODED: Final = re.compile(r'-(?:gzip|br|zstd)"$')
# Everybody may read, from pages of any origin: nothing that is served depends on who asks. Said to all, so that a cache
# has one answer for all pages.
_OPEN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Deprecation, ETag, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, Sunset, "
        "X-Request-Id"
    ),
}
OPEN_LINES: Final = [(name.lower().encode(), value.encode()) for name, value in _OPEN.items()]
READS: Final = frozenset({"GET", "HEAD"})


def etag_of(body: bytes) -> str:
    """The strong ETag of a body: the first 128 bits of its SHA-256, quoted."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def held_tag(header: str, etag: str) -> str | None:
    """The tag by which an If-None-Match list names this state, for the 304; None where it does not.

    Comparison is weak, as RFC 9110 asks for If-None-Match.
    """
    if header == etag:
        return etag
    for name in (one.strip().removeprefix("W/") for one in header.split(",")):
        if name == "*":
            return etag
        if plain_tag(name) == etag:
            return name
    return None


def names_state(if_match: str, etag: str) -> bool:
    """Whether an If-Match list names this state, in any coding. Comparison is strong: a `W/` never matches."""
    return if_match.strip() == "*" or plain_tag(etag) in [plain_tag(one.strip()) for one in if_match.split(",")]


def plain_tag(tag: str) -> str:
    """The tag of the state, whatever coding its body came in."""
    return _CODED.sub('"', tag)


def reply(
    request: Request,
    body: bytes,
    *,
    etag: str | None = None,
    status: int = 200,
    cache_control: str = REVALIDATE,
    media_type: str = JSON,
    more: Mapping[str, str] | None = None,
) -> Response:
    """The body (JSON, unless it says otherwise) with its ETag, or 304 where the client holds it already.

    `more` are further headers.
    """
    tag = etag or etag_of(body)
    if (
        more is None
        and status == HTTPStatus.OK
        and media_type == JSON
        and request.method in READS
        and held_by(request, tag) is None
    ):
        return Prepared(body, tag, cache_control)
    headers = served(tag, cache_control) if request.method in READS else {"ETag": tag, "Cache-Control": "no-store"}
    headers |= more or {}
    if (held := held_by(request, tag)) is not None:
        return Response(status_code=304, headers={**headers, "ETag": held})
    return Response(body, status, headers, media_type=media_type)


class Prepared(Response):
    """What anybody may read, with headers that need no more work: a response of its own kind takes thrice as long."""

    def __init__(self, body: bytes, etag: str, cache_control: str) -> None:
        self.status_code, self.body, self.background, self.media_type = HTTPStatus.OK.value, body, None, JSON
        self.raw_headers = [
            *OPEN_LINES,
            (b"etag", etag.encode("latin-1")),
            (b"cache-control", cache_control.encode("latin-1")),
            (b"vary", b"Accept-Encoding"),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", JSON.encode()),
        ]


def served(etag: str, cache_control: str = REVALIDATE, vary: str = "Accept-Encoding") -> dict[str, str]:
    """The headers of whatever anybody may read."""
    return {**_OPEN, "ETag": etag, "Cache-Control": cache_control, "Vary": vary}


def held_by(request: Request, etag: str) -> str | None:
    """The tag under which a reading client holds this state already; in a change the header means another thing."""
    held = _header(request, "if-none-match")
    return held_tag(held, etag) if request.method in READS and held is not None else None


def reply_model(request: Request, model: BaseModel, *, status: int = 200, cache_control: str = REVALIDATE) -> Response:
    """A schema as compact JSON with its ETag."""
    return reply(request, json_of(model), status=status, cache_control=cache_control)


def json_of(model: BaseModel) -> bytes:
    """The schema as compact JSON: what `model_dump_json` makes, without the way through a string."""
    return type(model).__pydantic_serializer__.to_json(model)


def require_match(request: Request, current: str) -> None:
    """Hold a change to the state its author saw. Raises PreconditionError where If-Match names another.

    Comparison is strong, as RFC 9110 asks for If-Match: a `W/` never matches.
    """
    if_match = _header(request, "if-match")
    if if_match is not None and not names_state(if_match, current):
        detail = f"If-Match does not name the present ETag {current}: read the resource again, then repeat the change."
        raise PreconditionError(detail, headers={"ETag": current})
    if_none_match = _header(request, "if-none-match")
    if if_none_match is not None and held_tag(if_none_match, current) is not None:
        detail = "If-None-Match names the present state: there is a resource here already."
        raise PreconditionError(detail, headers={"ETag": current})


def require_absence_allowed(request: Request) -> None:
    """Hold the making of a resource to what its author expects. Raises PreconditionError where If-Match names any."""
    if _header(request, "if-match") is not None:
        detail = "If-Match names a state, but there is nothing here yet: leave it out to make the resource."
        raise PreconditionError(detail)


def require_presence_allowed(request: Request) -> None:
    """The other way about, for a resource that somebody else has just made. Raises PreconditionError."""
    if _header(request, "if-none-match") is not None:
        detail = "If-None-Match asks for nothing to be here, but somebody has just made the resource."
        raise PreconditionError(detail)


def _header(request: Request, name: str) -> str | None:
    """The header, with its lines joined where it was sent on several."""
    lines = request.headers.getlist(name)
    return ", ".join(lines).strip() if lines else None
