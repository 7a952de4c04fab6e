"""What can go wrong with verdicts."""

from http import HTTPStatus
from uuid import UUID

from app.core.errors import AppError, FieldError


class VerdictNotFoundError(AppError):
    """No such verdict."""

    status = HTTPStatus.NOT_FOUND
    code = "verdict_not_found"
    title = "No such verdict"

    def __init__(self, verdict_id: UUID) -> None:
        super().__init__(f"There is no verdict {verdict_id}; GET /v1/verdicts lists them.")


class NoEvidenceError(AppError):
    """The verdict came with an imported document, which carries no evidence."""

    status = HTTPStatus.NOT_FOUND
    code = "evidence_not_found"
    title = "The verdict has no evidence here"

    def __init__(self, verdict_id: UUID) -> None:
        super().__init__(f"Verdict {verdict_id} was imported with its paper document, which carries no evidence.")


class NotAcceptableError(AppError):
    """None of the media types that predictions come in."""

    status = HTTPStatus.NOT_ACCEPTABLE
    code = "not_acceptable"
    title = "Not one of the formats there are"


class EvidenceError(AppError):
    """Posted evidence that cannot be: impossible counts, unknown labels, items that repeat."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "evidence_invalid"
    title = "The evidence cannot be"

    def __init__(self, detail: str, *, field: str = "body.evidence") -> None:
        super().__init__(detail, errors=[FieldError(field=field, detail=detail, code=self.code)])


class LabelMapError(AppError):
    """The labels look permuted."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "label_map_suspect"
    title = "The label mapping looks wrong"


class MetricError(AppError):
    """A claim about a metric that nothing here measures yet."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "metric_unsupported"
    title = "The claim's metric is not measured here"


class SupersededImportError(AppError):
    """The import would take over from a verdict that is newer than itself."""

    status = HTTPStatus.CONFLICT
    code = "import_outdated"
    title = "A newer verdict stands"


class ImportConflictError(AppError):
    """The document says something else than what is stored under the same id."""

    status = HTTPStatus.CONFLICT
    code = "import_conflict"
    title = "The document contradicts what is stored"


class DataDifferError(AppError):
    """Two verdicts that were measured on different data."""

    status = HTTPStatus.CONFLICT
    code = "data_differ"
    title = "The verdicts were measured on different data"


class NoCommonItemsError(AppError):
    """Two verdicts without an item that both of them measured."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "no_common_items"
    title = "There is nothing to compare item by item"
