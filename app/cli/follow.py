"""A run under way in a terminal: a progress bar until its end, and its verdict."""

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.plain import plain
from app.cli.show import console
from app.client import NoVerdictError
from app.client.models import Reproduction


class Followed(Protocol):
    """Where runs and verdicts are read: part of `app.cli.source.Source`."""

    def updates(self, run_id: UUID) -> Iterable[Reproduction]:
        """The run whenever it has changed, until it has ended."""

    def verdict(self, verdict_id: UUID) -> str:
        """A verdict as JSON."""


def follow(source: Followed, run_id: UUID) -> str:
    """Show the run's progress until it ends; its verdict as JSON. Raises NoVerdictError where it ends without one."""
    run = _watch(source.updates(run_id))
    if run.verdict_id is None:
        raise NoVerdictError(run)
    return source.verdict(run.verdict_id)


def _watch(updates: Iterable[Reproduction]) -> Reproduction:
    # As much as 80 columns hold: what is left out is in the verdict that follows.
    columns = (
        TextColumn("{task.fields[what]}", style="bold", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.completed:,.0f}/{task.fields[total_text]}"),
        TextColumn("{task.fields[estimate]}", style="cyan"),
        TimeElapsedColumn(),
    )
    last = None
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=None, what="queued", total_text="?", estimate="")
        for run in updates:
            if last is None:
                words = f"{plain(run.driver)} on {plain(run.paper_arxiv_id)}, run {run.id}"
                progress.console.print(words, highlight=False, markup=False)
            last = run
            progress.update(
                bar,
                completed=run.progress.done,
                total=run.progress.total,
                what=plain(run.stage or run.state).replace("_", " "),
                total_text=f"{run.progress.total:,}" if run.progress.total else "?",
                estimate=_estimate(run),
            )
    assert last is not None  # noqa: S101  # a run that exists is seen at least once
    return last


def _estimate(run: Reproduction) -> str:
    if run.estimate is None:
        return ""
    low, high = run.estimate.interval_95
    return f"{run.estimate.value:.4f} [{low:.4f}, {high:.4f}]"
