"""Lists in a terminal: a row a line where there is room, lines below it where there is none, and nothing cut off."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from rich.text import Text

from app.cli.show import aside, console

_GAP: Final = "  "
_LEAST: Final = 24
"""Narrower than this, text is better read in lines of its own below the row."""


@dataclass(frozen=True, slots=True)
class Column:
    """What `gives` way goes below its row before others do, the first never; what `wraps` is wrapped before that."""

    name: str
    gives: bool = False
    wraps: bool = False
    right: bool = False


@dataclass(frozen=True, slots=True)
class _Laid:
    """Where the columns are: beside each other with their widths, or below the row."""

    beside: dict[int, int]
    below: list[int]


class Listing:
    """Rows of cells. What they hold is shown whole, however narrow the terminal."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[Text | str]]) -> None:
        self._columns = columns
        self._rows = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        self._natural = [
            max(len(column.name), *(row[at].cell_len for row in self._rows), 0) for at, column in enumerate(columns)
        ]

    def __bool__(self) -> bool:
        return bool(self._rows)

    def lines(self, width: int | None) -> Iterator[Text]:
        """The lines for a terminal of so many columns; None, as in a pipe, is as wide as they are."""
        laid = self._lay(width or 10 * sum(self._natural))
        head = [Text(column.name, style="bold") for column in self._columns]
        yield from self._beside(head, laid.beside)
        labels = max((len(self._columns[at].name) for at in laid.below), default=0)
        for row in self._rows:
            yield from self._beside(row, laid.beside)
            for at in laid.below:
                label = Text(_GAP + self._columns[at].name.ljust(labels) + _GAP, style="dim")
                room = max(_LEAST, (width or 0) - len(label))
                for number, line in enumerate(_wrapped(row[at], room if self._columns[at].wraps else None)):
                    whole = Text.assemble(label if number == 0 else " " * len(label), line)
                    whole.rstrip()
                    yield whole

    def _lay(self, width: int) -> _Laid:
        """As many beside each other as fit; those that give way leave first, then the last."""
        leaving = sorted(range(1, len(self._columns)), key=lambda at: (self._columns[at].gives, at))
        beside = list(range(len(self._columns)))
        while leaving and self._least(beside) > width:
            beside.remove(leaving.pop())
        widths = {at: self._natural[at] for at in beside}
        room = width - self._least(beside)
        for at in sorted((at for at in beside if self._columns[at].wraps), key=lambda at: widths[at]):
            least = min(_LEAST, widths[at])
            widths[at] = min(widths[at], least + room)
            room -= widths[at] - least
        return _Laid(widths, [at for at in range(len(self._columns)) if at not in widths])

    def _least(self, beside: Sequence[int]) -> int:
        needed = [min(_LEAST, self._natural[at]) if self._columns[at].wraps else self._natural[at] for at in beside]
        return sum(needed) + len(_GAP) * (len(beside) - 1)

    def _beside(self, row: Sequence[Text], widths: dict[int, int]) -> Iterator[Text]:
        cells = [_wrapped(row[at], width) for at, width in widths.items()]
        for parts in zip_longest(*cells, fillvalue=Text()):
            line = Text()
            for (at, width), part in zip(widths.items(), parts, strict=True):
                blank = " " * (width - part.cell_len)
                both = (blank, part) if self._columns[at].right else (part, blank)
                line = Text.assemble(line, _GAP if line else "", *both)
            line.rstrip()
            yield line


def _wrapped(cell: Text, width: int | None) -> list[Text]:
    """The lines of a cell; none of one that says nothing."""
    if not cell:
        return []
    return [cell] if width is None else list(cell.wrap(console, width))


def print_list(listing: Listing, none: str, *, more: bool = False) -> None:
    """Print it; that there is nothing, or more than this, is said beside it, on stderr."""
    width = console.width if console.is_terminal or "COLUMNS" in os.environ else None
    for line in listing.lines(width):
        console.print(line, soft_wrap=True)
    said = none if not listing else "there are more: --limit says how many are shown" if more else None
    if said:
        aside.print(said, highlight=False, soft_wrap=True)
