"""Which papers to look at for a filtered list or a search, so that a page costs the same however many papers there are.

Each filter and each word has its papers in an index, in the order of the list. One such list is walked, and what else
was asked for is looked up for each paper of it. Where the whole question is one list, nothing is looked at in vain.
Else the list is taken whose next papers reach furthest, and after so many of them the page ends, full or not: its
cursor says where to go on. So every page is exact and in order, and none costs more than MOST_LOOKED_AT look-ups.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Select, Text, func, literal, select, tuple_, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models import Paper, PaperWord
from app.papers.errors import PaperIdError
from app.papers.ids import PaperRef

MOST_LOOKED_AT: Final = 1000
"""For one page: what a thousand papers cost at worst, a million do not exceed."""
_MOST_WORDS: Final = 8
"""Of those that have to be there together, so many are thought of as the list to walk."""
_TOKEN: Final = re.compile(r"'((?:[^'\\]|''|\\\\)*)'|(<->|<\d+>|[&|!()])")
Source: TypeAlias = type[Paper] | type[PaperWord]
Key: TypeAlias = tuple[datetime, str] | str


@dataclass(frozen=True, slots=True)
class Walk:
    """A list of papers in an index: those of `source` for which the condition holds."""

    source: Source
    condition: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the ways to match: each match is in every one of these walks. One that is exact holds nothing else."""

    walks: Sequence[Walk]
    exact: bool


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the list: by id, or the newest verdict first."""

    by_id: bool

    def keys(self, of: Source) -> list[InstrumentedAttribute[Any]]:
        """The columns that the list is sorted by."""
        return [of.arxiv_id] if self.by_id else [of.newest_verdict_at, of.arxiv_id]

    def sorted(self, columns: Sequence[Any]) -> list[Any]:
        """The columns as ORDER BY takes them."""
        return list(columns) if self.by_id else [column.desc() for column in columns]

    def behind(self, of: Source, key: Key) -> ColumnElement[bool]:
        """What comes after the key."""
        return of.arxiv_id > key if self.by_id else tuple_(of.newest_verdict_at, of.arxiv_id) < key

    def up_to(self, of: Source, key: Key) -> ColumnElement[bool]:
        """What comes before the key, and the key itself."""
        return of.arxiv_id <= key if self.by_id else tuple_(of.newest_verdict_at, of.arxiv_id) >= key


def find_page(
    session: Session, q: str | None, filters: Sequence[ColumnElement[bool]], order: Order, after: Key | None, limit: int
) -> tuple[Sequence[Paper], Key | None]:
    """Up to `limit` papers after the key, and the key to go on from; None where there are no more."""
    alternatives = [Alternative([Walk(Paper, one) for one in filters], exact=len(filters) < 2)]  # noqa: PLR2004
    conditions = list(filters)
    if q is not None:
        found = _alternatives(session, q)
        if not found:
            return [], None
        alternatives = [Alternative([*a.walks, *alternatives[0].walks], a.exact and not filters) for a in found]
        matches = Paper.search.bool_op("@@")(func.websearch_to_tsquery("english", q))
        conditions.append(matches | (Paper.arxiv_id == q))
    walks, end = _walks(session, alternatives, order, after)
    papers = session.scalars(_page(walks, conditions, order, after, end).limit(limit + 1)).all()
    if len(papers) > limit:
        last = papers[limit - 1]
        return papers[:limit], last.arxiv_id if order.by_id else (last.newest_verdict_at, last.arxiv_id)
    return papers, end


def _walks(
    session: Session, alternatives: Sequence[Alternative], order: Order, after: Key | None
) -> tuple[list[Walk], Key | None]:
    """The walk for each alternative, and the key at which the page has to end; None where they can be walked whole."""
    exact = [one.walks[0] if one.walks else Walk(Paper) for one in alternatives if one.exact]
    open_ones = [one.walks or [Walk(Paper)] for one in alternatives if not one.exact]
    if not open_ones:
        return exact, None
    listed = [walk for walks in open_ones for walk in walks]
    reach = _reach(session, listed, order, after, MOST_LOOKED_AT // len(alternatives))
    nearest_first = [number for number, _ in reach]
    chosen, ends, start = [], [], 0
    for walks in open_ones:
        numbers = range(start, start + len(walks))
        start += len(walks)
        # What does not reach the number at all is walked to its end.
        best = max(numbers, key=lambda n: nearest_first.index(n) if n in nearest_first else len(listed))
        chosen.append(listed[best])
        ends += [best] if best in nearest_first else []
    end = next((key for number, key in reach if number in ends), None)
    return [*exact, *chosen], end


def _reach(
    session: Session, walks: Sequence[Walk], order: Order, after: Key | None, number: int
) -> list[tuple[int, Key]]:
    """Of each walk that is so long: its place and the key it comes to after so many papers; the nearest first."""
    steps = [
        _steps(walk, order, after, None)
        .add_columns(literal(place).label("place"))
        .order_by(*order.sorted(order.keys(walk.source)))
        .offset(number - 1)
        .limit(1)
        .subquery()
        for place, walk in enumerate(walks)
    ]
    reached = union_all(*(select(one) for one in steps)).subquery()
    keys = [reached.c.arxiv_id] if order.by_id else [reached.c.newest_verdict_at, reached.c.arxiv_id]
    rows = session.execute(select(reached.c.place, *keys).order_by(*order.sorted(keys)))
    return [(row[0], row[1] if order.by_id else (row[1], row[2])) for row in rows]


def _steps(walk: Walk, order: Order, after: Key | None, end: Key | None) -> Select[str, datetime]:
    query = select(walk.source.arxiv_id, walk.source.newest_verdict_at)
    query = query.where(walk.condition) if walk.condition is not None else query
    query = query.where(order.behind(walk.source, after)) if after is not None else query
    return query.where(order.up_to(walk.source, end)) if end is not None else query


def _page(
    walks: Sequence[Walk], conditions: Sequence[ColumnElement[bool]], order: Order, after: Key | None, end: Key | None
) -> Select[Paper]:
    """The papers of the walks, in order, for which the conditions hold."""
    if len(walks) == 1 and walks[0].source is Paper and len(conditions) <= 1 and end is None:
        query = select(Paper).order_by(*order.sorted(order.keys(Paper)))
        query = query.where(order.behind(Paper, after)) if after is not None else query
        return query.where(*conditions)
    # An offset of nothing: what is walked stays what was chosen.
    steps = [
        _steps(walk, order, after, end).order_by(*order.sorted(order.keys(walk.source))).offset(0).subquery()
        for walk in walks
    ]
    step = steps[0] if len(steps) == 1 else union_all(*(select(one) for one in steps)).subquery()
    keys = [step.c.arxiv_id] if order.by_id else [step.c.newest_verdict_at, step.c.arxiv_id]
    query = select(Paper).join(step, Paper.arxiv_id == step.c.arxiv_id).where(*conditions)
    query = query.order_by(*order.sorted(keys))
    return query if len(steps) == 1 else query.ext(distinct_on(*keys))


def _alternatives(session: Session, q: str) -> list[Alternative]:
    """The ways to match these words, as Postgres reads them, and the paper of this id."""
    parsed = session.scalars(select(func.websearch_to_tsquery("english", q).cast(Text))).one()
    found = read_alternatives(parsed)
    walks = [
        Alternative([Walk(PaperWord, PaperWord.word == word) for word in words], exact=exact) for words, exact in found
    ]
    try:
        ref = PaperRef.parse(q)
    except PaperIdError:
        return walks
    # An id is one word to a reader and several to the text search, so it is compared as it stands.
    return [*walks, Alternative([Walk(Paper, Paper.arxiv_id == q)], exact=True)] if ref.version is None else walks


def read_alternatives(parsed: str) -> list[tuple[list[str], bool]]:
    """Of a tsquery's text, what stands between its ORs: the words that have to be there, and whether that is all.

    Words in parentheses and those that must not be there are left out: fewer are thought of, and none is wrong.
    """
    found: list[tuple[list[str], bool]] = []
    words: list[str] = []
    tokens = depth = 0
    negated = False
    for match in [*_TOKEN.finditer(parsed), None]:
        sign = match[2] if match else "|"
        if sign == "|" and depth == 0:
            if tokens:
                longest = sorted(dict.fromkeys(words), key=len, reverse=True)
                found.append((longest[:_MOST_WORDS], tokens == len(words) == 1))
            words, tokens, negated = [], 0, False
            continue
        tokens += 1
        depth += (sign == "(") - (sign == ")")
        if match and sign is None and depth == 0 and not negated:
            words.append(match[1].replace("''", "'").replace("\\\\", "\\"))
        negated = sign == "!"
    return found
