"""Keyset pagination: opaque cursors that say where the next page starts, never an offset."""

import base64
import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import AppError

Item = TypeVar("Item")
_MAX_CURSOR: Final = 500
_LARGEST_INT: Final = 2**63 - 1
_NOT_OURS = "The cursor does not belong to this list. Take it from `next_cursor`, or leave it out to start over."

LimitQuery = Annotated[int, Query(ge=1, le=200, description="How many items a page holds at most.")]
CursorQuery = Annotated[
    str | None,
    Query(max_length=_MAX_CURSOR, description="Where to go on: `next_cursor` of the page before."),
]


class CursorError(AppError):
    """A cursor that this list did not give out."""

    status = HTTPStatus.BAD_REQUEST
    code = "cursor_invalid"
    title = "The cursor is not valid"


class Page(BaseModel, Generic[Item]):
    """One page of a list. There are no totals: counting a million rows costs more than any page."""

    model_config = ConfigDict(json_schema_extra={"description": "One page of a list."})

    items: list[Item]
    next_cursor: str | None = Field(description="Where the next page starts, for `cursor`; null on the last page.")


def encode_cursor(listing: str, key: Sequence[str | int]) -> str:
    """A cursor for the named listing that points behind the item with this key."""
    raw = json.dumps([listing, *key], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


Key = TypeVar("Key")


def decode_cursor(listing: str, cursor: str | None, parse: Callable[[list[str]], Key]) -> Key | None:
    """The key inside a cursor, read by `parse`; None without a cursor.

    Raises CursorError for anything that this listing did not give out.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, *key = json.loads(raw)
        known = name == listing and all(map(_storable, key))
        parsed = parse([str(part) for part in key]) if known else None
    except (ValueError, TypeError, LookupError, OverflowError, OSError, RecursionError) as error:
        raise CursorError(_NOT_OURS) from error
    if parsed is None:
        raise CursorError(_NOT_OURS)
    return parsed


def _storable(part: object) -> bool:
    """Whether Postgres can compare with it: text without NUL and lone surrogates, or a bigint."""
    if isinstance(part, str):
        return part.isprintable()
    return isinstance(part, int) and abs(part) <= _LARGEST_INT


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """The `Link` header to the next page; empty on the last one."""
    if cursor is None:
        return {}
    asked = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = urlencode([*((name, value) for name, value in asked if name != "cursor"), ("cursor", cursor)])
    return {"Link": f'<{quote(request.scope["path"], safe="/:")}?{query}>; rel="next"'}
