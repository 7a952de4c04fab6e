"""Ask for reproductions and follow them to their ends, with a progress bar."""

import time
from uuid import UUID

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.failures import NO_VERDICT, CommandError
from app.cli.service import session_of
from app.cli.show import console
from app.core.db import Database
from app.core.queue import REQUEST_PATIENCE_S, Doorbell, make_celery
from app.core.settings import Settings
from app.models import ReproductionState
from app.papers.ids import PaperRef
from app.reproductions.queries import read_reproduction
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost, ReproductionRead
from app.verdicts.queries import read_verdict
from app.verdicts.schemas import VerdictRead

_POLL_S = 0.2


def request(settings: Settings, ref: PaperRef, post: ReproductionPost) -> tuple[ReproductionRead, bool]:
    """Queue a run, or join the same one in flight; returns it and whether it is new."""
    doorbell = Doorbell(make_celery(settings.redis_url or "", patience_s=REQUEST_PATIENCE_S))
    try:
        with session_of(settings) as session:
            run_id, new = request_reproduction(session, ref, post, settings.queue, doorbell)
            session.flush()
            return read_reproduction(session, run_id), new
    finally:
        doorbell.close()


def follow(settings: Settings, run_id: UUID) -> VerdictRead:
    """Show the run's progress until it ends; returns its verdict. Raises CommandError where it ends without one."""
    database = Database(settings.database_url or "", pool_size=1)
    try:
        run = _watch(database, run_id)
        if run.state is not ReproductionState.succeeded or run.verdict_id is None:
            why = f": {run.error.detail} [{run.error.code}]" if run.error else ""
            raise CommandError(f"the run {run.id} has {run.state.value}{why}", NO_VERDICT)
        with database.unit_of_work() as session:
            return read_verdict(session, run.verdict_id)
    finally:
        database.close()


def _watch(database: Database, run_id: UUID) -> ReproductionRead:
    # As much as 80 columns hold: what is left out is in the verdict that follows.
    columns = (
        TextColumn("{task.fields[what]}", style="bold"),
        BarColumn(bar_width=12),
        TextColumn("{task.completed:,.0f}/{task.fields[total_text]}"),
        TextColumn("{task.fields[estimate]}", style="cyan"),
        TimeElapsedColumn(),
    )
    driver = None
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=None, what="queued", total_text="?", estimate="")
        while True:
            with database.unit_of_work() as session:
                run = read_reproduction(session, run_id)
            if driver is None:
                driver = run.driver
                progress.console.print(f"{driver} on {run.paper_arxiv_id}, run {run.id}", highlight=False)
            estimate = ""
            if run.estimate is not None:
                low, high = run.estimate.interval_95
                estimate = f"{run.estimate.value:.4f} [{low:.4f}, {high:.4f}]"
            progress.update(
                bar,
                completed=run.progress.done,
                total=run.progress.total,
                what=(run.stage or run.state.value).replace("_", " "),
                total_text=f"{run.progress.total:,}" if run.progress.total else "?",
                estimate=estimate,
            )
            if run.done:
                return run
            time.sleep(_POLL_S)
