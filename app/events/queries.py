"""Reading the log of events, and the runs that move."""

from collections.abc import Collection, Sequence
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, column, func, literal_column, select, true
from sqlalchemy.orm import Session

from app.events.told import EventType, Told, Wanted
from app.models import Driver, Event, Paper, PaperVersion, Reproduction, ReproductionState, Verdict
from app.reproductions.queries import READ, READ_PLACED, read_reproduction, run_read
from app.reproductions.turns import RUNS, WAITS, queue_position
from app.verdicts.queries import read_verdicts
from app.verdicts.schemas import VerdictRead

_AS_ISSUED: Final = {"is_current": True, "superseded_by": None, "superseded_at": None}
# The row of a run as it was: what the snapshot leaves out never changes, or has come to its end.
_WAS = func.jsonb_populate_record(literal_column("reproductions"), Event.snapshot).table_valued(
    *(column(one.name, one.type) for one in Reproduction.__table__.columns), name="was"
)
_WAITS_STILL = and_(Event.type == EventType.queued, Reproduction.state == ReproductionState.queued)
_RUN_EVENTS = (
    select(
        Event.position.label("event_position"),
        *_WAS.c,
        Paper.arxiv_id.label("paper_arxiv_id"),
        PaperVersion.version.label("version"),
        Driver.slug.label("slug"),
        case((Event.type == EventType.finished, Verdict.id)).label("verdict_id"),
        case((Event.type == EventType.finished, Verdict.status)).label("verdict_status"),
        case((_WAITS_STILL, queue_position())).label("queue_position"),
    )
    .select_from(Event)
    .join(Reproduction, Reproduction.id == Event.reproduction_id)
    .join(_WAS, true())
    .join(Paper, Paper.id == Reproduction.paper_id)
    .join(PaperVersion, PaperVersion.id == Reproduction.paper_version_id)
    .join(Driver, Driver.id == Reproduction.driver_id)
    .outerjoin(Verdict, Verdict.reproduction_id == Reproduction.id)
)
_VERSION: Final = literal_column("reproductions.id || ' ' || reproductions.xmin", Reproduction.request_id.type)


def hold_still(session: Session) -> None:
    """Have all that this session reads be of one moment."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def last_position(session: Session, run_id: UUID | None = None) -> int:
    """The position of the newest event, or of a run's newest; 0 where there is none."""
    query = select(func.coalesce(func.max(Event.position), 0))
    return session.scalars(query.where(Event.reproduction_id == run_id) if run_id else query).one()


def first_position(session: Session) -> int:
    """The position of the oldest event that is kept; 0 where there is none."""
    return session.scalars(select(func.coalesce(func.min(Event.position), 0))).one()


def read_events(session: Session, wanted: Wanted, *, after: int, upto: int, limit: int) -> list[Told]:
    """The events behind `after` up to `upto`, in their order, `limit` of them at most.

    A run is told as it was then; a verdict as it was issued, or as it was superseded. What is forgotten between the two
    reads, because it has become too old, is left out.
    """
    query = select(Event).where(Event.position > after, Event.position <= upto, *_conditions(wanted))
    rows = session.scalars(query.order_by(Event.position).limit(limit)).all()
    runs = _runs_as_they_were(session, [row.position for row in rows if row.reproduction_id is not None])
    verdicts = read_verdicts(session, {row.verdict_id for row in rows if row.verdict_id is not None})
    return [
        Told(
            type=EventType(row.type),
            paper_id=row.paper_id,
            kind=row.kind,
            run_id=row.reproduction_id,
            data=runs[row.position] if row.verdict_id is None else _verdict_data(row.type, verdicts[row.verdict_id]),
            position=row.position,
        )
        for row in rows
        if row.position in runs or row.verdict_id in verdicts
    ]


def read_present(session: Session, run_id: UUID) -> tuple[Told, int]:
    """The run as it is, told as the event that made it so, and that event's position; 0 where it is forgotten.

    Both are of one moment where the session holds still. Raises ReproductionNotFoundError.
    """
    run, last = read_reproduction(session, run_id), last_position(session, run_id)
    kind = EventType.finished if run.done else EventType(f"reproduction.{run.state}")
    row = session.get_one(Reproduction, run_id)
    told = Told(
        type=kind,
        paper_id=row.paper_id,
        kind=row.kind,
        run_id=run_id,
        data=run.model_dump_json(),
        position=last or None,
    )
    return told, last


def read_moving(session: Session, known: Collection[str], only: Collection[UUID] | None) -> list[tuple[str, Told]]:
    """The runs that run and have changed since these versions, each with its version; `only` these, where given."""
    query = READ.add_columns(_VERSION).where(RUNS, _VERSION.not_in(known))
    query = query.where(Reproduction.id.in_(only)) if only is not None else query
    rows = session.execute(query).all()
    return [(version, _progress(row[0], run_read(*row[:6]).model_dump_json())) for *row, version in rows]


def read_waiting(session: Session, known: Collection[str], only: Collection[UUID]) -> list[tuple[str, Told]]:
    """Those of these runs that wait, each with its place as its version, but for what is known."""
    rows = session.execute(READ_PLACED.where(WAITS, Reproduction.id.in_(only))).all() if only else []
    found = ((f"{row[0].id} at {place}", row, place) for *row, place in rows)
    return [
        (version, _progress(row[0], run_read(*row, position=place).model_dump_json()))
        for version, row, place in found
        if version not in known
    ]


def _progress(run: Reproduction, data: str) -> Told:
    return Told(type=EventType.progress, paper_id=run.paper_id, kind=run.kind, run_id=run.id, data=data)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.types:
        found.append(Event.type.in_(wanted.types))
    if wanted.paper_id is not None:
        found.append(Event.paper_id == wanted.paper_id)
    if wanted.kind is not None:
        found.append(Event.kind == wanted.kind)
    if wanted.run_id is not None:
        found.append(Event.reproduction_id == wanted.run_id)
    return found


def _runs_as_they_were(session: Session, positions: Sequence[int]) -> dict[int, str]:
    rows = session.execute(_RUN_EVENTS.where(Event.position.in_(positions))).all() if positions else []
    return {row.event_position: _run_data(row) for row in rows}


def _run_data(row: Any) -> str:  # noqa: ANN401  # a row that has the columns of a run
    run = cast("Reproduction", row)
    facts = (row.paper_arxiv_id, row.version, row.slug, row.verdict_id, row.verdict_status)
    return run_read(run, *facts, position=row.queue_position).model_dump_json()


def _verdict_data(kind: str, verdict: VerdictRead) -> str:
    told = verdict.model_copy(update=_AS_ISSUED) if kind == EventType.issued else verdict
    # The id of a paper holds nothing that JSON would have to escape (app.papers.ids).
    return f'{{"paper":"{verdict.paper_arxiv_id}","verdict":{told.model_dump_json()}}}'
