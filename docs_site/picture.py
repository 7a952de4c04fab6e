"""The picture of the decision rule: three measurements of one claim, drawn from what the rule itself decides."""

from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Final

from app.protocol.axes import ProtocolMatch
from app.protocol.driver import Estimand
from app.statistics.counts import Stratum
from app.verdicts.decide import Decision, Measurement, ReportedValue, decide

SPLIT: Final = 9815
"""MNLI validation matched."""
CASES: Final = ((4565, 4998), (184, 200), (1680, 2000))
"""Correct items and measured items of a simple slice."""
MARGIN: Final = 0.02
_LOW, _HIGH, _LEFT, _WIDTH, _ROW, _TOP = 0.82, 0.97, 20.0, 420.0, 58.0, 78.0


_ROOT: Final = 'aria-labelledby="title" font-family="sans-serif" font-size="13"'
_STYLE: Final = (
    "<style>text{fill:#222}.axis{stroke:#888}.zone{fill:#dcebf3}.claim{stroke:#222}"
    ".i90{stroke:#00557c;stroke-width:9}.i95{stroke:#00557c;stroke-width:2}.dot{fill:#fff;stroke:#00557c}"
    "@media (prefers-color-scheme:dark){text{fill:#e7e5e0}.zone{fill:#1c3442}.claim{stroke:#e7e5e0}"
    ".i90,.i95,.dot{stroke:#7cc7ee}.dot{fill:#14161a}}</style>"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A measurement and what the rule says of it."""

    correct: int
    n: int
    decision: Decision


def cases() -> list[Case]:
    """The measurements of the picture, decided."""
    claim = ReportedValue.from_printed(Decimal("91.8"), "percent")
    return [
        Case(
            correct,
            n,
            decide(
                claim,
                Measurement((Stratum(n, correct, SPLIT),), SPLIT),
                estimand=Estimand.finite_population,
                margin=MARGIN,
                match=ProtocolMatch.proxy,
            ),
        )
        for correct, n in CASES
    ]


def decision_picture() -> str:
    """An SVG with its own colours for light and dark, and its words as text."""
    rows = cases()
    first = rows[0].decision
    low, high = first.reported - first.margin, first.reported + first.margin
    bottom = _TOP + _ROW * len(rows)
    x = f"{_x(first.reported):.1f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 {bottom + 62:.0f}" role="img" {_ROOT}>',
        f'<title id="title">{escape(_words(rows))}</title>',
        _STYLE,
        f'<rect class="zone" x="{_x(low):.1f}" y="40" width="{_x(high) - _x(low):.1f}" height="{bottom - 40:.1f}"/>',
        f'<line class="claim" x1="{x}" x2="{x}" y1="40" y2="{bottom:.1f}" stroke-dasharray="4 3"/>',
        f'<text x="{x}" y="20" text-anchor="middle">reported 91.8 %</text>',
        f'<text x="{x}" y="35" text-anchor="middle" font-size="11">margin ± {first.margin * 100:.2f} points</text>',
        *(part for number, row in enumerate(rows) for part in _row(row, _TOP + _ROW * number)),
        *_axis(bottom),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(case: Case, y: float) -> list[str]:
    decision = case.decision
    status = decision.status.value.replace("_", " ")
    counts = f"{case.correct:,} of {case.n:,} correct"
    return [
        f'<text x="{_LEFT}" y="{y - 13:.1f}"><tspan font-weight="bold">{status}</tspan>: {counts}</text>',
        _bar("i95", decision.interval_95, y),
        _bar("i90", decision.interval_90, y),
        f'<circle class="dot" cx="{_x(decision.estimate):.1f}" cy="{y:.1f}" r="4"/>',
    ]


def _bar(kind: str, interval: tuple[float, float], y: float) -> str:
    low, high = interval
    return f'<line class="{kind}" x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _axis(y: float) -> list[str]:
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}"/>']
    for percent in range(82, 98, 3):
        x = _x(percent / 100)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 5}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 19}" text-anchor="middle" font-size="11">{percent} %</text>')
    legend = (
        "circle: estimate · thick: 90 % interval · thin: 95 % interval",
        "shaded: the margin around the reported value",
    )
    parts += [f'<text x="{_LEFT}" y="{y + 39 + 16 * i}" font-size="12">{one}</text>' for i, one in enumerate(legend)]
    return parts


def _words(rows: list[Case]) -> str:
    told = [
        f"{one.correct} of {one.n}: {one.decision.status.value.replace('_', ' ')}, 90 % interval "
        f"{one.decision.interval_90[0]:.4f} to {one.decision.interval_90[1]:.4f}"
        for one in rows
    ]
    return "Three measurements of a claim of 91.8 % with a margin of 2 points. " + "; ".join(told)


def _x(share: float) -> float:
    return _LEFT + (share - _LOW) / (_HIGH - _LOW) * _WIDTH
