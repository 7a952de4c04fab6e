"""A reported and a measured number in one row of a list."""

from dataclasses import dataclass
from typing import Final, Self

from markupsafe import Markup

from app.dashboard import numbers
from app.dashboard.charts import Measured, Mini
from app.dashboard.detail import measured_text, reported_share
from app.dashboard.drawings import mini
from app.verdicts.lines import ClaimLine

_NO_CHART: Final = Markup()


@dataclass(frozen=True, slots=True)
class Compared:
    """The two as they are written, empty where there is none, and the difference in margins as a chart."""

    reported: str = ""
    measured: str = ""
    chart: Markup = _NO_CHART

    @classmethod
    def of(cls, line: ClaimLine | None) -> Self:
        """Of a claim and what stands for it."""
        if line is None:
            return cls()
        reported, verdict = numbers.short(numbers.printed(line)), line.verdict
        if verdict is None:
            return cls(reported)
        one = Measured.of(reported_share(line), verdict.score, verdict.decision)
        return cls(reported, measured_text(one.measured, line), _chart(one, numbers.Notation.of(line)))


def _chart(one: Measured, notation: numbers.Notation) -> Markup:
    small = Mini.of(one)
    if small is None or one.margin is None:
        return _NO_CHART
    difference, margin = notation.difference(one.measured - one.reported), notation.margin(one.margin)
    return mini(small, f"measured minus reported: {difference}; the margin is {margin}")
