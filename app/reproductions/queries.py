"""Reading reproductions."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.orm import Session

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Driver, Paper, PaperVersion, Reproduction, ReproductionState, Verdict, VerdictKind
from app.papers.find import find_present_paper, find_version
from app.papers.ids import PaperRef
from app.protocol.slices import SliceSpec
from app.protocol.status import VerdictStatus
from app.reproductions.errors import ReproductionNotFoundError
from app.reproductions.estimate import running_estimate
from app.reproductions.schemas import Progress, ReproductionRead, ReproductionSummary, RunError
from app.reproductions.turns import QUEUE_ORDER, RUNS, WAITS, places, queue_position

_POSITION = queue_position()
_PLACES: Final = places()
_IN_FLIGHT: Final = (ReproductionState.running, ReproductionState.queued)
_ENDED: Final = [state for state in ReproductionState if state.done]
READ = (
    select(Reproduction, Paper.arxiv_id, PaperVersion.version, Driver.slug, Verdict.id, Verdict.status)
    .join(Paper, Paper.id == Reproduction.paper_id)
    .join(PaperVersion, PaperVersion.id == Reproduction.paper_version_id)
    .join(Driver, Driver.id == Reproduction.driver_id)
    .outerjoin(Verdict, Verdict.reproduction_id == Reproduction.id)
)
"""A run with what `run_read` takes beside it."""
READ_PLACED: Final = READ.add_columns(_PLACES.c.place).outerjoin(_PLACES, _PLACES.c.id == Reproduction.id)
"""The same, with its place in the queue at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproductionFilter:
    """What a list of runs is narrowed to."""

    paper: PaperRef | None = None
    state: ReproductionState | None = None
    kind: VerdictKind | None = None


def read_reproduction(session: Session, reproduction_id: UUID) -> ReproductionRead:
    """One run, with its place in the queue. Raises ReproductionNotFoundError."""
    row = session.execute(READ.where(Reproduction.id == reproduction_id)).one_or_none()
    if row is None:
        raise ReproductionNotFoundError(reproduction_id)
    waiting = row[0].state is ReproductionState.queued
    position = session.scalar(select(_POSITION).where(Reproduction.id == reproduction_id)) if waiting else None
    return run_read(*row, position=position)


def version_statement() -> str:
    """SQL for $1, a run's id: one text that changes whenever anything that `read_reproduction` shows has changed.

    Written out, for a driver without SQLAlchemy. Every change of the row makes a new row version, with another xmin.
    """
    waiting = Reproduction.state == ReproductionState.queued
    statement = (
        select(func.concat_ws(" ", literal_column("reproductions.xmin"), Paper.arxiv_id, case((waiting, _POSITION))))
        .select_from(Reproduction)
        .join(Paper, Paper.id == Reproduction.paper_id)
        .where(Reproduction.id == literal_column("$1"))
    )
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy's own lack
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def list_reproductions(
    session: Session, wanted: ReproductionFilter, limit: int, cursor: str | None, paper: Paper | None = None
) -> Page[ReproductionSummary]:
    """A page of runs, newest first; what each waits for is not counted. `paper` is that of the filter, found before."""
    before = decode_cursor("reproductions", cursor, lambda key: UUID(key[0]))
    query = READ.order_by(Reproduction.id.desc()).limit(limit + 1)
    if wanted.paper is not None:
        paper = paper or find_present_paper(session, wanted.paper)
        query = query.where(Reproduction.paper_id == paper.id)
        if wanted.paper.version is not None:
            version = find_version(session, paper, wanted.paper.version)
            query = query.where(Reproduction.paper_version_id == version.id)
    if wanted.state is not None:
        query = query.where(Reproduction.state == wanted.state)
    if wanted.kind is not None:
        query = query.where(Reproduction.kind == wanted.kind)
    query = query.where(Reproduction.id < before) if before is not None else query
    rows = session.execute(query).all()
    items = [run_listed(*row) for row in rows[:limit]]
    following = encode_cursor("reproductions", [str(items[-1].id)]) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


def list_queue(session: Session, limit: int, cursor: str | None) -> Page[ReproductionSummary]:
    """A page of the runs that wait, in the order in which they will be taken as things stand."""
    after = decode_cursor("queue", cursor, lambda key: (int(key[0]), int(key[1]), UUID(key[2])))
    query = READ.where(WAITS).order_by(*QUEUE_ORDER).limit(limit + 1)
    rows = session.execute(query.where(tuple_(*QUEUE_ORDER) > after) if after is not None else query).all()
    items = [run_listed(*row) for row in rows[:limit]]
    last = rows[limit - 1][0] if len(rows) > limit else None
    following = encode_cursor("queue", [last.priority, last.turn, str(last.id)]) if last is not None else None
    return Page(items=items, next_cursor=following)


def list_in_flight(session: Session, paper_id: UUID, claim_id: UUID, limit: int) -> list[ReproductionSummary]:
    """The claim's runs that run, then those that wait; of each the newest first."""
    of_claim = Reproduction.paper_id == paper_id, Reproduction.claim_id == claim_id
    query = READ.where(*of_claim, Reproduction.state.in_(_IN_FLIGHT))
    rows = session.execute(query.order_by(Reproduction.state.desc(), Reproduction.id.desc()).limit(limit))
    return [run_listed(*row) for row in rows]


def running_papers(session: Session, arxiv_ids: Collection[str]) -> set[str]:
    """Those of these papers of which a claim is being measured."""
    if not arxiv_ids:
        return set()
    query = select(Paper.arxiv_id).join(Reproduction, Reproduction.paper_id == Paper.id)
    return set(session.scalars(query.where(RUNS, Paper.arxiv_id.in_(arxiv_ids))))


def list_ended(session: Session, limit: int) -> list[ReproductionSummary]:
    """The newest runs that have ended."""
    rows = session.execute(READ.where(Reproduction.state.in_(_ENDED)).order_by(Reproduction.id.desc()).limit(limit))
    return [run_listed(*row) for row in rows]


def frozen_specs(session: Session, ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """The specification that each of these runs was asked with."""
    if not ids:
        return {}
    rows = session.execute(select(Reproduction.id, Reproduction.spec).where(Reproduction.id.in_(ids)))
    return {row[0]: row[1] for row in rows}


def run_read(
    run: Reproduction,
    arxiv_id: str,
    version: int,
    slug: str,
    verdict_id: UUID | None,
    status: str | None,
    *,
    position: int | None = None,
) -> ReproductionRead:
    """The run as it is served; `position` is its place in the queue, `status` its verdict's."""
    return ReproductionRead(**_fields(run, arxiv_id, version, slug, verdict_id, status), queue_position=position)


def run_listed(
    run: Reproduction, arxiv_id: str, version: int, slug: str, verdict_id: UUID | None, status: str | None
) -> ReproductionSummary:
    """The run as lists show it."""
    return ReproductionSummary(**_fields(run, arxiv_id, version, slug, verdict_id, status))


def _fields(
    run: Reproduction, arxiv_id: str, version: int, slug: str, verdict_id: UUID | None, status: str | None
) -> dict[str, Any]:
    return dict(  # noqa: C408  # as a call of the schema
        id=run.id,
        paper_arxiv_id=arxiv_id,
        paper_version=version,
        claim_id=run.claim_id,
        driver=slug,
        agent_version=f"v{run.spec['version']}-{run.spec['slug']}",
        kind=run.kind,
        slice=SliceSpec.model_validate(run.spec["slice"]),
        state=run.state,
        done=run.state.done,
        stage=run.stage,
        progress=Progress(done=run.progress_done, total=run.progress_total, correct=run.progress_correct),
        estimate=running_estimate(run.progress_correct, run.progress_done, run.spec, run.progress_estimate),
        priority=run.priority,
        attempt=run.attempt,
        max_attempts=run.max_attempts,
        worker=run.worker,
        cancel_requested=run.cancel_requested_at is not None,
        requested_at=run.requested_at,
        started_at=run.started_at,
        heartbeat_at=run.heartbeat_at,
        finished_at=run.finished_at,
        deadline_at=run.deadline_at,
        error=RunError.model_validate(run.error) if run.error else None,
        verdict_id=verdict_id,
        verdict_status=VerdictStatus(status) if status else None,
    )
