"""What can go wrong with streams of events."""

from http import HTTPStatus

from app.core.errors import AppError

_COME_BACK_S = "5"


class EventsGoneError(AppError):
    """The log does not go on from there: what came after is forgotten, or the log is another one."""

    status = HTTPStatus.GONE
    code = "events_gone"
    title = "The events after this one are not kept any more"

    def __init__(self, since: int) -> None:
        detail = (
            f"The log of events does not go on from {since}. Read the present state, and connect again without "
            "Last-Event-ID, or with 0 for everything that is kept."
        )
        super().__init__(detail)


class TooManyStreamsError(AppError):
    """As many streams are open as this process holds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "too_many_streams"
    title = "Too many event streams are open"

    def __init__(self) -> None:
        detail = "As many event streams are open as this process holds; try again in a moment, or poll."
        super().__init__(detail, headers={"Retry-After": _COME_BACK_S})


class TooManyStreamsOfAddressError(AppError):
    """One address has as many streams as it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_streams_of_address"
    title = "Too many event streams are open from this address"

    def __init__(self, most: int) -> None:
        detail = f"This address has {most} event streams open, which is as many as it may; close one, or poll."
        super().__init__(detail, headers={"Retry-After": _COME_BACK_S})
