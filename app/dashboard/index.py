"""The papers with their verdicts: searched, filtered, sorted."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from app.core.pagination import CursorQuery
from app.core.web import SessionDep
from app.dashboard.asked import PAGE, LongWords, Words, further, without_cursor
from app.dashboard.compared import Compared
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.papers.queries import PaperFilter, Sort, list_papers
from app.papers.schemas import PaperSummary
from app.reproductions.queries import running_papers
from app.verdicts.lines import Standing, headline_lines
from app.verdicts.queries import status_counts

router: APIRouter = page_router()

StatusChoice = Annotated[
    Literal["", "reproduced", "not_reproduced", "inconclusive", "none"], Query(description="Of its verdict.")
]
WithdrawnChoice = Literal["", "true", "false"]


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A paper of the list with what stands for it."""

    paper: PaperSummary
    verdict: Standing | None
    numbers: Compared
    counts: tuple[tuple[str, int], ...]
    """How many verdicts of each status stand."""
    is_measured: bool
    """Whether a run of one of its claims is under way."""

    @property
    def number(self) -> int:
        """Of verdicts that stand."""
        return sum(count for _, count in self.counts)


@router.get("/")
def get_index(
    request: Request,
    session: SessionDep,
    q: Words = None,
    category: Words = None,
    venue: LongWords = None,
    status: StatusChoice = "",
    withdrawn: WithdrawnChoice = "",
    sort: Sort = "-newest_verdict",
    cursor: CursorQuery = None,
) -> Response:
    """The papers, a page at a time."""
    wanted = PaperFilter(
        q=q,
        category=category,
        venue=venue,
        status=status or None,
        withdrawn=None if withdrawn == "" else withdrawn == "true",
        sort=sort,
    )
    papers = list_papers(session, wanted, PAGE, cursor)
    return page(
        request,
        "index.html",
        rows=_rows(session, papers.items),
        wanted=wanted,
        wanted_status=status,
        wanted_withdrawn=withdrawn,
        narrowed=any((q, category, venue, status, withdrawn)),
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, papers.next_cursor),
    )


def _rows(session: Session, papers: list[PaperSummary]) -> list[PaperRow]:
    ids = [paper.arxiv_id for paper in papers]
    lines, counts, running = headline_lines(session, ids), status_counts(session, ids), running_papers(session, ids)
    rows = []
    for paper in papers:
        line = lines.get(paper.arxiv_id)
        verdict, of_status = line.verdict if line else None, tuple(counts.get(paper.arxiv_id, {}).items())
        rows.append(PaperRow(paper, verdict, Compared.of(line), of_status, paper.arxiv_id in running))
    return rows
