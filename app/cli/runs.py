"""`verdicts reproduce`, `verdicts runs`, `verdicts follow` and `verdicts cancel`."""

from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app.cli.failures import UNEXPECTED_VERDICT, CommandError
from app.cli.follow import PATIENCE_S, Follower
from app.cli.lists import runs_list, show_page
from app.cli.options import (
    DataDirOption,
    JsonOption,
    KeyOption,
    LimitOption,
    PaperArgument,
    ServerOption,
    id_of,
    paper_of,
    slug_of,
)
from app.cli.show import console, say_command
from app.cli.source import RUNS, source_of
from app.cli.stage import stage_of
from app.cli.verdict_panel import verdict_panel
from app.client.models import Page, Reproduction, Verdict

ExpectOption = Annotated[
    Literal["reproduced", "not_reproduced", "inconclusive"] | None,
    typer.Option(help="Exit with 6 unless the verdict is this."),
]
PatienceOption = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="How long to wait for a service that goes away under a followed run."),
]


def reproduce(
    paper: PaperArgument,
    driver: Annotated[
        str | None, typer.Option(parser=slug_of, metavar="NAME", help="Which driver; needed where a claim has several.")
    ] = None,
    claim: Annotated[
        UUID | None, typer.Option(parser=id_of, metavar="ID", help="Which claim; default: the headline claim.")
    ] = None,
    kind: Annotated[
        Literal["POST", "PRE"], typer.Option(help="Check the paper before (PRE) or after its publication.")
    ] = "POST",
    slice_size: Annotated[int | None, typer.Option(min=1, max=10_000_000, help="Measure so many examples.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="0 is served first.")] = 5,
    force: Annotated[bool, typer.Option(help="A run of its own, even while the same is in flight.")] = False,  # noqa: FBT002
    wait: Annotated[bool, typer.Option(help="Follow the run and print its verdict.")] = False,  # noqa: FBT002
    expect: ExpectOption = None,
    patience: PatienceOption = PATIENCE_S,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Ask for a reproduction of a claim."""
    if expect is not None and not wait:
        message = "--expect takes --wait: there is no verdict yet"
        raise typer.BadParameter(message)
    wanted: dict[str, Any] = {"claim": claim, "driver": driver, "kind": kind, "slice_size": slice_size}
    with source_of(RUNS, server, key, data_dir) as source:
        text, joined = source.ask(paper, wanted | {"priority": priority, "force": force})
        run = Reproduction.model_validate_json(text)
        follower = Follower(source, patience, server, data_dir)
        if not wait:
            words = f"run {run.id} is {stage_of(run)}" + (" (the same one was in flight)" if joined else "")
            if as_json:
                typer.echo(text)
                return
            typer.echo(f"{words}; to follow it:")
            say_command(follower.again(run.id))
            return
        text = follower.follow(run.id, known=True)
    _conclude(text, expect, as_json=as_json)


def runs(
    paper: Annotated[str | None, typer.Option(parser=paper_of, metavar="PAPER", help="Only of this paper.")] = None,
    state: Annotated[
        Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"] | None,
        typer.Option(help="Only in this state."),
    ] = None,
    limit: LimitOption = 20,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List runs, newest first, how far they are, and their verdicts."""
    with source_of(RUNS, server, key, data_dir) as source:
        text = source.runs(paper, state, limit)
    show_page(text, Page[Reproduction], runs_list, "no runs", as_json=as_json)


def cancel(
    run: Annotated[UUID, typer.Argument(parser=id_of, metavar="RUN", help="The run's id.")],
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Cancel a run. A worker that is at it stops at its next heartbeat."""
    with source_of(RUNS, server, key, data_dir) as source:
        text = source.cancel(run)
    ended = Reproduction.model_validate_json(text)
    words = "is cancelled" if ended.done else "is being cancelled: its worker stops at its next heartbeat"
    typer.echo(text if as_json else f"run {ended.id} {words}")


def follow(
    run: Annotated[UUID, typer.Argument(parser=id_of, metavar="RUN", help="The run's id.")],
    expect: ExpectOption = None,
    patience: PatienceOption = PATIENCE_S,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Follow a run to its end, and print its verdict."""
    with source_of(RUNS, server, key, data_dir) as source:
        text = Follower(source, patience, server, data_dir).follow(run)
    _conclude(text, expect, as_json=as_json)


def _conclude(text: str, expect: str | None, *, as_json: bool) -> None:
    verdict = Verdict.model_validate_json(text)
    typer.echo(text) if as_json else console.print(verdict_panel(verdict))
    if expect is not None and verdict.status != expect:
        raise CommandError(f"the verdict is {verdict.status}, not {expect}", UNEXPECTED_VERDICT)
