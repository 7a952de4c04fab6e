"""Which papers to look at for a filtered list or a search, so that a page costs the same however many papers there are.

Each filter and each word has its papers in an index, in the order of the list. Where the whole question is one such
list, it is walked, and nothing is looked at in vain. Else the list is taken whose next papers reach furthest; those
that hold not many more up to there are read side by side with it, and what the rest asks for is looked up for each
paper that stands in all of them. After so many papers the page ends, full or not: its cursor says where to go on. So
every page is exact and in order, and none costs more than MOST_LOOKED_AT look-ups.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, Text, func, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.models import Paper, PaperWord
from app.papers.errors import PaperIdError
from app.papers.ids import PaperRef
from app.papers.walks import DENSER, Key, Mark, Order, Start, Walk, Way, in_all_of, reach

MOST_LOOKED_AT: Final = 500
"""For one page: what so many papers cost at worst, a million do not exceed."""
SHOWN: Final = (
    Paper.arxiv_id,
    Paper.title,
    Paper.primary_category,
    Paper.venue,
    Paper.published_at,
    Paper.withdrawn,
    Paper.headline_status,
    Paper.newest_verdict_at,
)
"""What a list shows of a paper: of fifty, whole objects cost as much again as all the rest."""
_MOST_WORDS: Final = 8
"""Of those that have to be there together, so many are thought of as the list to walk."""
_TOKEN: Final = re.compile(r"'((?:[^'\\]|''|\\\\)*)'|(<->|<\d+>|[&|!()])")


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the ways to match: each match is in every one of these walks. `whole` where that is all that is asked."""

    walks: Sequence[Walk]
    whole: bool

    @property
    def is_one_list(self) -> bool:
        """Whether each paper of its only walk, or of all papers, matches."""
        return self.whole and len(self.walks) <= 1


def find_page(
    session: Session, q: str | None, filters: Sequence[ColumnElement[bool]], order: Order, after: Key | None, limit: int
) -> tuple[Sequence[Row[*tuple[Any, ...]]], Key | None]:
    """What is shown of up to `limit` papers after the key, and the key to go on from; None where there are no more."""
    alternatives = [Alternative([Walk(Paper, one) for one in filters], whole=True)]
    conditions = list(filters)
    if q is not None:
        found = _alternatives(session, q)
        if not found:
            return [], None
        alternatives = [Alternative([*a.walks, *alternatives[0].walks], a.whole) for a in found]
        matches = Paper.search.bool_op("@@")(func.websearch_to_tsquery("english", q))
        conditions.append(matches | (Paper.arxiv_id == q))
    start = Start(after) if after is not None else None
    ways, start, end = _walks(session, alternatives, order, start)
    papers = session.execute(_page(ways, conditions, order, start, end).limit(limit + 1)).all()
    if len(papers) > limit:
        last = papers[limit - 1]
        return papers[:limit], last.arxiv_id if order.by_id else (last.newest_verdict_at, last.arxiv_id)
    return papers, end


def _walks(
    session: Session, alternatives: Sequence[Alternative], order: Order, start: Start | None
) -> tuple[list[Way], Start | None, Key | None]:
    """A way for each alternative, where to begin, and the key at which the page ends, if any."""
    exact = [Way(one.walks or [Walk(Paper)]) for one in alternatives if one.is_one_list]
    groups = [one for one in alternatives if not one.is_one_list]
    if not groups:
        return exact, start, None
    listed = [walk for one in groups for walk in one.walks or [Walk(Paper)]]
    number = max(1, MOST_LOOKED_AT // len(alternatives))
    if len(alternatives) == 1 < len(listed):
        begins = reach(session, listed, order, start, [1])
        # What comes before the last of the lists begins is not in all of them.
        start = Start(begins[-1].key, itself=True) if begins else start
    marks = reach(session, listed, order, start, [number, number * DENSER])
    together, end = _together(groups, marks, number)
    found = [Way([listed[n] for n in group], number * (DENSER if len(group) > 1 else 1)) for group in together]
    return [*exact, *found], start, end


def _together(groups: Sequence[Alternative], marks: Sequence[Mark], number: int) -> tuple[list[list[int]], Key | None]:
    """Of each group the places of the walks to take: that which reaches furthest, and what is not much longer by then.

    And the key at which the page ends: where what has to be looked up has come to its number, or, where nothing is
    looked up in vain, the first of the lists to DENSER times as many.
    """
    near = {mark.place: rank for rank, mark in enumerate(marks) if mark.number == number}
    far = {mark.place: rank for rank, mark in enumerate(marks) if mark.number > number}
    never, found, rank, at = len(marks), [], len(marks), 0  # what has no mark ends before it, and is read to its end
    for one in groups:
        group = range(at, at + max(1, len(one.walks)))
        at = group.stop
        best = max(group, key=lambda n: near.get(n, never))
        least = near.get(best, never)
        chosen = [best, *(n for n in group if n != best and far.get(n, never) >= least)]
        nothing_in_vain = one.whole and len(chosen) == len(group)
        rank = min(rank, min(far.get(n, never) for n in chosen) if nothing_in_vain else least)
        found.append(chosen)
    return found, marks[rank].key if rank < never else None


def _page(
    ways: Sequence[Way],
    conditions: Sequence[ColumnElement[bool]],
    order: Order,
    start: Start | None,
    end: Key | None,
) -> Select[*tuple[Any, ...]]:
    """What is shown of the papers on these ways, in order, for which the conditions hold."""
    only = ways[0].walks[0] if len(ways) == 1 and ways[0].most is None else None
    if only is not None and only.source is Paper and len(conditions) <= 1:
        query = select(*SHOWN).order_by(*order.sorted(order.keys(Paper)))
        query = query.where(order.behind(Paper, start)) if start is not None else query
        return query.where(*conditions)
    steps = [in_all_of(way, order, start, end) for way in ways]
    step = steps[0] if len(steps) == 1 else union_all(*(select(one) for one in steps)).subquery()
    keys = order.keys(step.c)
    query = select(*SHOWN).join_from(Paper, step, Paper.arxiv_id == step.c.arxiv_id).where(*conditions)
    query = query.order_by(*order.sorted(keys))
    return query if len(steps) == 1 else query.ext(distinct_on(*keys))


def _alternatives(session: Session, q: str) -> list[Alternative]:
    """The ways to match these words, as Postgres reads them, and the paper of this id."""
    parsed = session.scalars(select(func.websearch_to_tsquery("english", q).cast(Text))).one()
    found = read_alternatives(parsed)
    walks = [Alternative([Walk(PaperWord, PaperWord.word == word) for word in words], whole) for words, whole in found]
    try:
        ref = PaperRef.parse(q)
    except PaperIdError:
        return walks
    # An id is one word to a reader and several to the text search, so it is compared as it stands.
    return [*walks, Alternative([Walk(Paper, Paper.arxiv_id == q)], whole=True)] if ref.version is None else walks


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
                found.append((longest[:_MOST_WORDS], tokens == len(words) and len(longest) <= _MOST_WORDS))
            words, tokens, negated = [], 0, False
            continue
        tokens += sign != "&"
        depth += (sign == "(") - (sign == ")")
        if match and sign is None and depth == 0 and not negated:
            words.append(match[1].replace("''", "'").replace("\\\\", "\\"))
        negated = sign == "!"
    return found
