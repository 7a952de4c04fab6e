"""How numbers are written for readers: one notation for pages, terminal and attestations.

A claim's numbers stand in the paper's own unit; what was measured has a digit more than what is reported, and what is
held against each other has the same digits.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

NARROW: Final = "\u202f"
MINUS: Final = "\u2212"
_PERCENT: Final = "percent"
_LONG: Final = 6


class Stated(Protocol):
    """A claim's number, as far as its digits and its unit go."""

    @property
    def reported_value(self) -> float | Decimal:
        """In the paper's unit."""

    @property
    def decimals(self) -> int:
        """As many as are printed."""

    @property
    def unit(self) -> str:
        """`percent` or `fraction`."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How the numbers of one claim are written: its unit, and its decimals as it is printed."""

    unit: str = _PERCENT
    decimals: int = 1

    @classmethod
    def of(cls, claim: Stated) -> "Notation":
        """Of a claim."""
        return cls(claim.unit, claim.decimals)

    @property
    def digits(self) -> int:
        """Of a measured value, as `share` takes them."""
        return digits(self.decimals, self.unit)

    def printed(self, value: float | Decimal | str) -> str:
        """The claim's own number, rounded where it has more than six decimals."""
        return short(printed_value(str(value), self.decimals, self.unit))

    def share(self, value: float) -> str:
        """A measured share of 1."""
        return share(value, self.unit, self.digits)

    def span(self, interval: tuple[float, float]) -> str:
        """Two shares of 1."""
        return span(*interval, self.unit, self.digits)

    def difference(self, value: float) -> str:
        """Of two shares of 1."""
        return difference(value, self.unit, self.digits)

    def margin(self, value: float) -> str:
        """How far off a value may be."""
        return margin(value, self.unit)

    def zone(self, reported: float, off: float) -> str:
        """From where to where the margin `off` around the reported value goes, both ends equally far from it."""
        text = margin(off, self.unit).partition(" ")[0]
        scale, extra = (100, 0) if self.unit == _PERCENT else (1, 2)
        kept = max(self.digits, len(text.partition(".")[2]) - extra)
        middle = Decimal(f"{reported * scale:.{kept + extra}f}")
        low, high = (float(middle + sign * Decimal(text)) / scale for sign in (-1, 1))
        return span(low, high, self.unit, kept)


def printed(claim: Stated) -> str:
    """The reported value with the digits of the paper: `91.8 %`, `91.80 %`, `0.918`."""
    return printed_value(str(claim.reported_value), claim.decimals, claim.unit)


def printed_value(value: str, decimals: int, unit: str) -> str:
    """A value of the paper's unit with so many decimals."""
    return f"{Decimal(value):.{decimals}f}" + (f"{NARROW}%" if unit == _PERCENT else "")


def share(value: float, unit: str = _PERCENT, digits: int = 2) -> str:
    """A share of 1 in the unit of a claim: `91.34 %`, or `0.9134`, which has two digits more."""
    text = f"{value * 100:.{digits}f}{NARROW}%" if unit == _PERCENT else f"{value:.{digits + 2}f}"
    return text.replace("-", MINUS)


def span(low: float, high: float, unit: str = _PERCENT, digits: int = 2) -> str:
    """An interval: `90.21 to 92.38 %`."""
    return f"{share(low, unit, digits).removesuffix(NARROW + '%')} to {share(high, unit, digits)}"


def points(value: float, digits: int = 2) -> str:
    """A difference of shares in percentage points, with its sign: `+0.46`, `0.00`, a real minus."""
    return _signed(value * 100, digits)


def difference(value: float, unit: str = _PERCENT, digits: int = 2) -> str:
    """A difference in the unit of a claim, with its sign: `+0.46 points`, or `+0.0046`."""
    return points(value, digits) + " points" if unit == _PERCENT else _signed(value, digits + 2)


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):.{digits}f}"
    return text if not text.strip("0.") else (MINUS if value < 0 else "+") + text


def margin(value: float, unit: str = _PERCENT) -> str:
    """A margin in the unit of a claim, with as many digits as it has, two at least: `2.05 points`, or `0.0205`."""
    scaled, least = (value * 100, 2) if unit == _PERCENT else (value, 4)
    whole_part, _, decimals = f"{scaled:.{least + 2}f}".partition(".")
    text = f"{whole_part}.{decimals.rstrip('0'):0<{least}}"
    return text + " points" if unit == _PERCENT else text


def confidence(value: float) -> str:
    """As it is stored, two decimals at least: `0.85`, `1.00`, `0.8458`."""
    whole_part, _, decimals = f"{value:.4f}".partition(".")
    return f"{whole_part}.{decimals.rstrip('0'):0<2}"


def whole(value: int) -> str:
    """A count: `9,815`."""
    return f"{value:,}"


def digits_of(claim: Stated) -> int:
    """`digits` of a claim."""
    return digits(claim.decimals, claim.unit)


def digits(decimals: int, unit: str) -> int:
    """Decimals of a measured value, as a percentage: one more than the claim has, two at least and four at most."""
    return min(4, max(2, (decimals if unit == _PERCENT else decimals - 2) + 1))


def short(text: str) -> str:
    """A printed number that a table has room for: rounded where it has more than six decimals."""
    number, blank, sign = text.partition(NARROW)
    if len(number.partition(".")[2]) <= _LONG:
        return text
    return f"{Decimal(number):.{_LONG}f}{blank}{sign}"
