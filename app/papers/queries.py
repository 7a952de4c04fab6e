"""Reading papers: the prepared document, the list, the versions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Paper, PaperDocument, PaperVersion
from app.papers.document import EPOCH, build_document, version_read
from app.papers.errors import VersionNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.papers.schemas import PaperSummary, VersionRead

MOST_VERSIONS: Final = 999_999
"""Of one paper: so many digits has the `vN` of an id."""
Sort = Literal["-newest_verdict", "arxiv_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFilter:
    """What a list of papers is narrowed to."""

    q: str | None = None
    category: str | None = None
    venue: str | None = None
    status: str | None = None
    withdrawn: bool | None = None
    sort: Sort = "-newest_verdict"


def read_document(session: Session, ref: PaperRef) -> tuple[bytes, str | None]:
    """The document's bytes, and its stored ETag where the prepared one was read."""
    if ref.version is None:
        query = select(PaperDocument).join(Paper).where(Paper.arxiv_id == ref.arxiv_id)
        if (prepared := session.scalar(query)) is not None:
            return prepared.body, prepared.etag
    paper = find_paper(session, ref)
    document = build_document(session, paper, ref.version)
    if document is None:
        detail = f"{paper.arxiv_id} has no version {ref.version} here."
        raise VersionNotFoundError(detail)
    return document.model_dump_json().encode(), None


def list_papers(session: Session, wanted: PaperFilter, limit: int, cursor: str | None) -> Page[PaperSummary]:
    """A page of papers, newest verdict first, or by id."""
    query = _filtered(wanted)
    by_id = wanted.sort == "arxiv_id"
    if by_id:
        after_id = decode_cursor("papers-by-id", cursor, lambda key: str(key[0]))
        query = query.order_by(Paper.arxiv_id)
        query = query.where(Paper.arxiv_id > after_id) if after_id is not None else query
    else:
        after = decode_cursor("papers", cursor, lambda key: (datetime.fromtimestamp(int(key[0]) / 1000, UTC), key[1]))
        query = query.order_by(Paper.newest_verdict_at.desc(), Paper.arxiv_id.desc())
        query = query.where(tuple_(Paper.newest_verdict_at, Paper.arxiv_id) < after) if after else query
    papers = session.scalars(query.limit(limit + 1)).all()
    last = papers[limit - 1] if len(papers) > limit else None
    following = None
    if last is not None:
        moment = round(last.newest_verdict_at.timestamp() * 1000)
        following = (
            encode_cursor("papers-by-id", [last.arxiv_id])
            if by_id
            else encode_cursor("papers", [moment, last.arxiv_id])
        )
    return Page(items=[_summary(paper) for paper in papers[:limit]], next_cursor=following)


def _filtered(wanted: PaperFilter) -> Select[Paper]:
    query = select(Paper)
    if wanted.q is not None:
        # An id is one word to a reader and several to the text search, so it is compared as it stands.
        query = query.where(
            Paper.search.bool_op("@@")(func.websearch_to_tsquery("english", wanted.q)) | (Paper.arxiv_id == wanted.q)
        )
    if wanted.category is not None:
        query = query.where(Paper.primary_category == wanted.category)
    if wanted.venue is not None:
        query = query.where(Paper.venue == wanted.venue)
    if wanted.status is not None:
        status = None if wanted.status == "none" else wanted.status
        query = query.where(Paper.headline_status.is_(None) if status is None else Paper.headline_status == status)
    if wanted.withdrawn is not None:
        query = query.where(Paper.withdrawn if wanted.withdrawn else ~Paper.withdrawn)
    return query


def list_versions(session: Session, ref: PaperRef, limit: int, cursor: str | None) -> Page[VersionRead]:
    """A page of versions, newest first."""
    paper = find_paper(session, ref, location="/v1/papers/{id}/versions")
    before = decode_cursor("versions", cursor, _number)
    query = select(PaperVersion).where(PaperVersion.paper_id == paper.id).order_by(PaperVersion.version.desc())
    query = query.where(PaperVersion.version < before) if before is not None else query
    versions = session.scalars(query.limit(limit + 1)).all()
    following = encode_cursor("versions", [versions[limit - 1].version]) if len(versions) > limit else None
    return Page(items=[version_read(version) for version in versions[:limit]], next_cursor=following)


def _number(key: list[str]) -> int:
    number = int(key[0])
    if not 0 < number <= MOST_VERSIONS:
        raise ValueError(number)
    return number


def _summary(paper: Paper) -> PaperSummary:
    newest = paper.newest_verdict_at
    return PaperSummary(
        arxiv_id=paper.arxiv_id,
        title=paper.title,
        primary_category=paper.primary_category,
        venue=paper.venue,
        published_at=paper.published_at,
        withdrawn=paper.withdrawn,
        status=paper.headline_status,
        newest_verdict_at=None if newest == EPOCH else newest,
    )
