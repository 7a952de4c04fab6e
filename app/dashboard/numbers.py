"""How numbers, shares and moments are written: the paper's unit, real minus signs, digits that line up."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, Protocol

from app.core.clock import isoformat

NARROW: Final = "\u202f"
MINUS: Final = "\u2212"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_LONG: Final = 6
Unit = Literal["percent", "fraction"]


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


def printed(claim: Stated) -> str:
    """The reported value with the digits of the paper: `91.8 %`, `91.80 %`, `0.918`."""
    return printed_value(str(claim.reported_value), claim.decimals, claim.unit)


def printed_value(value: str, decimals: int, unit: str) -> str:
    """A value of the paper's unit with so many decimals."""
    return f"{Decimal(value):.{decimals}f}" + (f"{NARROW}%" if unit == "percent" else "")


def share(value: float, unit: str = "percent", digits: int = 2) -> str:
    """A share of 1 in the unit of a claim: `91.34 %`, or `0.9134`, which has two digits more."""
    text = f"{value * 100:.{digits}f}{NARROW}%" if unit == "percent" else f"{value:.{digits + 2}f}"
    return text.replace("-", MINUS)


def span(low: float, high: float, unit: str = "percent", digits: int = 2) -> str:
    """An interval: `90.21 to 92.38 %`."""
    return f"{share(low, unit, digits).removesuffix(NARROW + '%')} to {share(high, unit, digits)}"


def points(value: float, digits: int = 2) -> str:
    """A difference of shares in percentage points, with its sign: `+0.46`, `0.00`, a real minus."""
    text = f"{abs(value) * 100:.{digits}f}"
    if not text.strip("0."):
        return text
    return (MINUS if value < 0 else "+") + text


def difference(value: float, unit: str = "percent", digits: int = 2) -> str:
    """A difference in the unit of a claim, with its sign: `+0.46 points`, or `+0.0046`."""
    if unit == "percent":
        return points(value, digits) + " points"
    text = f"{abs(value):.{digits + 2}f}"
    return text if not text.strip("0.") else (MINUS if value < 0 else "+") + text


def margin(value: float, unit: str = "percent") -> str:
    """A margin in the unit of a claim, with as many digits as it has, two at least: `2.05 points`, or `0.0205`."""
    scaled, least = (value * 100, 2) if unit == "percent" else (value, 4)
    whole_part, _, decimals = f"{scaled:.{least + 2}f}".partition(".")
    text = f"{whole_part}.{decimals.rstrip('0'):0<{least}}"
    return text + " points" if unit == "percent" else text


def confidence(value: float) -> str:
    """As it is stored, two decimals at least: `0.85`, `1.00`, `0.8458`."""
    whole_part, _, decimals = f"{value:.4f}".partition(".")
    return f"{whole_part}.{decimals.rstrip('0'):0<2}"


def whole(value: int) -> str:
    """A count: `9,815`."""
    return f"{value:,}"


def probability(value: float) -> str:
    """A p-value: `0.034`, `< 0.0001`."""
    return f"<{NARROW}0.0001" if value < 0.0001 else f"{value:.4f}"  # noqa: PLR2004  # four digits are shown


def moment(at: datetime) -> str:
    """To the minute: `2026-05-14 23:56 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(at: datetime) -> str:
    """`2026-05-14`."""
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def machine(at: datetime) -> str:
    """As `<time>` takes it."""
    return isoformat(at)


def duration(seconds: float) -> str:
    """`48 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    left = max(0, round(seconds))
    if left < _MINUTE:
        return f"{left}{NARROW}s"
    if left < _HOUR:
        return f"{left // _MINUTE}{NARROW}min {left % _MINUTE:02}{NARROW}s"
    if left < _DAY:
        return f"{left // _HOUR}{NARROW}h {left % _HOUR // _MINUTE:02}{NARROW}min"
    return f"{left // _DAY}{NARROW}d {left % _DAY // _HOUR}{NARROW}h"


def rate(per_second: float) -> str:
    """Examples a second, three digits: `12.3`, `1,240`."""
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"  # noqa: PLR2004  # three digits


def digits_of(claim: Stated) -> int:
    """`digits` of a claim."""
    return digits(claim.decimals, claim.unit)


def digits(decimals: int, unit: str) -> int:
    """Decimals of a measured value, as a percentage: one more than the claim has, two at least and four at most."""
    return min(4, max(2, (decimals if unit == "percent" else decimals - 2) + 1))


def short(text: str) -> str:
    """A printed number that a table has room for: rounded where it has more than six decimals."""
    number, blank, sign = text.partition(NARROW)
    if len(number.partition(".")[2]) <= _LONG:
        return text
    return f"{Decimal(number):.{_LONG}f}{blank}{sign}"
