"""The growth as curves, in a picture that is written by hand: no library for it is among our requirements."""

from collections.abc import Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import Final

from serving.growth import Cost

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 380, 330, 60, 40, 70
_LOWEST, _HIGHEST = 0.5, 50.0
"""Milliseconds that the pictures show."""
_COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#e377c2")
_DASHES: Final = ("", "7 3", "2 3")


def plot(costs: Sequence[Cost], path: Path) -> None:
    """Time over size, on logarithmic scales: one panel for papers and one for the history of one of them."""
    names = list(dict.fromkeys(cost.operation for cost in costs))
    papers = _panel(costs, names, "papers", min(cost.history for cost in costs if cost.papers > min_papers(costs)), 0)
    verdicts = _panel(costs, names, "history", min_papers(costs), 1)
    left = _LEFT + 2 * (_WIDTH + _GAP) - 30
    legend = [
        f'<path d="M{left} {_TOP + 6 + 19 * n}h26" {_style(n)}/>'
        f'<text x="{left + 34}" y="{_TOP + 10 + 19 * n}">{escape(name)}</text>'
        for n, name in enumerate(names)
    ]
    size = f'width="{left + 240}" height="{_TOP + _HEIGHT + 60}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    white = f'<rect {size} fill="white"/>'
    path.write_text("\n".join([head, white, *papers, *verdicts, *legend, "</svg>", ""]), encoding="utf-8")


def min_papers(costs: Sequence[Cost]) -> int:
    """Of the smallest database."""
    return min(cost.papers for cost in costs)


def _panel(costs: Sequence[Cost], names: Sequence[str], of: str, fixed: int, place: int) -> list[str]:
    other = "papers" if of == "history" else "history"
    shown = [cost for cost in costs if getattr(cost, other) == fixed]
    sizes = [getattr(cost, of) for cost in shown]
    left = _LEFT + place * (_WIDTH + _GAP)

    def x(size: float) -> float:
        least, most = log10(min(sizes)), log10(max(sizes))
        return left + (log10(size) - least) / ((most - least) or 1) * _WIDTH

    lines = _axes(left, sorted(set(sizes)), x, f"{of} (with {fixed:,} {other})")
    for number, name in enumerate(names):
        points = sorted((getattr(cost, of), cost.ms) for cost in shown if cost.operation == name)
        drawn = " ".join(f"{x(size):.1f},{_y(ms):.1f}" for size, ms in points)
        lines.append(f'<polyline points="{drawn}" {_style(number)}><title>{escape(name)}</title></polyline>')
    return lines


def _axes(left: float, sizes: Sequence[int], x: object, title: str) -> list[str]:
    assert callable(x)  # noqa: S101  # the scale
    grid = [
        f'<path d="M{left} {_y(ms):.1f}h{_WIDTH}" stroke="#ddd"/><text x="{left - 6}" y="{_y(ms) + 4:.1f}" '
        f'text-anchor="end">{ms:g}</text>'
        for ms in (0.5, 1, 2, 5, 10, 20, 50)
    ]
    bottom = _TOP + _HEIGHT
    ticks = [
        f'<path d="M{x(size):.1f} {bottom}v5" stroke="black"/>'
        f'<text x="{x(size):.1f}" y="{bottom + 19}" text-anchor="middle">{size:,}</text>'
        for size in sizes
    ]
    frame = f'<rect x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="black"/>'
    named = f'<text x="{left + _WIDTH / 2}" y="{bottom + 42}" text-anchor="middle">{title}</text>'
    return [*grid, frame, *ticks, named, f'<text x="{left}" y="{_TOP - 12}">milliseconds of CPU</text>']


def _y(ms: float) -> float:
    share = (log10(min(max(ms, _LOWEST), _HIGHEST)) - log10(_LOWEST)) / (log10(_HIGHEST) - log10(_LOWEST))
    return _TOP + _HEIGHT * (1 - share)


def _style(number: int) -> str:
    dash = _DASHES[number // len(_COLOURS) % len(_DASHES)]
    return f'fill="none" stroke="{_COLOURS[number % len(_COLOURS)]}" stroke-width="2" stroke-dasharray="{dash}"'
