"""What can go wrong with drivers."""

from http import HTTPStatus

from app.core.errors import AppError


class DriverNotFoundError(AppError):
    """No such driver."""

    status = HTTPStatus.NOT_FOUND
    code = "driver_not_found"
    title = "No such driver"


class NoDriverError(AppError):
    """A claim that nothing re-measures yet."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "claim_without_driver"
    title = "No driver re-measures this claim"


class DriverMismatchError(AppError):
    """A driver that re-measures another claim."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "driver_of_other_claim"
    title = "The driver re-measures another claim"
