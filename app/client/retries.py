"""When a request is sent again, and after how long."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import SystemRandom

import httpx

from app.client.effects import Request, Response

REFUSED_FOR_NOW = 429
UNAVAILABLE = 503
_CONFLICT = 409
IDEMPOTENCY = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `most` repetitions. The wait before each is random up to `first_s`, then twice that, and so on.

    A `Retry-After` is the least that is waited; one of more than `longest_s` is not waited for: the error is raised.
    Whoever follows a run puts up with a service that does not answer, or answers 5xx, for `outage_s`, as often as it
    happens: long enough for a restart, and for an upgrade.
    """

    most: int = 4
    first_s: float = 0.5
    longest_s: float = 60.0
    outage_s: float = 300.0

    def wait_s(self, attempt: int, retry_after_s: float | None) -> float | None:
        """Seconds to wait after this attempt (the first is 0); None where it was the last."""
        if attempt >= self.most or (retry_after_s or 0.0) > self.longest_s:
            return None
        spread = SystemRandom().uniform(0.0, min(self.first_s * 2.0**attempt, self.longest_s))
        return spread if retry_after_s is None else retry_after_s + min(spread, 1.0)


def may_repeat(request: Request) -> bool:
    """Whether sending it twice does no more than sending it once."""
    return request.method in {"GET", "HEAD"} or IDEMPOTENCY in request.headers


def was_refused(request: Request, response: Response) -> bool:
    """Whether the answer is no answer yet: the same request may be answered later."""
    if response.status == REFUSED_FOR_NOW:
        return True  # nothing was done, whatever it was
    if response.status == UNAVAILABLE:
        return may_repeat(request)
    # The first request with this key is still at work.
    return response.status == _CONFLICT and IDEMPOTENCY in request.headers and "retry-after" in response.headers


def never_arrived(error: httpx.TransportError) -> bool:
    """Whether nothing of the request can have reached the service."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def retry_after_of(response: Response, now: datetime | None = None) -> float | None:
    """Seconds of `Retry-After`, given as a number or as a date; None where there is none that can be read."""
    text = response.headers.get("retry-after")
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())
