"""Putting up with a service that does not answer for a while, as when it is restarted, of whoever follows a run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count
from random import SystemRandom
from time import monotonic
from typing import Any, Final, TypeVar

from app.client.calls import Call, Id
from app.client.effects import Program, Sleep, Tell
from app.client.errors import LostSightError, ProblemError, TooManyRequestsError, UnavailableError, UnreachableError
from app.client.programs import Context, exchange, text

Result = TypeVar("Result")
LONGEST_PAUSE_S: Final = 5.0
"""Between two tries: a service that is back is found no later."""


@dataclass(frozen=True, slots=True)
class Outage:
    """The service does not answer, or answers that it cannot."""

    reason: str
    lasted_s: float
    left_s: float
    """So much longer it is put up with."""


OnOutage = Callable[[Outage | None], Awaitable[object] | object]
"""Is called with the outage at each try that fails, and with None once the service answers again."""


class Patience:
    """What whoever follows a run puts up with: `Retries.outage_s`, anew for each outage."""

    def __init__(self, context: Context, run_id: Id, on_outage: OnOutage | None = None) -> None:
        self.outages = 0
        """How many it has been through."""
        # Each try is one request: how long to go on is decided here.
        self.context = replace(context, retries=replace(context.retries, most=0))
        self._run_id, self._on_outage = run_id, on_outage
        self._most_s = context.retries.outage_s

    def through(self, make: Callable[[Context], Program[Result]]) -> Program[Result]:
        """What the program comes to once the service answers. Raises LostSightError where it does not in time."""
        began: float | None = None
        for attempt in count():
            now = monotonic()
            try:
                result = yield from make(self.context)
            except (UnreachableError, UnavailableError, TooManyRequestsError) as error:
                began = now if began is None else began
                lasted_s = monotonic() - began
                if lasted_s >= self._most_s:
                    raise LostSightError(self.context.server, self._run_id, lasted_s, _reason(error)) from error
                yield from self._tell(Outage(_reason(error), lasted_s, self._most_s - lasted_s))
                yield Sleep(min(self._pause_s(attempt, error), self._most_s - lasted_s))
            else:
                if began is not None:
                    self.outages += 1
                    yield from self._tell(None)
                return result
        raise AssertionError

    def _pause_s(self, attempt: int, error: Exception) -> float:
        asked_s = error.retry_after_s if isinstance(error, ProblemError) else None
        most_s = min(self.context.retries.first_s * 2.0 ** min(attempt, 10), LONGEST_PAUSE_S)
        spread_s = most_s * SystemRandom().uniform(0.5, 1.0)
        return max(asked_s or 0.0, spread_s)

    def _tell(self, outage: Outage | None) -> Program[None]:
        if self._on_outage is not None:
            yield Tell(self._on_outage, outage)


def patient_text(context: Context, call: Call[Any], run_id: Id, *, on_outage: OnOutage | None = None) -> Program[str]:
    """Make a call about a run; its answer as the service sent it, also after an outage."""
    return Patience(context, run_id, on_outage).through(lambda patient: text(patient, call))


def patiently(context: Context, call: Call[Result], run_id: Id) -> Program[Result]:
    """Make a call about a run; what it gives, also after an outage."""
    return Patience(context, run_id).through(lambda patient: exchange(patient, call))


def _reason(error: UnreachableError | ProblemError) -> str:
    return error.detail if isinstance(error, ProblemError) else str(error)
