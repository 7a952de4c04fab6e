"""What can go wrong when the service is asked."""

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from app.client.models import Reproduction
from app.client.problems import FieldProblem, Problem

_WORDS: Final = {"failed": "has failed", "cancelled": "was cancelled", "expired": "has expired"}


class ClientError(Exception):
    """Anything that this client raises of its own."""


class UnreachableError(ClientError):
    """The service did not answer, also not when asked again."""


class LostSightError(UnreachableError):
    """The service went away under somebody who follows a run, for longer than that is put up with. The run goes on."""

    def __init__(self, server: str, run_id: UUID | str, lasted_s: float, reason: str) -> None:
        super().__init__(
            f"{server} has not been there for {lasted_s:.0f} s ({reason}). The run {run_id} goes on without being "
            f'watched: client.wait_for("{run_id}") takes it up again.'
        )
        self.run_id, self.lasted_s, self.reason = UUID(str(run_id)), lasted_s, reason


class UnexpectedAnswerError(ClientError):
    """What answered does not speak this API: another server, or a proxy in between."""


class NoVerdictError(ClientError):
    """The run ended without a verdict. `run.error` says why, where it failed."""

    def __init__(self, run: Reproduction) -> None:
        why = f": {run.error.detail} [{run.error.code}]" if run.error else ""
        words = _WORDS.get(run.state, f"ended as {run.state}") if run.done else "has not ended"
        super().__init__(f"the run {run.id} {words}{why}")
        self.run = run


class ProblemError(ClientError):
    """The service refused. `code` is stable and what software should look at; `detail` says how to mend it.

    `errors` has an entry for each bad field; `request_id` finds the request in the service's log.
    """

    def __init__(self, problem: Problem, *, request_id: str | None, retry_after_s: float | None) -> None:
        super().__init__(f"{problem.detail} [{problem.code}]")
        self.problem = problem
        self.status: int = problem.status
        self.code: str = problem.code
        self.title: str = problem.title
        self.detail: str = problem.detail
        self.errors: list[FieldProblem] = problem.errors or []
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    @property
    def by_field(self) -> dict[str, list[FieldProblem]]:
        """The bad fields by where they are, e.g. `body.reported_value`."""
        found: dict[str, list[FieldProblem]] = defaultdict(list)
        for error in self.errors:
            found[error.field].append(error)
        return dict(found)


class KeyRefusedError(ProblemError):
    """401 or 403: no key, none that is valid, or one that may not do this."""


class NotFoundError(ProblemError):
    """404: no such paper, claim, driver, run or verdict."""


class ConflictError(ProblemError):
    """409 or 412: it contradicts the state of the resource."""


class InvalidError(ProblemError):
    """422: the request makes no sense; `errors` says which fields."""


class TooManyRequestsError(ProblemError):
    """429, after the client has waited as often as it may."""


class UnavailableError(ProblemError):
    """5xx: the service, or what it depends on, is in trouble."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    422: InvalidError,
    429: TooManyRequestsError,
}
_FIRST_SERVER_ERROR = 500


def problem_error(status: int, headers: Mapping[str, str], body: bytes, retry_after_s: float | None) -> ProblemError:
    """The error that an answer is; where its body is no problem document, one is made of its status."""
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        words = HTTPStatus(status).phrase if status in set(HTTPStatus) else "no known status"
        detail = f"The answer was {status} ({words}), without a problem document."
        problem = Problem(type="about:blank", title=words, status=status, detail=detail, code=f"http_{status}")
    kind = UnavailableError if status >= _FIRST_SERVER_ERROR else _BY_STATUS.get(status, ProblemError)
    return kind(problem, request_id=headers.get("x-request-id"), retry_after_s=retry_after_s)
