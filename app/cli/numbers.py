"""Numbers in a terminal: written as everywhere (app.statistics.written), in characters that every terminal has."""

from decimal import Decimal
from math import log10
from typing import Final

from app.client.models import Decision
from app.statistics.written import MINUS, NARROW, Notation

_LEAST_HALF_DIGIT: Final = 1e-12
"""Of a smaller one nothing is left beside a margin in floating point."""


def shown(text: str) -> str:
    """The number as a terminal has it: with a plain blank, and a minus that can be typed."""
    return text.replace(NARROW, " ").replace(MINUS, "-")


def notation_of(reported: float, decision: Decision | None) -> Notation:
    """How the numbers of a verdict are written, from what it says of its claim.

    What is above 1 can only be a percentage. The last printed digit is in the margin; where nothing is known of it, the
    digits are those of the number itself.
    """
    exponent = Decimal(repr(reported)).as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    if decision is None:
        return Notation("percent" if reported > 1 else "fraction", decimals)
    is_percent = reported > 1 or abs(decision.reported - reported) > abs(100 * decision.reported - reported)
    half = (decision.margin - decision.delta) * (100 if is_percent else 1)
    if half > _LEAST_HALF_DIGIT:
        decimals = max(0, round(-log10(2 * half)))
    return Notation("percent" if is_percent else "fraction", decimals)


def reported(value: float, notation: Notation) -> str:
    """The claim's number, and as the paper prints it, where that has more digits than can be read."""
    short = shown(notation.printed(value))
    whole = repr(value)
    return short if float(short.partition(" ")[0]) == value else f"{short}, printed as {whole}"
