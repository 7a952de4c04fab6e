"""Time as the service tells it: UTC, to the millisecond."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_DATE_FIRST: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def to_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, cut to whole milliseconds. Raises ValueError where that is before year 1 or after 9999."""
    if moment.tzinfo is UTC and not moment.microsecond % 1000:
        return moment  # what the database holds: a page has a hundred of them
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as error:  # pydantic takes only a ValueError for a bad field
        msg = "the moment in UTC lies outside the years 1 to 9999"
        raise ValueError(msg) from error
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def now() -> datetime:
    """Now, in UTC, to the millisecond."""
    return to_milliseconds(datetime.now(UTC))


def isoformat(moment: datetime) -> str:
    """E.g. `2026-05-14T23:56:01.683Z`."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _no_number(value: Any) -> Any:  # noqa: ANN401  # whatever JSON brought
    """Refuse seconds since 1970, as a number or as text: pydantic takes them, and the documented format does not."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE_FIRST.match(value.lstrip())):
        return value
    raise PydanticCustomError("datetime_type", "it has to be a moment like 2026-05-14T23:56:01Z, as text")


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_no_number),
    AfterValidator(to_milliseconds),
    PlainSerializer(isoformat, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),  # what is written is a moment, too, and no mere text
]
"""A moment in a schema: read with any offset, written as UTC with milliseconds and `Z`."""
