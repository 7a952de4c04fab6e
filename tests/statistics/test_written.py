"""One notation of numbers, wherever they are shown."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.statistics.written import MINUS, NARROW, Notation, confidence, margin, points, short

UNITS = st.sampled_from(["percent", "fraction"])


@pytest.mark.parametrize(
    ("notation", "reported", "off", "expected"),
    [
        (Notation("percent", 1), 0.918, 0.0205, "89.75 to 93.85 %"),
        (Notation("percent", 2), 0.844, 0.01005, "83.395 to 85.405 %"),
        (Notation("percent", 0), 0.91, 0.015, "89.50 to 92.50 %"),
        (Notation("percent", 1), 0.91, 0.01255, "89.745 to 92.255 %"),
        (Notation("fraction", 3), 0.918, 0.0205, "0.8975 to 0.9385"),
        (Notation("fraction", 16), 0.8484971981660724, 0.01, "0.838497 to 0.858497"),
    ],
)
def test_a_margin_goes_as_far_to_both_sides(notation: Notation, reported: float, off: float, expected: str) -> None:
    assert notation.zone(reported, off).replace(NARROW, " ") == expected


@given(UNITS, st.integers(0, 18), st.floats(0.2, 0.8), st.floats(0.0001, 0.1))
def test_the_written_ends_are_as_far_from_the_middle_as_the_written_margin_says(
    unit: str, decimals: int, reported: float, off: float
) -> None:
    notation = Notation(unit, decimals)
    low, high = (Decimal(end) for end in notation.zone(reported, off).removesuffix(f"{NARROW}%").split(" to "))
    assert high - low == 2 * Decimal(notation.margin(off).removesuffix(" points"))
    assert abs((low + high) / 2 - Decimal(reported) * (100 if unit == "percent" else 1)) <= Decimal("0.005")


def test_a_measured_value_has_a_digit_more_than_the_claim_and_its_difference_as_many() -> None:
    notation = Notation("percent", 2)
    assert notation.share(0.846) == f"84.600{NARROW}%"
    assert notation.difference(-0.002) == f"{MINUS}0.200 points"
    assert notation.difference(0.0) == "0.000 points"
    assert notation.span((0.8, 0.9)) == f"80.000 to 90.000{NARROW}%"
    assert notation.printed(84.4) == f"84.40{NARROW}%"
    assert Notation("fraction", 2).difference(0.01) == "+0.0100"


def test_points_and_margins_have_as_many_digits_as_they_have() -> None:
    assert [margin(value) for value in (0.02, 0.0105, 0.01005, 0.010005)] == [
        "2.00 points",
        "1.05 points",
        "1.005 points",
        "1.0005 points",
    ]
    assert (points(0.0046), points(-0.0046), points(0.00001)) == ("+0.46", f"{MINUS}0.46", "0.00")
    assert [confidence(value) for value in (1, 0.85, 0.8458)] == ["1.00", "0.85", "0.8458"]
    assert (short("0.8484971981660724"), short(f"84.40{NARROW}%")) == ("0.848497", f"84.40{NARROW}%")
