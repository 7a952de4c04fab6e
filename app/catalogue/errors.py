"""What can go wrong with files that are brought in."""

from http import HTTPStatus

from app.core.errors import AppError


class CatalogueError(Exception):
    """A file of the catalogue, or a document, cannot be used. The message names the file and what to mend."""


class DocumentError(AppError):
    """A paper document that came over HTTP and is none."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "document_invalid"
    title = "The body is no paper document"
