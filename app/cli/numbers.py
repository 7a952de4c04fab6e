"""Shares and what lies between them, in a terminal: all in percent, so that one can be held against the other."""

from typing import Final

_DIGITS: Final = 2


def share(value: float) -> str:
    """A share of 1 in percent: `91.34 %`."""
    return f"{100 * value:.{_DIGITS}f} %"


def span(interval: tuple[float, float]) -> str:
    """Two shares of 1 in percent: `90.41 % to 92.69 %`."""
    return f"{share(interval[0])} to {share(interval[1])}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with as many digits as it has, two at least: `1.05 points`."""
    text = f"{100 * difference:.4f}".rstrip("0")
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits:0<{_DIGITS}} points"


def reported(value: float) -> str:
    """A reported value in percent, and as the paper prints it, where that is something else."""
    return as_printed(value) if value > 1 else f"{share(value)}, printed as {value!r}"


def as_printed(value: float) -> str:
    """A reported value as the paper prints it. What is above 1 can only be a percentage."""
    return f"{value!r} %" if value > 1 else repr(value)
