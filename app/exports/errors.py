"""What can go wrong with exports."""

from http import HTTPStatus

from app.core.errors import AppError, FieldError


class NoVerdictError(AppError):
    """Nothing to export: the paper has no verdict, or none of this claim or kind."""

    status = HTTPStatus.NOT_FOUND
    code = "no_verdict"
    title = "There is no verdict to export"


class ExportTooLargeError(AppError):
    """More verdicts than one document holds."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "export_too_large"
    title = "Too many verdicts for one document"


class DatasetUnknownError(AppError):
    """The format needs an id of the Hugging Face hub, and nobody has said which one the data set has."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "dataset_unknown"
    title = "The data set's id on the hub is not known"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[FieldError(field="query.dataset_id", detail=detail, code=self.code)])


class NoSigningKeyError(AppError):
    """Attestations of this service are not signed."""

    status = HTTPStatus.NOT_FOUND
    code = "signing_key_not_configured"
    title = "This service signs nothing"

    def __init__(self) -> None:
        super().__init__("No signing key is configured here; attestations are unsigned, and say so.")


class ExportsBusyError(AppError):
    """Others are downloading the whole data set already."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "exports_busy"
    title = "Too many downloads at once"

    def __init__(self, most: int) -> None:
        detail = f"{most} downloads of the data set are under way; try again in a minute."
        super().__init__(detail, headers={"Retry-After": "60"})
