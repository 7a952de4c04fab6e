"""Strong entity tags, and answering conditional requests with them."""

from hashlib import sha256

from fastapi import Request, Response
from pydantic import BaseModel

from app.core.errors import PreconditionError

JSON = "application/json"


def etag_of(body: bytes) -> str:
    """The strong ETag of a body: the first 128 bits of its SHA-256, quoted."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match list names this tag. Comparison is weak, as RFC 9110 asks for If-None-Match."""
    names = [name.strip().removeprefix("W/") for name in header.split(",")]
    return "*" in names or etag in names


def reply(request: Request, body: bytes, *, etag: str | None = None, status: int = 200) -> Response:
    """The body as JSON with its ETag, or 304 where the client asks to read what it holds already."""
    tag = etag or etag_of(body)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if is_held(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, media_type=JSON)


def is_held(request: Request, etag: str) -> bool:
    """Whether a reading request says that the client holds this state; in a change the header means another thing."""
    held = _header(request, "if-none-match")
    return request.method in {"GET", "HEAD"} and held is not None and matches(held, etag)


def reply_model(request: Request, model: BaseModel, *, status: int = 200) -> Response:
    """A schema as compact JSON with its ETag."""
    return reply(request, model.model_dump_json().encode(), status=status)


def require_match(request: Request, current: str) -> None:
    """Hold a change to the state its author saw. Raises PreconditionError where If-Match names another.

    Comparison is strong, as RFC 9110 asks for If-Match: a `W/` never matches.
    """
    if_match = _header(request, "if-match")
    if if_match is not None and if_match != "*" and current not in [name.strip() for name in if_match.split(",")]:
        detail = f"If-Match does not name the present ETag {current}: read the resource again, then repeat the change."
        raise PreconditionError(detail, headers={"ETag": current})
    if_none_match = _header(request, "if-none-match")
    if if_none_match is not None and matches(if_none_match, current):
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
