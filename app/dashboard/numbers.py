"""How numbers, shares and moments are written on pages: as everywhere (app.statistics.written), and moments besides."""

from datetime import UTC, datetime
from typing import Final

from app.core.clock import isoformat
from app.statistics.written import (
    MINUS,
    NARROW,
    Notation,
    Stated,
    confidence,
    difference,
    digits,
    digits_of,
    margin,
    points,
    printed,
    printed_value,
    share,
    short,
    span,
    whole,
)

__all__ = [
    "MINUS",
    "NARROW",
    "Notation",
    "Stated",
    "confidence",
    "difference",
    "digits",
    "digits_of",
    "margin",
    "points",
    "printed",
    "printed_value",
    "share",
    "short",
    "span",
    "whole",
]
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


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
