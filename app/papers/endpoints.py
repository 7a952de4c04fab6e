"""Papers and versions over HTTP."""

from typing import Annotated

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from app.access.idempotency import OnceDep
from app.access.routes import protected_router, public_router
from app.access.scopes import Scope
from app.core.etag import (
    JSON,
    etag_of,
    reply,
    reply_model,
    require_absence_allowed,
    require_match,
    require_presence_allowed,
)
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import JsonOnly, SessionDep, SettingsDep, problems
from app.models import Paper
from app.papers.add_version import add_version
from app.papers.arxiv import fetch_metadata
from app.papers.batch import BatchGet, BatchRead, read_batch
from app.papers.bring import bring_paper, known_paper
from app.papers.change import change_paper
from app.papers.document import build_document, version_read, write_document
from app.papers.find import find_paper, find_version
from app.papers.ids import PAPER_PATH, ArxivIdDep, PaperIdDep, PaperRef, PaperRefDep
from app.papers.queries import MOST_VERSIONS, PaperFilter, Sort, list_papers, list_versions, read_document
from app.papers.register import register_paper
from app.papers.schemas import (
    NO_NUL,
    PaperDocumentRead,
    PaperPatch,
    PaperPut,
    PaperSummary,
    VersionPost,
    VersionRead,
)

public = public_router(tags=["papers"])
protected = protected_router(Scope.curate, tags=["papers"])

VersionPath = Annotated[int, Path(ge=1, le=MOST_VERSIONS, description="The version's number, from 1.")]


@public.get("/papers", operation_id="listPapers", response_model=Page[PaperSummary], responses=problems(400, 422))
def get_papers(
    request: Request,
    session: SessionDep,
    q: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="Words of the id, title or abstract.")
    ] = None,
    category: Annotated[str | None, Query(max_length=40, pattern=NO_NUL)] = None,
    venue: Annotated[str | None, Query(max_length=1000, pattern=NO_NUL)] = None,
    status: Annotated[
        str | None, Query(pattern="^(reproduced|not_reproduced|inconclusive|none)$", description="Of its verdict.")
    ] = None,
    withdrawn: bool | None = None,  # noqa: FBT001  # a query parameter, named by its caller
    sort: Sort = "-newest_verdict",
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """List and search papers, newest verdict first or by id."""
    wanted = PaperFilter(q=q, category=category, venue=venue, status=status, withdrawn=withdrawn, sort=sort)
    page = list_papers(session, wanted, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@public.post(
    "/papers:batchGet",
    operation_id="batchGetPapers",
    dependencies=[JsonOnly],
    response_model=BatchRead,
    responses=problems(400, 413, 415, 422),
)
def batch_get(session: SessionDep, wanted: BatchGet) -> Response:
    """The documents of up to 200 papers, in the order asked for; for those that are not here, why."""
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
    return Response(read_batch(session, wanted), headers=headers, media_type=JSON)


@public.get(
    PAPER_PATH + "/versions",
    operation_id="listVersions",
    response_model=Page[VersionRead],
    responses=problems(308, 400, 404, 422),
)
def get_versions(
    request: Request, session: SessionDep, ref: PaperIdDep, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> Response:
    """The versions of a paper, newest first."""
    page = list_versions(session, ref, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@public.get(
    PAPER_PATH + "/versions/{version}",
    operation_id="getVersion",
    response_model=VersionRead,
    responses=problems(308, 404, 422),
)
def get_version(request: Request, session: SessionDep, ref: PaperIdDep, version: VersionPath) -> Response:
    """One version of a paper."""
    paper = find_paper(session, ref, location=f"/v1/papers/{{id}}/versions/{version}")
    return reply_model(request, version_read(find_version(session, paper, version)))


@protected.post(
    PAPER_PATH + "/versions",
    operation_id="addVersion",
    response_model=VersionRead,
    status_code=201,
    responses=problems(308, 404, 409, 415, 422),
)
def post_version(session: SessionDep, ref: PaperIdDep, post: VersionPost, request: Request, once: OnceDep) -> Response:
    """Add the next version of a paper."""

    def respond() -> Response:
        paper = find_paper(session, ref, lock=True, location="/v1/papers/{id}/versions")
        version = add_version(session, paper, post)
        write_document(session, paper)
        response = reply_model(request, version_read(version), status=201)
        response.headers["Location"] = f"/v1/papers/{paper.arxiv_id}/versions/{version.version}"
        return response

    return once(post, respond)


@protected.post(
    PAPER_PATH + "/import",
    operation_id="importPaper",
    response_model=PaperDocumentRead,
    responses=problems(308, 404, 409, 412, 422, 502) | {201: {"model": PaperDocumentRead}},
)
def import_paper(request: Request, session: SessionDep, settings: SettingsDep, ref: ArxivIdDep) -> Response:
    """Fetch the metadata from the arXiv API, and register the paper or bring it up to date.

    What arXiv does not say (that the paper is withdrawn; its venue, where it names none) stays as it is here.
    """
    if ref.is_draft:
        find_paper(session, ref, location="/v1/papers/{id}/import")
    put = fetch_metadata(ref, settings.arxiv)
    _hold(request, session, ref)
    paper, new = bring_paper(session, ref, put)
    return _document(request, session, paper, new=new)


@protected.put(
    PAPER_PATH,
    operation_id="putPaper",
    response_model=PaperDocumentRead,
    responses=problems(409, 412, 415, 422) | {201: {"model": PaperDocumentRead}},
)
def put_paper(request: Request, session: SessionDep, ref: PaperIdDep, put: PaperPut) -> Response:
    """Register a paper, or replace its metadata. `If-None-Match: *` only registers."""
    is_known = _hold(request, session, ref)
    paper, new = register_paper(session, ref, put)
    if not is_known and not new:
        require_presence_allowed(request)
    return _document(request, session, paper, new=new)


@protected.patch(
    PAPER_PATH,
    operation_id="patchPaper",
    response_model=PaperDocumentRead,
    responses=problems(308, 404, 409, 412, 415, 422),
)
def patch_paper(request: Request, session: SessionDep, ref: PaperIdDep, patch: PaperPatch) -> Response:
    """Change some of a paper's metadata: withdraw it, name its venue or headline claim, give a draft its arXiv id."""
    paper = find_paper(session, ref, lock=True)
    require_match(request, _current_etag(session, ref))
    change_paper(session, paper, patch)
    return _document(request, session, paper, new=False)


@public.get(PAPER_PATH, operation_id="getPaper", response_model=PaperDocumentRead, responses=problems(308, 404, 422))
def get_paper(request: Request, session: SessionDep, ref: PaperRefDep) -> Response:
    """The paper document, at present or as of a version (`2111.09543v1`)."""
    body, etag = read_document(session, ref)
    return reply(request, body, etag=etag)


def _hold(request: Request, session: Session, ref: PaperRef) -> bool:
    """Hold the change of a paper to the state its author saw, and say whether it is here; if so, it is locked."""
    if known_paper(session, ref) is None:
        require_absence_allowed(request)
        return False
    require_match(request, _current_etag(session, ref))
    return True


def _current_etag(session: Session, ref: PaperRef) -> str:
    """The ETag of the present document of the locked paper."""
    body, etag = read_document(session, ref)
    return etag or etag_of(body)


def _document(request: Request, session: Session, paper: Paper, *, new: bool) -> Response:
    session.flush()
    document = build_document(session, paper)
    assert document is not None  # noqa: S101  # every paper has a version
    response = reply_model(request, document, status=201 if new else 200)
    response.headers["Location"] = f"/v1/papers/{paper.arxiv_id}"
    return response
