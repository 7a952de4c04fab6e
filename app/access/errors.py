"""What can go wrong at the door."""

from http import HTTPStatus
from math import ceil

from app.access.count import Count, standing
from app.access.scopes import Scope
from app.core.errors import AppError

REALM = 'Bearer realm="paper-verdicts"'


class KeyRequiredError(AppError):
    """A request without a key, where one is needed."""

    status = HTTPStatus.UNAUTHORIZED
    code = "key_required"
    title = "An API key is needed"

    def __init__(self) -> None:
        detail = "Send an API key as `Authorization: Bearer prefix.secret`; `verdicts keys create` makes one."
        super().__init__(detail, headers={"WWW-Authenticate": REALM})


class KeyInvalidError(AppError):
    """A key that is none, or none any more."""

    status = HTTPStatus.UNAUTHORIZED
    code = "key_invalid"
    title = "The API key is not valid"

    def __init__(self) -> None:
        detail = (
            "The Authorization header holds no key that is valid here: mistyped, revoked, or of another service. "
            "It has to read `Bearer prefix.secret`; leave it out to read what is public."
        )
        super().__init__(detail, headers={"WWW-Authenticate": f'{REALM}, error="invalid_token"'})


class ScopeMissingError(AppError):
    """A key that may not do this."""

    status = HTTPStatus.FORBIDDEN
    code = "scope_missing"
    title = "The API key may not do this"

    def __init__(self, scope: Scope) -> None:
        detail = f"This takes a key with the scope `{scope}`; ask the operator for one."
        super().__init__(detail, headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'})


class KeyNotFoundError(AppError):
    """No such key."""

    status = HTTPStatus.NOT_FOUND
    code = "key_not_found"
    title = "No such API key"


class RateLimitedError(AppError):
    """Too many requests in a while."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, who: str, wait_s: float, per_minute: int) -> None:
        seconds = max(1, ceil(wait_s))
        detail = (
            f"This {who} has sent as many requests as it may for now, {per_minute} a minute; try again in {seconds} s."
        )
        count = Count(who, per_minute, remaining=0, reset_s=seconds)
        super().__init__(detail, headers={"Retry-After": str(seconds), **standing([count])})


class LimitsUnavailableError(AppError):
    """Nobody counts at present, so nothing is let in that has to be counted."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "rate_limits_unavailable"
    title = "Changes are not accepted at present"

    def __init__(self) -> None:
        detail = (
            "Redis, which counts requests against their limits, does not answer. Reading and asking for "
            "reproductions go on; nothing was changed by this request; try it again."
        )
        super().__init__(detail, headers={"Retry-After": "5"})


class IdempotencyKeyError(AppError):
    """The key was used before, for another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"
    title = "The idempotency key belongs to another request"


class IdempotencyBusyError(AppError):
    """The first request with this key has not come to its end."""

    status = HTTPStatus.CONFLICT
    code = "idempotency_key_in_use"
    title = "The first request with this idempotency key is still being answered"
