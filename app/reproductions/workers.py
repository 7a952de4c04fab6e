"""Who works: the workers and the serving processes, as the database knows them by leases and heartbeats."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from app.core.clock import Instant
from app.models import Reproduction, ReproductionState, ServingProcess, WorkerProcess
from app.reproductions.turns import RUNS

LOOKED_BACK: Final = 500
"""How many of the newest runs tell of workers that have left, and of how often each worker's runs failed."""


class WorkerRead(BaseModel):
    """A worker. `run` and its lease are those of what it does now; null where it has no run."""

    name: str
    device: str | None
    run: UUID | None
    stage: str | None
    lease_until: Instant | None
    heartbeat_at: Instant | None
    alive: bool
    left: bool
    ended_runs: int
    failed_runs: int


class CrewRead(BaseModel):
    """Everybody, and the clock by which leases count."""

    now: Instant
    workers: list[WorkerRead]
    serving: int


def read_crew(session: Session) -> CrewRead:
    """The workers with a run, then those that are there without one, then those that had one of the newest 500."""
    now, present = read_present(session)
    past = _past(session)
    gone = [_gone(name, heartbeat_at) for name, heartbeat_at, *_ in past if name not in present]
    counts = {name: {"ended_runs": ended, "failed_runs": failed} for name, _, ended, failed in past}
    workers = [worker.model_copy(update=counts.get(worker.name, {})) for worker in (*present.values(), *gone)]
    serving = session.scalar(select(func.count()).where(ServingProcess.lease_until > func.now())) or 0
    return CrewRead(now=now, workers=workers, serving=serving)


def read_present(session: Session) -> tuple[datetime, Mapping[str, WorkerRead]]:
    """The time, and by name the workers that have a run or that said, not long ago, that they are there."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    known = {row.name: row for row in session.scalars(select(WorkerProcess).order_by(WorkerProcess.name))}
    columns = (Reproduction.id, Reproduction.stage, Reproduction.lease_until, Reproduction.heartbeat_at)
    runs = session.execute(select(Reproduction.worker, *columns).where(RUNS).order_by(Reproduction.worker))
    present = {name or "": _busy(name or "", run, known.get(name or ""), now) for name, *run in runs}
    idle = {name: _idle(row, now) for name, row in known.items() if name not in present}
    return now, present | dict(sorted(idle.items(), key=lambda one: not one[1].alive))


def _busy(name: str, run: list[Any], known: WorkerProcess | None, now: datetime) -> WorkerRead:
    run_id, stage, lease_until, heartbeat_at = run
    signs = (heartbeat_at, known.seen_at if known else None)
    return _worker(
        name,
        device=known.device if known else None,
        run=run_id,
        stage=stage,
        lease_until=lease_until,
        heartbeat_at=max((sign for sign in signs if sign is not None), default=None),
        alive=lease_until > now,
    )


def _idle(row: WorkerProcess, now: datetime) -> WorkerRead:
    return _worker(row.name, device=row.device, heartbeat_at=row.seen_at, alive=row.alive_until > now)


def _gone(name: str, heartbeat_at: datetime | None) -> WorkerRead:
    return _worker(name, heartbeat_at=heartbeat_at, left=True)


def _worker(name: str, **known: object) -> WorkerRead:
    nothing = dict.fromkeys(("device", "run", "stage", "lease_until", "heartbeat_at"))
    counts = {"ended_runs": 0, "failed_runs": 0}
    return WorkerRead.model_validate({"name": name, "alive": False, "left": False, **nothing, **counts, **known})


def _past(session: Session) -> list[Row[str, datetime | None, int, int]]:
    """Of each worker that had one of the newest runs: its last heartbeat, and how many ended, and failed."""
    newest = (
        select(Reproduction.worker, Reproduction.state, Reproduction.heartbeat_at)
        .order_by(Reproduction.id.desc())
        .limit(LOOKED_BACK)
        .subquery()
    )
    failed, ended = newest.c.state == ReproductionState.failed, newest.c.state != ReproductionState.running
    last = func.max(newest.c.heartbeat_at)
    query = select(newest.c.worker, last, func.count().filter(ended), func.count().filter(failed))
    known = query.where(newest.c.worker.is_not(None)).group_by(newest.c.worker)
    return list(session.execute(known.order_by(last.desc().nulls_last())).all())
