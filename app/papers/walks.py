"""Walks through lists of papers, in an index and in the order of the list: where they come to, and what they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Select, Subquery, intersect, literal, select, tuple_, union_all
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.models import Paper, PaperWord

DENSER: Final = 8
"""A list with so many times as many papers is read along: to read one on costs a hundredth of a look-up."""
Source: TypeAlias = type[Paper] | type[PaperWord]
Key: TypeAlias = tuple[datetime, str] | str


class Start(NamedTuple):
    """Where to begin: behind a key, or with what stands there itself."""

    key: Key
    itself: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """A list of papers in an index: those of `source` for which the condition holds."""

    source: Source
    condition: ColumnElement[bool] | None = None


class Way(NamedTuple):
    """Walks that are taken together: what stands in all of them. None of them is longer than `most`, up to the end."""

    walks: Sequence[Walk]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the list: by id, or the newest verdict first."""

    by_id: bool

    def keys(self, of: Source | ReadOnlyColumnCollection[str, Any]) -> list[Any]:
        """The columns that the list is sorted by, of a table or of what was read of one."""
        return [of.arxiv_id] if self.by_id else [of.newest_verdict_at, of.arxiv_id]

    def sorted(self, columns: Sequence[Any]) -> list[Any]:
        """The columns as ORDER BY takes them."""
        return list(columns) if self.by_id else [column.desc() for column in columns]

    def behind(self, of: Source, start: "Start") -> ColumnElement[bool]:
        """What comes after the start."""
        key, itself = start
        if self.by_id:
            return of.arxiv_id >= key if itself else of.arxiv_id > key
        place = tuple_(of.newest_verdict_at, of.arxiv_id)
        return place <= key if itself else place < key

    def up_to(self, of: Source, key: Key) -> ColumnElement[bool]:
        """What comes before the key, and the key itself."""
        return of.arxiv_id <= key if self.by_id else tuple_(of.newest_verdict_at, of.arxiv_id) >= key


class Mark(NamedTuple):
    """Where a walk comes to with so many papers."""

    place: int
    number: int
    key: Key


def reach(
    session: Session, walks: Sequence[Walk], order: Order, start: Start | None, numbers: Sequence[int]
) -> list[Mark]:
    """Where each walk comes to with each of these numbers of papers, the nearest first; none for what is shorter."""
    steps = [
        steps_of(walk, order, start, None)
        .add_columns(literal(place).label("place"), literal(number).label("number"))
        .order_by(*order.sorted(order.keys(walk.source)))
        .offset(number - 1)
        .limit(1)
        .subquery()
        for place, walk in enumerate(walks)
        for number in numbers
    ]
    reached = union_all(*(select(one) for one in steps)).subquery().c
    keys = order.keys(reached)
    rows = session.execute(select(reached.place, reached.number, *keys).order_by(*order.sorted(keys)))
    return [Mark(row[0], row[1], row[2] if order.by_id else (row[2], row[3])) for row in rows]


def steps_of(walk: Walk, order: Order, start: Start | None, end: Key | None) -> Select[Any]:
    """The papers of a walk, between a start and an end."""
    query = select(*order.keys(walk.source))  # no more than the index has
    query = query.where(walk.condition) if walk.condition is not None else query
    query = query.where(order.behind(walk.source, start)) if start is not None else query
    return query.where(order.up_to(walk.source, end)) if end is not None else query


def in_all_of(way: Way, order: Order, start: Start | None, end: Key | None) -> Subquery:
    """What stands in all of these walks, in order: the lists are read side by side, and nothing is looked up."""
    # An offset of nothing: what is walked stays what was chosen. And a limit that takes nothing away: without it the
    # planner thinks that there is much, and makes up another way.
    steps = [
        steps_of(walk, order, start, end)
        .order_by(*order.sorted(order.keys(walk.source)))
        .limit(way.most)
        .offset(0)
        .subquery()
        for walk in way.walks
    ]
    if len(steps) == 1:
        return steps[0]
    both = intersect(*(select(one) for one in steps)).subquery()
    return select(both).order_by(*order.sorted(order.keys(both.c))).offset(0).subquery()
