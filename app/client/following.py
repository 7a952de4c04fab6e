"""Asking for runs and following them to their ends: by server-sent events, and by polling where there are none."""

from collections.abc import Callable
from functools import partial
from typing import Final

import httpx
from pydantic import ValidationError

from app.client.calls import Id, events_request, reproduction, request_reproduction, verdict
from app.client.effects import Close, Effect, Emit, Event, NextEvent, OnProgress, Open, Program, Response, Sleep, Tell
from app.client.errors import NoVerdictError
from app.client.models import Reproduction, Verdict
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
    idempotency_key: str | None = None,
) -> Program[Reproduction]:
    """Ask for a reproduction; what is left out is as the service has it: the headline claim, its only driver, POST.

    With `wait`, returns when the run has ended, well or not: `verdict_of` gives its verdict or says why there is none.
    `on_progress` is called with the run whenever something about it has changed.
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
    return (yield from wait_for(context, run.id, on_progress=on_progress)) if wait else run


def wait_for(context: Context, reproduction_id: Id, *, on_progress: OnProgress | None = None) -> Program[Reproduction]:
    """The run when it has ended, well or not. `on_progress` is called as `reproduce` says."""
    report = partial(Tell, on_progress) if on_progress is not None else None
    return _follow(context, _Sight(reproduction_id, report))


def updates(context: Context, reproduction_id: Id) -> Items[Reproduction]:
    """The run as it is now, and again whenever something about it has changed, until it has ended."""
    return Items(_drop(_follow(context, _Sight(reproduction_id, Emit))))


def verdict_of(context: Context, run: Reproduction) -> Program[Verdict]:
    """The verdict of a run. Raises NoVerdictError where it has none."""
    if run.verdict_id is None:
        raise NoVerdictError(run)
    return (yield from exchange(context, verdict(run.verdict_id)))


class _Sight:
    """What has been seen of a run."""

    def __init__(self, run_id: Id, report: Report | None) -> None:
        self.run_id, self.report = run_id, report
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

    def look(self, context: Context) -> Program[None]:
        """Ask for the run."""
        yield from self.see((yield from exchange(context, reproduction(self.run_id))))


def _age(run: Reproduction) -> tuple[bool, int, int]:
    """Grows: of an event that was stored and the state that was read, the later one counts."""
    return run.done, run.attempt, run.progress.done


def _drop(program: Program[object]) -> Program[None]:
    yield from program


def _follow(context: Context, sight: _Sight) -> Program[Reproduction]:
    yield from sight.look(context)
    if not sight.is_over:
        yield from _by_events(context, sight)
    if not sight.is_over:
        yield from _by_polling(context, sight)
    assert sight.last is not None  # noqa: S101  # it was looked at
    return sight.last


def _by_events(context: Context, sight: _Sight) -> Program[None]:
    """Follow until the run has ended or events are not to be had; then the stream is closed."""
    silent, last_id = 0, ""
    while silent < MOST_SILENT and not sight.is_over:
        silent += 1
        try:
            response: Response = yield Open(events_request(sight.run_id, last_id))
            if not _is_stream(response):
                break
            # What changed before the stream stood is in no event of it.
            yield from sight.look(context)
            while not sight.is_over:
                event: Event | None = yield NextEvent()
                if event is None:
                    break
                last_id = event.id or last_id
                if (run := _run_in(event)) is not None:
                    silent = 0
                    yield from sight.see(run)
        except httpx.RequestError:
            pass
        if not sight.is_over:
            yield Sleep(context.retries.wait_s(0, None) or POLL_S)
    yield Close()


def _is_stream(response: Response) -> bool:
    return response.status == _OK and response.headers.get("content-type", "").startswith(_STREAM)


def _run_in(event: Event) -> Reproduction | None:
    if not event.name.startswith("reproduction."):
        return None
    try:
        return Reproduction.model_validate_json(event.data)
    except ValidationError:
        return None


def _by_polling(context: Context, sight: _Sight) -> Program[None]:
    call = reproduction(sight.run_id, wait_s=0 if sight.report else LONGEST_WAIT_S)
    while True:
        response = yield from answered(context, call.request)
        yield from sight.see(read(call, response))
        if sight.is_over:
            return
        if "preference-applied" not in response.headers:
            yield Sleep(max(_seconds(response), POLL_S / 10))


def _seconds(response: Response) -> float:
    named = response.headers.get("retry-after", "")
    return float(named) if named.isdecimal() else POLL_S
