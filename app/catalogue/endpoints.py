"""Paper documents of other services over HTTP."""

from typing import Any, Final

from fastapi import Request, Response

from app.access.idempotency import OnceDep
from app.access.routes import protected_router
from app.access.scopes import Scope
from app.catalogue.errors import CatalogueError, DocumentError
from app.catalogue.import_document import DocumentFile, DocumentImported, import_document, parse_document
from app.core.etag import reply_model
from app.core.web import BodyDep, SessionDep, problems

protected = protected_router(Scope.admin, tags=["papers"])
_DOCUMENT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The paper document, as GET /v1/papers/{id} of the other service answers it.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PaperDocumentRead"}}},
    }
}


@protected.post(
    "/papers:import",
    operation_id="importDocument",
    response_model=DocumentImported,
    responses=problems(409, 415, 422),
    openapi_extra=_DOCUMENT,
)
def post_document(request: Request, session: SessionDep, body: BodyDep, once: OnceDep) -> Response:
    """Bring in a paper document of another service: the paper, its version, claims and verdicts, ids and times kept.

    Its verdicts are taken at that service's word, so it takes an administrator's key. Doing so twice is fine.
    """
    document = _parsed(body)

    def respond() -> Response:
        done = import_document(session, document)
        response = reply_model(request, done)
        response.headers["Location"] = f"/v1/papers/{done.arxiv_id}"
        return response

    return once(document, respond)


def _parsed(body: bytes) -> DocumentFile:
    """The document, with its numbers as they are printed. Raises DocumentError."""
    try:
        return parse_document(body.decode())
    except UnicodeDecodeError as error:
        raise DocumentError(f"It is not UTF-8: byte {error.start} is none of it.") from error
    except CatalogueError as error:
        raise DocumentError(f"{error}.") from error
