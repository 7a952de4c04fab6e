"""The small charts that stand many times on a page. Drawn here, as a template takes ten times as long over each.

Positions are percentages, so a chart fits any width; all they hold of anybody's text is the label, which is escaped.
"""

from markupsafe import Markup, escape

from app.dashboard.breakdown import Part
from app.dashboard.charts import Axis, Band, Mini
from app.dashboard.numbers import span


def forest(axis: Axis, label: str, *, tall: bool = False) -> Markup:
    """One row of a history, on the axis that all of its rows share; `tall` where it stands alone."""
    height, radius = (40, "5.5") if tall else (26, "4.5")
    middle = height // 2
    parts = [_opened("forest tall" if tall else "forest", height, label)]
    if axis.zone:
        parts.append(_zone(axis.zone, 0, height))
    parts.append(_rule(axis.reported.x, 0, height))
    parts += [_line(middle, band, name) for band, name in ((axis.wide, "ci95"), (axis.narrow, "ci90")) if band]
    parts.append(_point(axis.measured.x, middle, radius))
    return _closed(parts)


def mini(one: Mini, label: str) -> Markup:
    """Measured minus reported in margins; an arrow where that is off the chart."""
    parts = [_opened("mini", 20, label), _zone(one.zone, 1, 18), _rule(50, 1, 19), _line(10, one.interval, "ci95")]
    if one.off:
        x, anchor, arrow = (100, "end", "▶") if one.off == "high" else (0, "start", "◀")
        parts.append(f'<text class="off" x="{x}%" y="14.5" text-anchor="{anchor}">{arrow}</text>')
    else:
        parts.append(_point(one.x, 10, "4"))
    return _closed(parts)


def bar(part: Part, unit: str) -> Markup:
    """A share with its interval, from 0 to 1."""
    label = f"95 % interval {span(part.low, part.high, unit)}"
    base = '<line class="base" x1="0" x2="100%" y1="7" y2="7"/>'
    return _closed([_opened("bar", 14, label), base, _line(7, part.band, "ci90"), _point(part.x, 7, "3")])


def _opened(name: str, height: int, label: str) -> str:
    return f'<svg class="{name}" role="img" width="100%" height="{height}" aria-label="{escape(label)}">'


def _closed(parts: list[str]) -> Markup:
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704  # numbers and constants, and the label is escaped


def _zone(band: Band, y: int, height: int) -> str:
    return f'<rect class="zone" x="{band.x}%" width="{band.width}%" y="{y}" height="{height}"/>'


def _rule(x: float, y1: int, y2: int) -> str:
    return f'<line class="reported" x1="{x}%" x2="{x}%" y1="{y1}" y2="{y2}"/>'


def _line(y: int, band: Band, name: str) -> str:
    return f'<line class="{name}" x1="{band.x}%" x2="{band.end}%" y1="{y}" y2="{y}"/>'


def _point(x: float, y: int, radius: str) -> str:
    return f'<circle class="point" cx="{x}%" cy="{y}" r="{radius}"/>'
