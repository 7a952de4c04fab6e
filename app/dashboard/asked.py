"""What pages may be asked: the API's own parameters, as a form sends them, with empty fields for those left out."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BeforeValidator, StringConstraints

from app.models import VerdictKind
from app.papers.schemas import NO_NUL
from app.protocol.status import VerdictStatus

PAGE: Final = 25


def _or_none(value: Any) -> Any:  # noqa: ANN401  # whatever the address brought
    return value.strip() or None if isinstance(value, str) else value


_EMPTY: Final = BeforeValidator(_or_none)
_Short = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
_Long = Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)]
Words = Annotated[_Short | None, _EMPTY, Query()]
LongWords = Annotated[_Long | None, _EMPTY, Query()]
StatusField = Annotated[VerdictStatus | None, _EMPTY, Query()]
KindField = Annotated[VerdictKind | None, _EMPTY, Query()]


def further(request: Request, cursor: str | None, name: str = "cursor") -> str | None:
    """The address of the next page: this one's, with another cursor. None on the last page."""
    if cursor is None:
        return None
    asked = [(key, value) for key, value in request.query_params.multi_items() if key != name and value]
    return "?" + urlencode([*asked, (name, cursor)])


def without_cursor(request: Request, *names: str) -> str:
    """The address of the first page."""
    asked = [
        (key, value) for key, value in request.query_params.multi_items() if key not in (names or ("cursor",)) and value
    ]
    return "?" + urlencode(asked) if asked else "?"
