"""Events over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import Depends, Header, Query, Request, Response
from sqlalchemy.orm import Session

from app.access.address import limited_as
from app.access.routes import gate_of, public_router
from app.core.db import Database
from app.core.settle import settle
from app.core.web import SessionDep, problems
from app.events.errors import EventsGoneError
from app.events.feed import Feed
from app.events.queries import first_position, hold_still, last_position, read_present
from app.events.slots import Slots
from app.events.stream import MEDIA_TYPE, EventStream
from app.events.told import EventType, Wanted
from app.models import VerdictKind
from app.papers.errors import VersionSuffixError
from app.papers.find import find_present_paper
from app.papers.ids import PaperRef
from app.protocol.paper_ids import LONGEST_ID, PAPER_ID

public = public_router(tags=["events"])

_POSITION: Final = r"^[0-9]{0,18}$"
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Messages with `id` (where to go on from; what passes has none), `event` and `data`, one line "
        "of JSON; `retry` at the beginning, comments as signs of life.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": "retry: 2000\nid: 41\n\nevent: reproduction.queued\ndata: {...}\nid: 42\n\n",
            }
        },
    }
}


def get_since(
    header: Annotated[
        str,
        Header(alias="Last-Event-ID", pattern=_POSITION, description="The id of the last event that was heard."),
    ] = "",
    query: Annotated[
        str,
        Query(
            alias="last_event_id",
            pattern=_POSITION,
            description="The same, for a first connection, to which browsers add no header. 0 is the whole log.",
        ),
    ] = "",
) -> int | None:
    """The event to go on from; the header counts, where there are both."""
    given = header or query
    return int(given) if given else None


async def take_slot(request: Request) -> AsyncIterator[None]:
    """A place among the streams, until the stream has ended."""
    slots = cast("Slots", request.app.state.streams)
    with slots.take(limited_as(gate_of(request).address_of(request.scope))):
        yield


def get_feed(request: Request) -> Feed:
    """The feed of the process."""
    return cast("Feed", request.app.state.feed)


SlotDep = Annotated[None, Depends(take_slot)]
FeedDep = Annotated[Feed, Depends(get_feed)]
SinceDep = Annotated[int | None, Depends(get_since)]


@public.get(
    "/events",
    operation_id="streamEvents",
    response_class=EventStream,
    status_code=200,
    responses=problems(404, 410, 422, 503) | _STREAM,
)
def get_events(
    _slot: SlotDep,
    session: SessionDep,
    feed: FeedDep,
    since: SinceDep,
    types: Annotated[
        list[EventType] | None, Query(alias="type", description="Only these; may be given several times.")
    ] = None,
    paper: Annotated[
        str | None,
        Query(description="Only of this paper.", json_schema_extra={"pattern": PAPER_ID, "maxLength": LONGEST_ID}),
    ] = None,
    kind: VerdictKind | None = None,
) -> Response:
    """What happens to runs and verdicts, as it happens; after `Last-Event-ID`, first what happened since.

    The data of `reproduction.*` is the run, as GET /v1/reproductions/{id} shows it; of `verdict.*` it is
    `{"paper": id, "verdict": ...}`, the verdict as GET /v1/verdicts/{id} shows it, each as it was at that moment.
    `reproduction.progress` has no id and is not told again.
    """
    hold_still(session)
    paper_id = _paper_id(session, paper) if paper is not None else None
    wanted = Wanted(types=frozenset(types or ()), paper_id=paper_id, kind=kind)
    return EventStream(feed, wanted, last_position(session) if since is None else _kept(session, since))


@public.get(
    "/reproductions/{reproduction_id}/events",
    operation_id="streamReproductionEvents",
    response_class=EventStream,
    status_code=200,
    responses=problems(404, 410, 422, 503)
    | _STREAM
    | {204: {"description": "The run has finished, and the client knows of it: there is nothing to come again for."}},
)
def get_reproduction_events(
    request: Request, _slot: SlotDep, session: SessionDep, feed: FeedDep, since: SinceDep, reproduction_id: UUID
) -> Response:
    """One run: first as it is, then how it goes on; the stream ends after `reproduction.finished`."""
    hold_still(session)
    present, last = read_present(session, reproduction_id)
    wanted = Wanted(run_id=reproduction_id)
    if present.type is EventType.finished:
        # Who is told that the run has ended reads its verdict next, perhaps from another process.
        settle(cast("Database", request.app.state.database).engine)
    if since is None:
        return EventStream(feed, wanted, last, [present], over=present.type is EventType.finished)
    _kept(session, since)
    if since < last:
        return EventStream(feed, wanted, since)
    if present.type is EventType.finished:
        return Response(status_code=204)
    runs = present.type is EventType.running
    return EventStream(feed, wanted, since, [replace(present, type=EventType.progress, position=None)] if runs else [])


def _kept(session: Session, since: int) -> int:
    """The position, where the log goes on from it without a gap. Raises EventsGoneError."""
    if since and not first_position(session) <= since <= last_position(session):
        raise EventsGoneError(since)
    return since


def _paper_id(session: Session, paper: str) -> UUID:
    ref = PaperRef.parse(paper, field="query.paper")
    if ref.version is not None:
        detail = f"Leave out the v{ref.version}: events are of the paper as a whole."
        raise VersionSuffixError(detail)
    return find_present_paper(session, ref).id
