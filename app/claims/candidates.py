"""What a file says of a claim, before anybody has looked whether it can be."""

from dataclasses import dataclass
from typing import Any, NoReturn

from app.claims.errors import ClaimsFileError
from app.core.errors import FieldError


@dataclass(frozen=True, slots=True)
class Candidate:
    """One claim of a file: where it stands there, and its fields as ClaimPost takes them."""

    place: str
    fields: dict[str, Any]


def refuse_file(detail: str, errors: tuple[FieldError, ...] = ()) -> NoReturn:
    """Refuse the file as a whole. Raises ClaimsFileError."""
    raise ClaimsFileError(detail, errors=errors or (FieldError(field="body", detail=detail, code="file_unreadable"),))
