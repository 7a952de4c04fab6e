"""Values as a paper prints them: what the digits say, and how far rounding may have moved them."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

Unit = Literal["percent", "fraction"]
MAX_DECIMALS = 30


class PrintedValueError(ValueError):
    """A printed value that is no share: NaN, infinite, negative, above the whole, or not in plain digits."""


def scale_of(unit: Unit) -> int:
    """How many printed units make a whole: 100 for percent, 1 for a fraction. Raises PrintedValueError."""
    scales = {"percent": 100, "fraction": 1}
    if unit not in scales:
        msg = f"the unit is `percent` or `fraction`, not {unit!r}"
        raise PrintedValueError(msg)
    return scales[unit]


def decimals_of(reported: Decimal) -> int:
    """The number of digits printed after the point: 2 for 91.80. Raises PrintedValueError for NaN, infinity, 9E+1."""
    exponent = reported.as_tuple().exponent
    if not isinstance(exponent, int):
        msg = f"a reported value must be a number, not {reported}"
        raise PrintedValueError(msg)
    if not -MAX_DECIMALS <= exponent <= 0:
        msg = f"a reported value must be in plain digits with {MAX_DECIMALS} decimals at most, not {reported}"
        raise PrintedValueError(msg)
    return -exponent


def share_of(reported: Decimal, unit: Unit) -> Fraction:
    """The printed value as an exact share of 1. Raises PrintedValueError where it is not within [0, 1]."""
    decimals_of(reported)
    share = Fraction(reported) / scale_of(unit)
    if not 0 <= share <= 1:
        hint = "; a value above 1 can only be a percentage" if unit == "fraction" and share > 1 else ""
        msg = f"{reported} as a {unit} is not between nothing and the whole{hint}"
        raise PrintedValueError(msg)
    return share


@dataclass(frozen=True, slots=True)
class ReportedValue:
    """A claim's number: `value` is r in [0, 1]; `half_digit` is half of the last printed digit, in the same unit."""

    value: float
    half_digit: float

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1 or not 0 <= self.half_digit <= 1 / 2:
            msg = f"value must be in [0, 1] and half_digit in [0, 0.5], not {self.value} and {self.half_digit}"
            raise PrintedValueError(msg)

    @classmethod
    def from_printed(cls, reported: Decimal, unit: Unit) -> Self:
        """The value as printed, trailing zeros kept: 91.8 percent is 0.918 with a half digit of 0.0005.

        Raises PrintedValueError (a ValueError) for NaN, infinity, exponents, negatives, and values above the whole.
        """
        value = share_of(reported, unit)
        half = Fraction(1, 2 * scale_of(unit) * 10 ** decimals_of(reported))
        return cls(value=float(value), half_digit=float(half))
