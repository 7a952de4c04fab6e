"""What a run does now, in words."""

from app.cli.plain import plain
from app.client.models import Reproduction


def stage_of(run: Reproduction) -> str:
    """What it does now, and its place while it waits."""
    stage = plain(run.state if run.done else run.stage or run.state).replace("_", " ")
    return f"{stage}, place {run.queue_position:,}" if run.queue_position else stage
