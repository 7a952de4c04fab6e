"""Asking for runs, and a worker's side of them without a model."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.core.db import Database
from app.core.queue import Doorbell
from app.core.settings import QueueSettings
from app.models import Reproduction
from app.reproductions.lease import Beat, Lease, heartbeat, take_run
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from tests.factories.drivers import LABELS, SIZE, Subject

QUEUE: Final = QueueSettings(lease_s=900, ring_again_s=900)
"""No lease runs out and no bell is due by itself, however slow the machine is."""


class Bell(Doorbell):
    """A doorbell that remembers for which runs it was rung."""

    def __init__(self, *, broken: bool = False) -> None:
        self.rung: list[str] = []
        self._broken = broken

    def ring(self, reproduction_id: str) -> bool:
        """Remember it, also where the broker is away."""
        self.rung.append(reproduction_id)
        return not self._broken

    def unheard(self) -> int:
        """All are heard at once."""
        return 0

    def close(self) -> None:
        """Nothing is open."""


def ask(
    database: Database,
    subject: Subject,
    bell: Doorbell | None = None,
    queue: QueueSettings = QUEUE,
    **post: Any,  # noqa: ANN401  # fields of the schema, which checks them
) -> UUID:
    """Ask for a run of the subject's driver; its id."""
    with database.unit_of_work() as session:
        wanted = ReproductionPost.model_validate({"driver": subject.slug, **post})
        return request_reproduction(session, subject.ref, wanted, queue, bell or Bell())[0]


def take(database: Database, worker: str = "worker-1", queue: QueueSettings = QUEUE) -> Lease:
    """The lease of the run that waits first."""
    lease = try_take(database, worker, queue)
    assert lease is not None
    return lease


def try_take(database: Database, worker: str = "worker-1", queue: QueueSettings = QUEUE) -> Lease | None:
    """The lease of the run that waits first, or None."""
    with database.unit_of_work() as session:
        return take_run(session, worker, queue)


def predictions(rows: Iterable[int] = range(SIZE), *, wrong: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Predictions for these rows of the tiny split, right but for the rows named in `wrong`."""
    labels = len(LABELS)
    return [
        {
            "row": row,
            "item_id": str(row),
            "gold": row % labels,
            "predicted": (row + (row in wrong)) % labels,
            "logits": None,
        }
        for row in rows
    ]


def beat(database: Database, lease: Lease, batch: Sequence[dict[str, Any]] = (), queue: QueueSettings = QUEUE) -> bool:
    """One heartbeat that stores the batch; whether the run is to be cancelled."""
    right = sum(one["gold"] == one["predicted"] for one in batch)
    report = Beat(stage="inference", done=len(batch), total=max(SIZE, len(batch)), correct=right)
    with database.unit_of_work() as session:
        return heartbeat(session, lease, report, batch, queue)


def facts(size: int = SIZE, label_counts: Sequence[int] = (4, 4, 4)) -> dict[str, Any]:
    """What an evaluation states of itself, as far as the service reads it."""
    return {"data": {"label_counts": list(label_counts)}, "slice": {"size": size}}


def run_row(session: Session, run_id: UUID) -> Reproduction:
    """The run's row as it stands."""
    return session.get_one(Reproduction, run_id, populate_existing=True)


def read_run(database: Database, run_id: UUID) -> Reproduction:
    """The run's row as it stands, detached."""
    with database.unit_of_work() as session:
        return run_row(session, run_id)


def let_pass(database: Database, run_id: UUID, *moments: str) -> None:
    """Move these moments of the run into the past: what waits for them need wait no longer."""
    settings = ", ".join(f"{moment} = now() - interval '1 hour'" for moment in moments)
    with database.unit_of_work() as session:
        session.execute(text(f"UPDATE reproductions SET {settings} WHERE id = :id"), {"id": run_id})  # noqa: S608  # names of columns
