"""A badge as an SVG in the flat style of shields.io, drawn here: nothing of anybody's text is markup in it."""

from typing import Final
from xml.sax.saxutils import escape

from app.badges.badge import BadgeRead
from app.badges.widths import odd_width

MEDIA_TYPE: Final = "image/svg+xml"
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}
"""Opened by itself an SVG is a page; this one may load and run nothing."""
_COLOURS: Final = {"brightgreen": "#4c1", "red": "#e05d44", "yellow": "#dfb317", "lightgrey": "#9f9f9f"}
_WHITE: Final = ("#fff", "#010101")
_DARK: Final = ("#111", "#ccc")
"""Letters and their shadow. Dark ones have 5 : 1 or more on every colour; white on the yellow would be 2 : 1."""
_PADDING: Final = 5
_QUOTES: Final = {'"': "&quot;", "'": "&apos;"}
_FONT: Final = "Verdana,Geneva,DejaVu Sans,sans-serif"


def draw(badge: BadgeRead, note: str = "") -> str:
    """The SVG. Its name, for screen readers and under a pointer, says label, message and `note`."""
    label, message = _printable(badge.label), _printable(badge.message)
    left, right = (odd_width(text) + 2 * _PADDING for text in (label, message))
    name = escape(f"{label}: {message}" + (f", {note}" if note else ""), _QUOTES)
    # Ids are of what they clip, so that several badges may stand inside one page.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{name}">'
        f"<title>{name}</title>"
        '<linearGradient id="s" x2="0" y2="100%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/>'
        '<stop offset="1" stop-opacity=".1"/></linearGradient>'
        f'<clipPath id="r{left + right}"><rect width="{left + right}" height="20" rx="3" fill="#fff"/></clipPath>'
        f'<g clip-path="url(#r{left + right})"><rect width="{left}" height="20" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[badge.color]}"/>'
        f'<rect width="{left + right}" height="20" fill="url(#s)"/></g>'
        f'<g text-anchor="middle" font-family="{_FONT}" text-rendering="geometricPrecision" font-size="110">'
        f"{_text(label, 5 * left + 10, left, _WHITE)}{_text(message, 10 * left + 5 * right - 10, right, _DARK)}"
        "</g></svg>"
    )


def _text(text: str, middle: int, width: int, ink: tuple[str, str]) -> str:
    """A text with its shadow. Set ten times as large and scaled down, so that no browser rounds its glyphs."""
    fill, shadow = ink
    length = 10 * (width - 2 * _PADDING)
    place = f'x="{middle}" transform="scale(.1)" textLength="{length}"'
    words = escape(text)
    return (
        f'<text aria-hidden="true" {place} y="150" fill="{shadow}" fill-opacity=".3">{words}</text>'
        f'<text {place} y="140" fill="{fill}">{words}</text>'
    )


def _printable(text: str) -> str:
    """Without what XML cannot hold or what turns the direction of writing."""
    return "".join(char for char in text if char.isprintable())
