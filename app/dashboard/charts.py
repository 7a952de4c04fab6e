"""Where things stand on an axis. Positions are percentages of its width, so that a chart fits any screen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Final, Self

from app.dashboard import numbers

_ROOM: Final = 0.12
"""Of the drawn range, left free at each side."""
_NARROWEST: Final = 0.002
"""A range of no width at all would have no scale."""
_TICKS: Final = 5
_EDGE: Final = 18.0
_MARGINS_SHOWN: Final = 3.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> Self:
        """An axis on which all of these have room."""
        known = list(values)
        low, high = min(known), max(known)
        width = max(high - low, _NARROWEST)
        middle = (low + high) / 2
        return cls(middle - width * (0.5 + _ROOM), middle + width * (0.5 + _ROOM))

    def at(self, value: float) -> float:
        """Where the value is, in percent of the width; what lies off the axis stands at its end."""
        part = (value - self.low) / (self.high - self.low)
        return round(min(max(part, 0.0), 1.0) * 100, 3)

    @property
    def ticks(self) -> list[float]:
        """Round numbers along it."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** floor(log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first, last = ceil(self.low / step), floor(self.high / step)
        return [index * step for index in range(first, last + 1)]

    def digits(self) -> int:
        """How many decimals tell its ticks apart, as percentages."""
        rough = (self.high - self.low) / _TICKS * 100
        return max(0, -floor(log10(rough)))


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of an axis."""

    x: float
    width: float

    @classmethod
    def on(cls, scale: Scale, low: float, high: float) -> Self:
        """From `low` to `high`."""
        start, end = scale.at(low), scale.at(high)
        return cls(start, round(end - start, 3))

    @property
    def end(self) -> float:
        """Where it ends."""
        return round(self.x + self.width, 3)


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a position, anchored so that it stays on the chart."""

    x: float
    text: str

    @property
    def anchor(self) -> str:
        """SVG's word for it."""
        if self.x < _EDGE:
            return "start"
        return "end" if self.x > 100 - _EDGE else "middle"


@dataclass(frozen=True, slots=True)
class Measured:
    """A reported and a measured value with what is known of both; shares of 1."""

    reported: float
    measured: float
    margin: float | None
    interval_90: tuple[float, float] | None
    interval_95: tuple[float, float] | None

    @classmethod
    def of(cls, reported: float, score: float, estimate: dict[str, Any] | None) -> Self:
        """From a verdict's document. An imported verdict has neither margin nor interval."""
        if not estimate:
            return cls(reported, score, None, None, None)
        low_90, high_90 = estimate["interval_90"]
        low_95, high_95 = estimate["interval_95"]
        return cls(estimate["reported"], estimate["estimate"], estimate["margin"], (low_90, high_90), (low_95, high_95))

    @property
    def extent(self) -> list[float]:
        """Everything that has to be on the axis."""
        edges = [self.reported, self.measured, *(self.interval_95 or ())]
        return [*edges, self.reported - self.margin, self.reported + self.margin] if self.margin else edges

    @property
    def in_margins(self) -> float | None:
        """How far the measured value is from the reported one, in margins."""
        return (self.measured - self.reported) / self.margin if self.margin else None


@dataclass(frozen=True, slots=True)
class Axis:
    """Reported against measured on one axis."""

    zone: Band | None
    wide: Band | None
    narrow: Band | None
    reported: Label
    measured: Label
    ticks: Sequence[Label]

    @classmethod
    def of(cls, one: Measured, reported: str, measured: str, unit: str) -> Self:
        """The chart by itself, with the two values as they are written."""
        scale = Scale.over(one.extent)
        return cls.on(scale, one, reported, measured, cls.ticks_on(scale, unit))

    @classmethod
    def on(
        cls, scale: Scale, one: Measured, reported: str = "", measured: str = "", ticks: Sequence[Label] = ()
    ) -> Self:
        """The same on an axis that others share."""
        return cls(
            zone=Band.on(scale, one.reported - one.margin, one.reported + one.margin) if one.margin else None,
            wide=Band.on(scale, *one.interval_95) if one.interval_95 else None,
            narrow=Band.on(scale, *one.interval_90) if one.interval_90 else None,
            reported=Label(scale.at(one.reported), reported),
            measured=Label(scale.at(one.measured), measured),
            ticks=ticks,
        )

    @staticmethod
    def ticks_on(scale: Scale, unit: str) -> list[Label]:
        """Where the round numbers stand."""
        digits = scale.digits()
        return [Label(scale.at(tick), _tick(tick, unit, digits)) for tick in scale.ticks]


def _tick(value: float, unit: str, digits: int) -> str:
    return numbers.share(value, unit, digits).rstrip("%" + numbers.NARROW)


@dataclass(frozen=True, slots=True)
class Mini:
    """Measured minus reported in units of the margin, from -3 to 3: comparable from row to row of a list."""

    zone: Band
    interval: Band
    x: float
    off: str
    """`low` or `high` where the value lies beyond the chart."""

    @classmethod
    def of(cls, one: Measured) -> Self | None:
        """None where there is no margin to measure in."""
        if one.margin is None or one.interval_95 is None or one.in_margins is None:
            return None
        scale = Scale(-_MARGINS_SHOWN, _MARGINS_SHOWN)
        low, high = ((edge - one.reported) / one.margin for edge in one.interval_95)
        beyond = "high" if one.in_margins > _MARGINS_SHOWN else "low" if one.in_margins < -_MARGINS_SHOWN else ""
        return cls(Band.on(scale, -1, 1), Band.on(scale, low, high), scale.at(one.in_margins), beyond)
