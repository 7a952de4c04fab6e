"""Asking for runs and following them to their ends: by server-sent events, and by polling where there are none."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import httpx
from pydantic import ValidationError

from app.client.calls import Id, events_request, reproduction, request_reproduction, verdict
from app.client.effects import Close, Effect, Emit, Event, NextEvent, OnProgress, Open, Program, Response, Sleep, Tell
from app.client.errors import NoVerdictError
from app.client.models import Reproduction, Verdict
from app.client.patience import OnOutage, Patience, patiently
from app.client.programs import Context, Items, answered, exchange, read

Report = Callable[[Reproduction], Effect]
LONGEST_WAIT_S: Final = 25
"""What `Prefer: wait` asks for where nobody watches the run's progress."""
POLL_S: Final = 1.0
"""Between two looks, where the service names no time."""
MOST_SILENT: Final = 2
"""So many connections in a row without an event, and events are given up: something between holds them back."""
_STREAM: Final = "text/event-stream"
_OK: Final = 200
_FIRST_SERVER_ERROR: Final = 500


def reproduce(
    context: Context,
    paper: str,
    *,
    driver: str | None = None,
    claim: Id | None = None,
    kind: str | None = None,
    slice_size: int | None = None,
    priority: int | None = None,
    force: bool = False,
    wait: bool = False,
    on_progress: OnProgress | None = None,
    on_outage: OnOutage | None = None,
    idempotency_key: str | None = None,
) -> Program[Reproduction]:
    """Ask for a reproduction; what is left out is as the service has it: the headline claim, its only driver, POST.

    With `wait`, returns when the run has ended, well or not: `verdict_of` gives its verdict or says why there is none.
    `on_progress` is called with the run whenever something about it has changed. A service that goes away meanwhile is
    waited for, for `Retries.outage_s`; then LostSightError is raised. `on_outage` is called with an Outage whenever it
    was not there, and with None once it is back.
    """
    wanted = {
        "driver": driver,
        "claim": claim,
        "kind": kind,
        "slice_size": slice_size,
        "priority": priority,
        "force": force or None,
    }
    run = yield from exchange(context, request_reproduction(paper, wanted, idempotency_key))
    sight = _Sight(context, run.id, _telling(on_progress), on_outage)
    return (yield from _follow(sight, known=True)) if wait else run


def wait_for(
    context: Context,
    reproduction_id: Id,
    *,
    on_progress: OnProgress | None = None,
    on_outage: OnOutage | None = None,
) -> Program[Reproduction]:
    """The run when it has ended, well or not. `on_progress` and `on_outage` are called as `reproduce` says."""
    return _follow(_Sight(context, reproduction_id, _telling(on_progress), on_outage))


def updates(context: Context, reproduction_id: Id, *, on_outage: OnOutage | None = None) -> Items[Reproduction]:
    """The run as it is now, and again whenever something about it has changed, until it has ended.

    `on_outage` is called as `reproduce` says.
    """
    return Items(_drop(_follow(_Sight(context, reproduction_id, Emit, on_outage))))


def verdict_of(context: Context, run: Reproduction) -> Program[Verdict]:
    """The verdict of a run, also where the service is away for a while. Raises NoVerdictError where it has none."""
    if run.verdict_id is None:
        raise NoVerdictError(run)
    return (yield from patiently(context, verdict(run.verdict_id), run.id))


class _Sight:
    """What has been seen of a run."""

    def __init__(self, context: Context, run_id: Id, report: Report | None, on_outage: OnOutage | None) -> None:
        self.context, self.run_id, self.report = context, run_id, report
        self.patience: Final = Patience(context, run_id, on_outage)
        self.last: Reproduction | None = None

    @property
    def is_over(self) -> bool:
        return self.last is not None and self.last.done

    def see(self, run: Reproduction) -> Program[None]:
        """Report the run, unless that is no news."""
        if self.last is not None and (run == self.last or _age(run) < _age(self.last)):
            return
        self.last = run
        if self.report is not None:
            yield self.report(run)

    def look(self) -> Program[None]:
        """Ask for the run, through outages."""
        call = reproduction(self.run_id)
        yield from self.see((yield from self.patience.through(lambda patient: exchange(patient, call))))


def _age(run: Reproduction) -> tuple[bool, int, int]:
    """Grows: of an event that was stored and the state that was read, the later one counts."""
    return run.done, run.attempt, run.progress.done


def _telling(listener: OnProgress | None) -> Report | None:
    return partial(Tell, listener) if listener is not None else None


def _drop(program: Program[object]) -> Program[None]:
    yield from program


def _follow(sight: _Sight, *, known: bool = False) -> Program[Reproduction]:
    if known:
        yield from sight.look()
    else:  # an address that was mistyped is no outage
        yield from sight.see((yield from exchange(sight.context, reproduction(sight.run_id))))
    while not sight.is_over:
        yield from _by_events(sight)
        if not sight.is_over:
            yield from _by_polling(sight)
    assert sight.last is not None  # noqa: S101  # it was looked at
    return sight.last


@dataclass(slots=True)
class _Heard:
    """What has come of streams."""

    last_id: str = ""
    anything: bool = False
    """Whether the latest one told anything about the run."""


def _by_events(sight: _Sight) -> Program[None]:
    """Follow until the run has ended or events are not to be had; then the stream is closed."""
    silent, heard = 0, _Heard()
    while silent < MOST_SILENT:
        outages = sight.patience.outages
        found = yield from _listen(sight, heard)
        if sight.is_over or found == "refused":
            break
        yield Sleep(sight.context.retries.wait_s(0, None) or POLL_S)
        if found != "stream":
            yield from sight.look()
        if heard.anything or sight.patience.outages > outages:
            silent = 0  # a service that was away holds no events back
        elif found == "unavailable":
            break
        else:
            silent += 1
    yield Close()


def _listen(sight: _Sight, heard: _Heard) -> Program[Literal["stream", "broken", "unavailable", "refused"]]:
    """Open a stream and follow it to its end; what was found instead, where there is none."""
    heard.anything = False
    try:
        response: Response = yield Open(events_request(sight.run_id, heard.last_id))
    except httpx.RequestError:
        return "broken"
    if not _is_stream(response):
        return "unavailable" if response.status >= _FIRST_SERVER_ERROR else "refused"
    # What changed before the stream stood is in no event of it.
    yield from sight.look()
    while not sight.is_over:
        try:
            event: Event | None = yield NextEvent()
        except httpx.RequestError:
            break
        if event is None:
            break
        heard.last_id = event.id or heard.last_id
        if (run := _run_in(event)) is not None:
            heard.anything = True
            yield from sight.see(run)
    return "stream"


def _is_stream(response: Response) -> bool:
    return response.status == _OK and response.headers.get("content-type", "").startswith(_STREAM)


def _run_in(event: Event) -> Reproduction | None:
    if not event.name.startswith("reproduction."):
        return None
    try:
        return Reproduction.model_validate_json(event.data)
    except ValidationError:
        return None


def _by_polling(sight: _Sight) -> Program[None]:
    """Follow until the run has ended, or the service was away: then there may be events again."""
    call = reproduction(sight.run_id, wait_s=0 if sight.report else LONGEST_WAIT_S)
    outages = sight.patience.outages
    while sight.patience.outages == outages:
        response = yield from sight.patience.through(lambda patient: answered(patient, call.request))
        yield from sight.see(read(call, response))
        if sight.is_over:
            return
        if "preference-applied" not in response.headers:
            yield Sleep(max(_seconds(response), POLL_S / 10))


def _seconds(response: Response) -> float:
    named = response.headers.get("retry-after", "")
    return float(named) if named.isdecimal() else POLL_S
