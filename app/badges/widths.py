"""How wide a text is in Verdana at 11 px, which badges are set in. The table: verdana/README."""

import json
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Final

_TABLE: Final = Path(__file__).parent / "verdana" / "verdana-11px-normal.json"
_UNKNOWN: Final = "m"
"""What the table does not know is taken to be as wide as this."""


def width_of(text: str) -> float:
    """The advance width in px. Control characters have none."""
    return sum(_advance(ord(char)) for char in text)


def odd_width(text: str) -> int:
    """The width as badges have it: the next odd number of px, so that a centred text stands on whole pixels."""
    return int(width_of(text)) | 1


@cache
def _ranges() -> tuple[list[int], list[tuple[int, float]]]:
    rows = json.loads(_TABLE.read_text(encoding="utf-8"))
    return [first for first, _, _ in rows], [(last, width) for _, last, width in rows]


def _advance(code: int) -> float:
    if code < ord(" ") or code == 0x7F:  # noqa: PLR2004  # DEL
        return 0.0
    firsts, rest = _ranges()
    place = bisect_right(firsts, code) - 1
    if place >= 0:
        last, width = rest[place]
        if code <= last:
            return width
    return _advance(ord(_UNKNOWN))
