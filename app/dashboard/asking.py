"""The form that asks for a reproduction: the API's own use case, for a browser without JavaScript.

The key is typed in and travels in the body of this one request. It is kept nowhere, not even in a cookie, so no other
site can have a browser send it: there is nothing to forge a request with.
"""

from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.access.errors import KeyInvalidError, KeyRequiredError
from app.access.routes import Handler, ProtectedRoute
from app.access.scopes import Scope
from app.claims.queries import list_claims
from app.core.db import Database
from app.core.errors import AppError
from app.core.web import DoorbellDep, SessionDep, SettingsDep
from app.core.wrong_values import said_of
from app.dashboard.render import page
from app.dashboard.routes import as_page, page_router
from app.papers.errors import PaperMovedError, PaperNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PAPER_PATH, PaperIdDep, PaperRef
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost

router = page_router()
_FORM: Final = "application/x-www-form-urlencoded"
_FIELDS: Final = "asking_fields"
_LARGEST: Final = 8 * 1024
_CLAIMS: Final = 200
_EMPTY: Final = {"driver": "", "kind": "POST", "slice_size": "", "priority": "5"}


_TYPED: Final[dict[type[AppError], str]] = {
    KeyRequiredError: "Type a key with the scope `reproduce`; `verdicts keys create` makes one.",
    KeyInvalidError: "It is mistyped, revoked, or of another service: type it whole, as `prefix.secret`.",
}
"""What the API says about headers, said about the form."""


class FormError(AppError):
    """Not what this form sends."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "form_unreadable"
    title = "The form could not be read"


class AskingError(AppError):
    """A field of the form that cannot be."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "form_invalid"
    title = "Some fields are not valid"

    def __init__(self, bad: dict[str, str]) -> None:
        super().__init__("See the fields below.")
        self.bad = bad


class FormRoute(ProtectedRoute):
    """A change that is asked for by a form whose field `key` holds the API key."""

    scope = Scope.reproduce

    def get_route_handler(self) -> Handler:
        """The handler behind the same door as the API's: the key is taken out of the form and shown there."""
        handler = super().get_route_handler()

        async def posted(request: Request) -> Response:
            fields = await _read_form(request)
            key = fields.pop("key", "").strip()
            others = [(name, value) for name, value in request.scope["headers"] if name != b"authorization"]
            mine = [(b"authorization", b"Bearer " + key.encode("latin-1", "replace"))] if key else []
            scope = {**request.scope, "headers": [*others, *mine], _FIELDS: fields}
            try:
                return await handler(Request(scope, request.receive))
            except (PaperMovedError, PaperNotFoundError, RequestValidationError):
                raise
            except AppError as error:
                return await run_in_threadpool(_again, request, fields, error)

        async def answered(request: Request) -> Response:
            return await as_page(request, posted)

        return answered


forms = APIRouter(route_class=FormRoute, include_in_schema=False)


async def _read_form(request: Request) -> dict[str, str]:
    """The fields. Raises FormError: only so much is read, before anybody has shown a key."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            break
    if media != _FORM or len(body) > _LARGEST:
        detail = f"It is read as {_FORM}, of {_LARGEST // 1024} KiB at most; the API takes JSON."
        raise FormError(detail)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        detail = "It is not what a browser sends for a form."
        raise FormError(detail) from error


def _again(request: Request, fields: dict[str, str], error: AppError) -> Response:
    """The form once more with what was typed, but for the key, and what is wrong."""
    ref = PaperRef.parse(str(request.path_params["paper_id"]))
    database = cast("Database", request.app.state.database)
    with database.unit_of_work() as session:
        response = _form(request, session, ref, _EMPTY | fields, error)
    response.headers.update(error.headers)
    return response


def _form(
    request: Request, session: Session, ref: PaperRef, fields: dict[str, str], error: AppError | None = None
) -> Response:
    paper = find_paper(session, ref)
    claims = list_claims(session, ref, _CLAIMS, None, paper).items
    return page(
        request,
        "reproduce.html",
        status=int(error.status) if error else HTTPStatus.OK,
        paper=paper,
        ref=ref,
        claims=[claim for claim in claims if claim.drivers],
        claim=None,
        form=fields,
        problem={"title": error.title, "detail": _TYPED.get(type(error), error.detail)} if error else None,
        bad=error.bad if isinstance(error, AskingError) else {},
    )


@router.get(PAPER_PATH + "/reproduce")
def get_form(request: Request, session: SessionDep, ref: PaperIdDep, driver: str = "") -> Response:
    """The form alone, for any claim of the paper that has a driver."""
    kind = "PRE" if ref.is_draft else "POST"
    return _form(request, session, ref, _EMPTY | {"driver": driver[:200], "kind": kind})


@forms.post(PAPER_PATH + "/reproduce", operation_id="requestReproduction")
def post_form(
    request: Request, session: SessionDep, settings: SettingsDep, doorbell: DoorbellDep, ref: PaperIdDep
) -> Response:
    """Ask for a run, and go to its page. While the same one is in flight, to that one's."""
    post = _parsed(request.scope[_FIELDS])
    run_id, _ = request_reproduction(session, ref, post, settings.queue, doorbell, quota=settings.access.quota_runs)
    return Response(status_code=303, headers={"Location": f"/reproductions/{run_id}", "Cache-Control": "no-store"})


def _parsed(fields: dict[str, str]) -> ReproductionPost:
    """The request as the API has it. Raises AskingError."""
    given: dict[str, Any] = {name: value.strip() for name, value in fields.items() if name in _EMPTY and value.strip()}
    bad: dict[str, str] = {}
    for name in ("slice_size", "priority"):
        if name in given:
            try:
                given[name] = int(given[name])
            except ValueError:
                bad[name] = "This has to be a whole number."
    if bad:
        raise AskingError(bad)
    try:
        return ReproductionPost.model_validate(given)
    except ValidationError as error:
        raise AskingError({str(one["loc"][0]): said_of(one) for one in error.errors()}) from error
