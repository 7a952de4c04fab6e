"""Runs in a terminal, one a line."""

from collections.abc import Iterable

from rich.table import Table

from app.cli.plain import plain
from app.cli.show import any_text, line_text
from app.client.models import Reproduction


def runs_table(runs: Iterable[Reproduction]) -> Table:
    """Each with how far it is."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("driver", ratio=1)
    table.add_column("state", no_wrap=True)
    for run in runs:
        table.add_row(str(run.id), line_text(run.driver), any_text(_state(run)))
    return table


def _state(run: Reproduction) -> str:
    if run.done or not run.progress.total:
        return stage_of(run)
    return f"{stage_of(run)}, {run.progress.done:,}/{run.progress.total:,}"


def stage_of(run: Reproduction) -> str:
    """What it does now, and its place while it waits."""
    stage = plain(run.state if run.done else run.stage or run.state).replace("_", " ")
    return f"{stage}, place {run.queue_position:,}" if run.queue_position else stage
