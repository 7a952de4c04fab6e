"""A printed value and the rounding it allows."""

from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.statistics.printed import PrintedValueError, ReportedValue, Unit


@pytest.mark.parametrize(
    ("printed", "unit", "value", "half_digit"),
    [
        ("91.8", "percent", 0.918, 0.0005),
        ("91.80", "percent", 0.918, 0.00005),
        ("92", "percent", 0.92, 0.005),
        ("0.918", "fraction", 0.918, 0.0005),
        ("0.9", "percent", 0.009, 0.0005),
        ("1", "fraction", 1.0, 0.5),
        ("100", "percent", 1.0, 0.005),
        ("0", "percent", 0.0, 0.005),
    ],
)
def test_value_and_half_digit(printed: str, unit: Unit, value: float, half_digit: float) -> None:
    assert ReportedValue.from_printed(Decimal(printed), unit) == ReportedValue(value, half_digit)


@pytest.mark.parametrize(
    ("printed", "unit"),
    [
        ("91.8", "fraction"),
        ("1.01", "fraction"),
        ("100.1", "percent"),
        ("-0.1", "percent"),
        ("NaN", "percent"),
        ("sNaN", "percent"),
        ("Infinity", "percent"),
        ("-Infinity", "fraction"),
        ("9E+1", "percent"),
        ("0." + "1" * 31, "fraction"),
        ("0.5", "share"),
    ],
)
def test_what_is_no_share_is_refused(printed: str, unit: str) -> None:
    with pytest.raises(PrintedValueError):
        ReportedValue.from_printed(Decimal(printed), cast("Unit", unit))


def test_a_value_above_one_says_that_it_can_only_be_a_percentage() -> None:
    with pytest.raises(PrintedValueError, match="can only be a percentage"):
        ReportedValue.from_printed(Decimal("91.8"), "fraction")


@pytest.mark.parametrize(
    ("value", "half"), [(float("nan"), 0.0), (1.1, 0.0), (-0.1, 0.0), (0.5, float("nan")), (0.5, 1)]
)
def test_a_reported_value_outside_its_range_is_refused(value: float, half: float) -> None:
    with pytest.raises(PrintedValueError):
        ReportedValue(value, half)


@given(st.integers(0, 10_000))
@settings(deadline=None, derandomize=True)
def test_a_percentage_and_its_fraction_are_the_same_claim(hundredths: int) -> None:
    percent, fraction = Decimal(hundredths).scaleb(-2), Decimal(hundredths).scaleb(-4)
    assert ReportedValue.from_printed(percent, "percent") == ReportedValue.from_printed(fraction, "fraction")
