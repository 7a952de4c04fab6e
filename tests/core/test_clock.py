import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.core.clock import Instant, isoformat, now, to_milliseconds

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
WRITTEN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def test_microseconds_are_cut_not_rounded() -> None:
    assert isoformat(datetime(2026, 5, 14, 23, 56, 1, 683_999, UTC)) == "2026-05-14T23:56:01.683Z"
    assert to_milliseconds(datetime(2026, 1, 1, 0, 0, 0, 999_999, UTC)).microsecond == 999_000


def test_any_offset_is_read_and_utc_is_written() -> None:
    read = INSTANT.validate_python("2026-05-15T01:56:01.683+02:00")
    assert INSTANT.dump_json(read) == b'"2026-05-14T23:56:01.683Z"'


def test_early_years_keep_their_four_digits() -> None:
    assert isoformat(datetime(987, 6, 5, tzinfo=UTC)) == "0987-06-05T00:00:00.000Z"


def test_now_is_in_utc_and_has_no_more_than_milliseconds() -> None:
    moment = now()
    assert moment.tzinfo is UTC
    assert moment.microsecond % 1000 == 0
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=5)


@given(st.datetimes(timezones=OFFSETS))
def test_whatever_is_read_is_written_in_one_form_and_read_again_as_the_same(moment: datetime) -> None:
    try:
        read = INSTANT.validate_python(moment)
    except ValidationError:
        assert moment.year in {1, 9999}  # only its UTC can lie outside the calendar
        return
    written = INSTANT.dump_json(read).decode().strip('"')
    assert WRITTEN.fullmatch(written)
    assert INSTANT.validate_python(written) == read
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_moment_outside_the_calendar_is_a_bad_field(text: str) -> None:
    with pytest.raises(ValidationError, match="outside the years 1 to 9999"):
        INSTANT.validate_python(text)


@pytest.mark.parametrize("value", ["2026-05-14T23:56:01.683", "today", "", True, float("nan"), float("inf"), 10**30])
def test_what_is_no_moment_with_an_offset_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(value)
