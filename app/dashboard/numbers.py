"""How numbers, shares and moments are written: the paper's unit, real minus signs, digits that line up."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

from app.claims.schemas import ClaimRead
from app.core.clock import isoformat

NARROW: Final = "\u202f"
MINUS: Final = "\u2212"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_LONG: Final = 6
Unit = Literal["percent", "fraction"]


def printed(claim: ClaimRead) -> str:
    """The reported value with the digits of the paper: `91.8 %`, `91.80 %`, `0.918`."""
    return printed_value(repr(claim.reported_value), claim.decimals, claim.unit)


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


def margin(value: float) -> str:
    """A margin in points, with as many digits as it has, two at least: `2.05`."""
    text = f"{value * 100:.4f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


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


def short(text: str) -> str:
    """A printed number that a table has room for: no more than six decimals, cut off with `…`."""
    whole_part, dot, decimals = text.partition(".")
    digits = decimals.rstrip(f"{NARROW}%")
    if len(digits) <= _LONG:
        return text
    return f"{whole_part}{dot}{digits[:_LONG]}…{decimals[len(digits) :]}"
