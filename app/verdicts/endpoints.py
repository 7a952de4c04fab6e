"""Verdicts over HTTP."""

from itertools import chain
from typing import Annotated, cast
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from app.access.idempotency import OnceDep
from app.access.routes import protected_router, public_router
from app.access.scopes import Scope
from app.core.db import Database
from app.core.etag import SETTLED, etag_of, held_by, reply_model, served
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import SessionDep, answered, problems
from app.models import VerdictKind
from app.papers.find import find_paper, find_version
from app.papers.ids import PAPER_PATH, PaperRefDep
from app.verdicts.compare import compare_verdicts
from app.verdicts.compare_schemas import ComparisonRead
from app.verdicts.post import post_verdict
from app.verdicts.predictions import CSV, JSONL, PARQUET, negotiate, stream_predictions
from app.verdicts.queries import VerdictFilter, find_evidence, list_verdicts, read_evidence, read_verdict
from app.verdicts.schemas import EvidenceRead, VerdictPost, VerdictRead

public = public_router(tags=["verdicts"])
EVIDENCE_BYTES = 32 * 1024 * 1024
"""Evidence holds a prediction an item, so its bodies may be larger than others."""
protected = protected_router(Scope.post_verdicts, tags=["verdicts"], max_body_size=EVIDENCE_BYTES)

StatusQuery = Annotated[str | None, Query(pattern="^(reproduced|not_reproduced|inconclusive)$")]


@public.get(
    PAPER_PATH + "/verdicts",
    operation_id="listPaperVerdicts",
    response_model=Page[VerdictRead],
    responses=problems(308, 400, 404, 422),
)
def get_paper_verdicts(
    request: Request,
    session: SessionDep,
    ref: PaperRefDep,
    kind: VerdictKind | None = None,
    claim: UUID | None = None,
    is_current: bool | None = None,  # noqa: FBT001  # a query parameter, named by its caller
    status: StatusQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """The history of a paper's verdicts, newest first; with `vN`, of those that checked that version."""
    wanted = VerdictFilter(paper=ref, kind=kind, claim=claim, is_current=is_current, status=status)
    return _list(request, session, wanted, limit, cursor)


@protected.post(
    PAPER_PATH + "/verdicts",
    operation_id="postVerdict",
    response_model=VerdictRead,
    status_code=201,
    responses=problems(308, 404, 409, 413, 415, 422)
    | answered(
        201,
        verdict=("getVerdict", {"verdict_id": "id"}),
        evidence=("getEvidence", {"verdict_id": "id"}),
        predictions=("getPredictions", {"verdict_id": "id"}),
        claim=("getClaim", {"claim_id": "claim_id"}),
    ),
)
def post_evidence(
    request: Request, session: SessionDep, ref: PaperRefDep, post: VerdictPost, once: OnceDep
) -> Response:
    """Post the evidence of an outside agent: counts or predictions. The status is decided here."""

    def respond() -> Response:
        paper = find_paper(session, ref, lock=True, location="/v1/papers/{id}/verdicts")
        verdict = post_verdict(session, paper, find_version(session, paper, ref.version), post)
        session.flush()
        # Read, and not what was written: Postgres orders the keys of its JSON anew, and the tag is of what readers get.
        response = reply_model(request, read_verdict(session, verdict.id), status=201)
        response.headers["Location"] = f"/v1/verdicts/{verdict.id}"
        return response

    return once(post, respond)


@public.get("/verdicts", operation_id="listVerdicts", response_model=Page[VerdictRead], responses=problems(400, 422))
def get_verdicts(
    request: Request,
    session: SessionDep,
    kind: VerdictKind | None = None,
    claim: UUID | None = None,
    is_current: bool | None = None,  # noqa: FBT001  # a query parameter, named by its caller
    status: StatusQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """The feed of all verdicts, newest first."""
    wanted = VerdictFilter(kind=kind, claim=claim, is_current=is_current, status=status)
    return _list(request, session, wanted, limit, cursor)


@public.get(
    "/verdicts/{verdict_id}", operation_id="getVerdict", response_model=VerdictRead, responses=problems(404, 422)
)
def get_verdict(request: Request, session: SessionDep, verdict_id: UUID) -> Response:
    """One verdict with its place in its line, its protocol axes and its estimate."""
    return reply_model(request, read_verdict(session, verdict_id))


@public.get(
    "/verdicts/{verdict_id}/evidence",
    operation_id="getEvidence",
    response_model=EvidenceRead,
    responses=problems(404, 422),
)
def get_evidence(request: Request, session: SessionDep, verdict_id: UUID) -> Response:
    """What a reader needs to check the verdict: confusion matrix, decision, driver, fingerprints, environment."""
    return reply_model(request, read_evidence(session, verdict_id), cache_control=SETTLED)


@public.get(
    "/verdicts/{verdict_id}/predictions",
    operation_id="getPredictions",
    response_class=Response,
    responses=problems(404, 406, 422) | {200: {"content": {JSONL: {}, CSV: {}, PARQUET: {}}}},
)
def get_predictions(request: Request, session: SessionDep, verdict_id: UUID) -> Response:
    """Every prediction, as JSON Lines, CSV or Parquet by `Accept`."""
    media = negotiate(", ".join(request.headers.getlist("accept")))
    evidence = find_evidence(session, verdict_id)
    labels = (evidence.content or {}).get("labels") or []
    # A verdict's predictions never change: its id and the format say all.
    headers = served(etag_of(f"{verdict_id} {media}".encode()), SETTLED, "Accept, Accept-Encoding")
    if (held := held_by(request, headers["ETag"])) is not None:
        return Response(status_code=304, headers={**headers, "ETag": held})
    database = cast("Database", request.app.state.database)
    pieces = stream_predictions(database, evidence.id, labels, media)
    first = next(pieces, b"")  # a database that is gone by now is still a 5xx, not a success that breaks off
    return StreamingResponse(chain([first], pieces), 200, headers, media)


@public.get(
    "/verdicts/{first}/compare/{second}",
    operation_id="compareVerdicts",
    response_model=ComparisonRead,
    responses=problems(400, 404, 409, 422),
)
def get_comparison(
    request: Request,
    session: SessionDep,
    first: UUID,
    second: UUID,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """Two verdicts on the items both measured: exact McNemar, the interval of the difference, and what flipped."""
    comparison = compare_verdicts(session, first, second, limit, cursor)
    response = reply_model(request, comparison)
    response.headers.update(next_link(request, comparison.flipped.next_cursor))
    return response


def _list(request: Request, session: SessionDep, wanted: VerdictFilter, limit: int, cursor: str | None) -> Response:
    page = list_verdicts(session, wanted, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response
