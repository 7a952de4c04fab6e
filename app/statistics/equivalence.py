"""Two one-sided tests, told by intervals: inside the margin, outside it, or neither."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from typing import Final

from app.statistics.intervals import Interval
from app.statistics.printed import ReportedValue

EDGE: Final = 1e-12
"""A value this close to the margin's edge lies on it, and the edge belongs to the inside: r - d in floating point is
no more exact than that."""


NOISE_DECIMALS: Final = 12
"""0.02 + 0.0005 is 0.0205: the margin is published, so floating-point noise is rounded off it."""


def allowance(reported: ReportedValue, delta: float) -> float:
    """The margin that is used, d: delta plus half of the claim's last printed digit."""
    return round(delta + reported.half_digit, NOISE_DECIMALS)


class Position(StrEnum):
    """Where the evidence puts the value."""

    inside = "inside"
    below = "below"
    above = "above"
    undecided = "undecided"


@dataclass(frozen=True, slots=True)
class Zone:
    """The claim with its margin: the closed [low, high] = [r - d, r + d], shares of 1, not cut at 0 and 1."""

    low: float
    high: float

    @classmethod
    def around(cls, value: float, margin: float) -> "Zone":
        """[value - margin, value + margin]."""
        return cls(value - margin, value + margin)

    @classmethod
    def of_claim(cls, reported: ReportedValue, delta: float) -> "Zone":
        """[r - d, r + d] with d = delta plus half of the claim's last printed digit."""
        return cls.around(reported.value, allowance(reported, delta))

    def holds(self, interval: Interval) -> bool:
        """Whether the interval lies inside, edges included."""
        return interval.low >= self.low - EDGE and interval.high <= self.high + EDGE

    def counts(self, total: int) -> tuple[int, int]:
        """The smallest and largest K with K / total inside; may lie outside 0..total, or cross where none is inside."""
        return ceil(total * (self.low - EDGE)), floor(total * (self.high + EDGE))


def judge(interval_90: Interval, interval_95: Interval, zone: Zone) -> Position:
    """Inside: the 90 % interval lies in the zone. Below, above: the 95 % interval lies wholly outside. Else undecided.

    The first is two one-sided tests at 5 % each. Source: Schuirmann 1987, J. Pharmacokin. Biopharm. 15:657.
    """
    if zone.holds(interval_90):
        return Position.inside
    if interval_95.high < zone.low - EDGE:
        return Position.below
    if interval_95.low > zone.high + EDGE:
        return Position.above
    return Position.undecided
