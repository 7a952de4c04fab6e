"""Exports over HTTP."""

from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from sqlalchemy.orm import Session

from app.access.routes import public_router
from app.core.etag import reply
from app.core.web import SessionDep, SettingsDep, problems
from app.exports.errors import NoSigningKeyError
from app.exports.examples import EXAMPLES
from app.exports.formats import ENVELOPE, FILE_NAMES, JSON_LD, STATEMENT, YAML, ExportFormat
from app.exports.render import Benchmark, Service, render
from app.exports.signing import SigningKey
from app.exports.subject import Subject, subject_of_paper, subject_of_verdict, subjects_of_paper
from app.models import VerdictKind
from app.papers.ids import PAPER_PATH, PaperIdDep
from app.papers.schemas import NO_NUL

public = public_router(tags=["exports"])
well_known = public_router(prefix="", tags=["exports"])
"""At the root of the host, where RFC 8615 has such things."""

PEM: Final = "application/x-pem-file"
KEY_PATH: Final = "/.well-known/paper-verdicts-signing-key.pem"
ClaimQuery = Annotated[UUID | None, Query(description="One of the paper's claims.")]
KindQuery = Annotated[VerdictKind | None, Query(description="Default: the POST verdict, else the PRE one.")]


def _benchmark(
    dataset_id: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
            description="For eval-results: the data set's id on the Hugging Face hub.",
            examples=["nyu-mll/glue"],
        ),
    ] = None,
    task_id: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            pattern=NO_NUL,
            description="For eval-results: the task of that benchmark.",
            examples=["mnli_matched"],
        ),
    ] = None,
) -> Benchmark:
    return Benchmark(dataset_id, task_id)


def _service(request: Request, settings: SettingsDep) -> Service:
    return Service(settings.public_url, settings.exports.license_url, signing_key_of(request))


def signing_key_of(request: Request) -> SigningKey | None:
    """The key that attestations are signed with, if there is one."""
    return cast("SigningKey | None", request.app.state.signing_key)


_SCHEMAS: Final = {
    # Any, because generated clients read no YAML: they hand on its bytes.
    YAML: {"description": "A card's model-index is a mapping, a file of evaluation results a list."},
    **{media: {"type": "object"} for media in (JSON_LD, STATEMENT, ENVELOPE)},
}
BenchmarkDep = Annotated[Benchmark, Depends(_benchmark)]
ServiceDep = Annotated[Service, Depends(_service)]
_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The document, in the media type of its format.",
        "content": {media: {"schema": schema, "examples": EXAMPLES[media]} for media, schema in _SCHEMAS.items()},
    }
}


@public.get(
    PAPER_PATH + "/export/{format}",
    operation_id="exportPaper",
    response_class=Response,
    responses=problems(308, 404, 422) | _CONTENT,
)
def export_paper(
    request: Request,
    session: SessionDep,
    service: ServiceDep,
    benchmark: BenchmarkDep,
    ref: PaperIdDep,
    format: ExportFormat,  # noqa: A002  # the address's own word
    claim: ClaimQuery = None,
    kind: KindQuery = None,
) -> Response:
    """A paper's verdict for others to take along: its own `verdict`, or the one that stands for a claim and kind.

    `model-index` holds the standing verdict of every claim, unless one is named; the other formats hold one verdict.
    """
    place = f"export/{format.value}"
    if format is ExportFormat.model_index:
        subjects = subjects_of_paper(session, ref, claim, kind, place)
    else:
        subjects = [subject_of_paper(session, ref, claim, kind, place)]
    return _reply(request, session, format, subjects, service, benchmark)


@public.get(
    "/verdicts/{verdict_id}/export/{format}",
    operation_id="exportVerdict",
    response_class=Response,
    responses=problems(404, 422) | _CONTENT,
)
def export_verdict(
    request: Request,
    session: SessionDep,
    service: ServiceDep,
    benchmark: BenchmarkDep,
    verdict_id: UUID,
    format: ExportFormat,  # noqa: A002  # the address's own word
) -> Response:
    """One verdict, also one that has been superseded, for others to take along."""
    return _reply(request, session, format, [subject_of_verdict(session, verdict_id)], service, benchmark)


@well_known.get(
    KEY_PATH,
    operation_id="getSigningKey",
    response_class=Response,
    responses=problems(404) | {200: {"description": "Ed25519, PEM.", "content": {PEM: {"schema": {"type": "string"}}}}},
)
def get_signing_key(request: Request) -> Response:
    """The public key that attestations of this service are signed with."""
    key = signing_key_of(request)
    if key is None:
        raise NoSigningKeyError
    return reply(request, key.public_pem, media_type=PEM)


def _reply(
    request: Request,
    session: Session,
    wanted: ExportFormat,
    subjects: list[Subject],
    service: Service,
    benchmark: Benchmark,
) -> Response:
    body, media_type = render(session, wanted, subjects, service, benchmark)
    more = {
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'inline; filename="{FILE_NAMES[wanted]}"',
    }
    return reply(request, body, media_type=media_type, more=more)
