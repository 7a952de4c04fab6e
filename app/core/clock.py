"""Time as the service tells it: UTC, to the millisecond."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, PlainSerializer


def to_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, cut to whole milliseconds. Raises ValueError where that is before year 1 or after 9999."""
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
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Instant = Annotated[
    AwareDatetime,
    AfterValidator(to_milliseconds),
    PlainSerializer(isoformat, return_type=str, when_used="json"),
]
"""A moment in a schema: read with any offset, written as UTC with milliseconds and `Z`."""
