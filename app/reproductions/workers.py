"""Who works: the workers and the serving processes, as the database knows them by leases and heartbeats."""

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.clock import Instant
from app.models import Reproduction, ReproductionState, ServingProcess
from app.reproductions.turns import RUNS

LOOKED_BACK: Final = 500
"""How many of the newest runs tell of workers that have none now: a worker without a run leaves no sign of life."""


class WorkerRead(BaseModel):
    """A worker. `run` and its lease are those of what it does now; null where it has no run."""

    name: str
    run: UUID | None
    stage: str | None
    lease_until: Instant | None
    heartbeat_at: Instant | None
    alive: bool
    ended_runs: int
    failed_runs: int


class CrewRead(BaseModel):
    """Everybody, and the clock by which leases count."""

    now: Instant
    workers: list[WorkerRead]
    serving: int


def read_crew(session: Session) -> CrewRead:
    """The workers with a run, then those that had one of the newest 500, latest sign of life first."""
    now: datetime = session.scalars(select(func.now())).one()
    columns = (
        Reproduction.worker,
        Reproduction.id,
        Reproduction.stage,
        Reproduction.lease_until,
        Reproduction.heartbeat_at,
    )
    busy = session.execute(select(*columns).where(RUNS).order_by(Reproduction.worker)).all()
    newest = (
        select(Reproduction.worker, Reproduction.state, Reproduction.heartbeat_at)
        .order_by(Reproduction.id.desc())
        .limit(LOOKED_BACK)
        .subquery()
    )
    failed, ended = newest.c.state == ReproductionState.failed, newest.c.state != ReproductionState.running
    summary = session.execute(
        select(
            newest.c.worker,
            func.max(newest.c.heartbeat_at),
            func.count().filter(ended),
            func.count().filter(failed),
        )
        .where(newest.c.worker.is_not(None))
        .group_by(newest.c.worker)
        .order_by(func.max(newest.c.heartbeat_at).desc().nulls_last())
    ).all()
    serving = session.scalar(select(func.count()).where(ServingProcess.lease_until > func.now())) or 0
    counts = {name: (int(ended), int(failed)) for name, _, ended, failed in summary}
    workers = [
        _worker(
            name or "",
            counts,
            run=run,
            stage=stage,
            lease_until=lease,
            heartbeat_at=beat,
            alive=lease is not None and lease > now,
        )
        for name, run, stage, lease, beat in busy
    ]
    known = {worker.name for worker in workers}
    idle = [
        _worker(name, counts, run=None, stage=None, lease_until=None, heartbeat_at=beat, alive=False)
        for name, beat, _, _ in summary
        if name not in known
    ]
    return CrewRead(now=now, workers=[*workers, *idle], serving=serving)


def _worker(name: str, counts: dict[str, tuple[int, int]], **fields: object) -> WorkerRead:
    ended, failed = counts.get(name, (0, 0))
    return WorkerRead.model_validate({"name": name, "ended_runs": ended, "failed_runs": failed, **fields})
