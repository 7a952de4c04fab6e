"""What is wrong with a field of a request, in words that say how to mend it."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.core.wrong_values import said_of

_BODY: Final = "body"
_LONGEST_NAME: Final = 100
_NO_BODY: Final = "The request has no body, or the JSON null; send a JSON object."


def place_in_json(error: RequestValidationError) -> str | None:
    """Where the body stops being JSON, and why; None where it is JSON."""
    first = error.errors()[0]
    if first["type"] != "json_invalid" or not isinstance(error.body, str):
        return None
    before = error.body[: first["loc"][1]]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f"line {line}, column {column}: {first['ctx']['error']}"


def mending(item: Mapping[str, Any], model: object) -> str:
    """What to say of one of pydantic's errors. `model` is what the request's body is read as, if anything."""
    location: Sequence[str | int] = item["loc"]
    in_body = location[1:] if location[0] == _BODY else None
    if item["type"] == "missing" and in_body == ():
        return _NO_BODY
    if item["type"] == "extra_forbidden" and in_body:
        return _unknown(str(in_body[-1]), _fields_at(model, in_body[:-1]))
    said = said_of(item)
    field = _fields_at(model, in_body[:-1]).get(str(in_body[-1])) if in_body else None
    return f"{said} {field.description}" if field is not None and field.description else said


def _unknown(name: str, known: Mapping[str, FieldInfo]) -> str:
    close = get_close_matches(name[:_LONGEST_NAME], known, n=1)
    if close:
        return f"There is no field of this name; {close[0]} is meant, perhaps."
    return f"There is no field of this name; leave it out. There are: {', '.join(known)}." if known else "Leave it out."


def _fields_at(model: object, location: Sequence[str | int]) -> dict[str, FieldInfo]:
    """The fields that an object at this place of the body may have, as far as its types tell."""
    models = list(_models_in(model))
    for name in (part for part in location if isinstance(part, str)):
        inner = [field.annotation for one in models if (field := one.model_fields.get(name)) is not None]
        models = [found for annotation in inner for found in _models_in(annotation)]
    return {name: field for one in models for name, field in one.model_fields.items()}


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
