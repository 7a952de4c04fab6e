"""What can go wrong with claims."""

from http import HTTPStatus

from app.core.errors import AppError, FieldError


class ClaimNotFoundError(AppError):
    """No such claim."""

    status = HTTPStatus.NOT_FOUND
    code = "claim_not_found"
    title = "No such claim"


class ClaimExistsError(AppError):
    """The same number of the same cell is registered already."""

    status = HTTPStatus.CONFLICT
    code = "claim_exists"
    title = "The claim is registered already"


class ClaimValueError(AppError):
    """A number that cannot be what it is said to be."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "claim_value_invalid"
    title = "The reported value cannot be"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[FieldError(field="body.reported_value", detail=detail, code=self.code)])


class GrimError(ClaimValueError):
    """No k out of N rounds to the reported value."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "claim_value_impossible"
    title = "No count gives the reported value"


class ClaimsFileError(AppError):
    """A file of claims that cannot be brought in, with an error for every bad field of every claim."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "claims_file_invalid"
    title = "The file's claims cannot be registered"
