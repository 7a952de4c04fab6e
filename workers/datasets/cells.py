"""What one cell of a data file means: an identity, or a class."""

from collections.abc import Mapping, Sequence
from typing import Final

_DIGITS: Final = 6
"""Longer numbers cannot be class indices, and Python takes quadratic time over very long ones."""


def identity(cell: object) -> str | None:
    """A text or a whole number as text; None for anything else (a null, a fraction, a truth value)."""
    return str(cell) if isinstance(cell, str | int) and not isinstance(cell, bool) else None


def index_by_name(label_names: Sequence[str]) -> Mapping[str, int]:
    """Class index by label name, whatever its case."""
    return {name.casefold(): index for index, name in enumerate(label_names)}


def class_index(cell: object, by_name: Mapping[str, int]) -> int | None:
    """The class a cell names, by label name or by index; None for anything else, and out of range.

    TSV has only text: "2" there is the index 2, unless a label is named "2".
    """
    if isinstance(cell, str):
        named = by_name.get(cell.casefold())
        if named is not None:
            return named
        cell = int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= _DIGITS else None
    if isinstance(cell, int) and not isinstance(cell, bool) and 0 <= cell < len(by_name):
        return cell
    return None
