"""Reading papers: the prepared document, the list, the versions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.orm import Session

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Paper, PaperDocument, PaperVersion
from app.papers.document import EPOCH, build_document, version_read
from app.papers.errors import VersionNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.papers.schemas import PaperSummary, VersionRead
from app.papers.search import find_page
from app.papers.walks import Key, Order

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
        detail = (
            f"{paper.arxiv_id} has no version {ref.version} here; GET /v1/papers/{paper.arxiv_id}/versions lists them."
        )
        raise VersionNotFoundError(detail)
    return document.model_dump_json().encode(), None


def list_papers(session: Session, wanted: PaperFilter, limit: int, cursor: str | None) -> Page[PaperSummary]:
    """A page of papers, newest verdict first, or by id.

    It may be shorter than `limit`, even empty, and lead on all the same: app.papers.search bounds what a page costs.
    """
    order = Order(by_id=wanted.sort == "arxiv_id")
    listing = "papers-by-id" if order.by_id else "papers"
    after: Key | None = decode_cursor(listing, cursor, _id if order.by_id else _moment_and_id)
    papers, following = find_page(session, wanted.q, _filters(wanted), order, after, limit)
    return Page(items=[_summary(paper) for paper in papers], next_cursor=following and _cursor(listing, following))


def _id(key: list[str]) -> Key:
    return key[0]


def _moment_and_id(key: list[str]) -> Key:
    return datetime.fromtimestamp(int(key[0]) / 1000, UTC), key[1]


def _cursor(listing: str, key: Key) -> str:
    if isinstance(key, str):
        return encode_cursor(listing, [key])
    moment, arxiv_id = key
    return encode_cursor(listing, [round(moment.timestamp() * 1000), arxiv_id])


def _filters(wanted: PaperFilter) -> list[ColumnElement[bool]]:
    """What has to hold, the likeliest to be rare first."""
    found: list[ColumnElement[bool]] = []
    if wanted.venue is not None:
        found.append(Paper.venue == wanted.venue)
    if wanted.category is not None:
        found.append(Paper.primary_category == wanted.category)
    if wanted.status is not None:
        unchecked = wanted.status == "none"
        found.append(Paper.headline_status.is_(None) if unchecked else Paper.headline_status == wanted.status)
    if wanted.withdrawn is not None:
        found.append(Paper.withdrawn.expression if wanted.withdrawn else ~Paper.withdrawn)
    return found


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


def _summary(paper: Row[*tuple[Any, ...]]) -> PaperSummary:
    arxiv_id, title, category, venue, published_at, withdrawn, status, newest = paper
    return PaperSummary(
        arxiv_id=arxiv_id,
        title=title,
        primary_category=category,
        venue=venue,
        published_at=published_at,
        withdrawn=withdrawn,
        status=status,
        newest_verdict_at=None if newest == EPOCH else newest,
    )
