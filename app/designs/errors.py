"""What can go wrong with designs."""

from http import HTTPStatus

from app.core.errors import AppError, FieldError


class DesignValueError(AppError):
    """A number that is no share of a whole."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "design_value_invalid"
    title = "The reported value cannot be"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[FieldError(field="body.reported_value", detail=detail, code=self.code)])
