"""A run under way in a terminal: its progress until its end, and its verdict. All of it on stderr but the verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli.advice import itself, where
from app.cli.failures import INTERRUPTED, UNREACHABLE, CommandError
from app.cli.plain import plain
from app.cli.show import aside
from app.cli.source import Runs, Watch
from app.cli.stage import stage_of
from app.cli.verdict_panel import estimate_text
from app.client import LostSightError, NoVerdictError
from app.client.models import Reproduction
from app.statistics.written import Notation

PATIENCE_S: Final = 300.0
_ROOMY: Final = 76
"""Columns of a terminal that has room for the time, too."""


class Follower:
    """Follows runs of a source to their ends."""

    def __init__(
        self, source: Runs, patience_s: float, server: str | None = None, data_dir: Path | None = None
    ) -> None:
        """`server` and `data_dir`, as they were given, are repeated in the command that takes a run up again."""
        self._source, self._patience_s = source, patience_s
        self._is_seen = False
        self._where = where(server, data_dir)

    def again(self, run_id: UUID) -> str:
        """The command that follows a run of the same service."""
        return f"{itself()} follow {run_id}{self._where}"

    def follow(self, run_id: UUID, *, known: bool = False) -> str:
        """Show the run's progress until it ends; its verdict as JSON. Raises NoVerdictError where it has none.

        Whatever else ends it, the run goes on, and how to take it up again is said, once it is `known` to be there.
        """
        self._is_seen = known
        again = f"the run {run_id} goes on; to follow it again:\n{self.again(run_id)}"
        try:
            return self.watch(run_id)
        except NoVerdictError:
            raise
        except KeyboardInterrupt as interrupt:
            raise CommandError(again, INTERRUPTED) from interrupt
        except LostSightError as error:
            message = f"the service has been away for {error.lasted_s:.0f} s: {error.reason}"
            lost = CommandError(message, UNREACHABLE)
            lost.add_note(again)
            raise lost from error
        except Exception as error:
            if self._is_seen:
                error.add_note(again)
            raise

    def watch(self, run_id: UUID) -> str:
        """The same without a word about the way back, for who stops the run by stopping everything."""
        with _shown(self._source) as shown:
            watch = Watch(self._patience_s, _Away(shown))
            last, setback = None, None
            for run in self._source.updates(run_id, watch):
                shown.see(run)
                if (words := _setback(run)) not in {None, setback}:
                    shown.say(words)
                    setback = words
                last, self._is_seen = run, True
            assert last is not None  # noqa: S101  # a run that exists is seen at least once
            if last.verdict_id is None:
                raise NoVerdictError(last)
            return self._source.verdict(last.verdict_id, last.id, watch)


class _Shown(Protocol):
    def see(self, run: Reproduction) -> None:
        """Show how far it is."""

    def say(self, words: str) -> None:
        """A line between."""


class _Away:
    """Says that the service is away, and that it is back: a line each."""

    def __init__(self, shown: _Shown) -> None:
        self._shown, self._is_away = shown, False

    def __call__(self, why: str | None) -> None:
        if why is not None and not self._is_away:
            self._shown.say(f"the service is away: {why}")
        elif why is None and self._is_away:
            self._shown.say("the service is back")
        self._is_away = why is not None


@contextmanager
def _shown(source: Runs) -> Iterator[_Shown]:
    """A bar in a terminal, lines elsewhere."""
    if not aside.is_terminal:
        yield _Lines()
        return
    # As much as 80 columns hold: what is left out is in the verdict that follows.
    columns = (
        TextColumn("{task.fields[what]}", style="bold", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.completed:,.0f}/{task.fields[total_text]}"),
        TextColumn("{task.fields[estimate]}", style="cyan"),
        *([TimeElapsedColumn()] if aside.width >= _ROOMY else []),
    )
    with Progress(*columns, console=aside) as progress:
        yield _Bar(progress, source)


class _Bar:
    """One line that is drawn again and again."""

    def __init__(self, progress: Progress, source: Runs) -> None:
        self._progress, self._source = progress, source
        self._notation: Notation | None = None
        self._task: TaskID | None = None

    def see(self, run: Reproduction) -> None:
        """Show how far it is."""
        if self._task is None:
            self.say(_name(run))
            self._task = self._progress.add_task("", total=None, what="", total_text="?", estimate="")
        self._progress.update(
            self._task,
            completed=run.progress.done,
            total=run.progress.total,
            what=stage_of(run),
            total_text=f"{run.progress.total:,}" if run.progress.total else "?",
            estimate=self._estimate(run),
        )

    def _estimate(self, run: Reproduction) -> str:
        # Its interval is for watching: the verdict that follows the end has its own, or none.
        if run.done or run.estimate is None:
            return ""
        if self._notation is None:
            self._notation = self._source.notation(run.claim_id)
        return estimate_text(run.estimate, self._notation)

    def say(self, words: str) -> None:
        """A line above it."""
        self._progress.console.print(plain(words), highlight=False, markup=False)


class _Lines:
    """A line for each thing that happens, without drawing: logs are read later."""

    def __init__(self) -> None:
        self._last = ""

    def see(self, run: Reproduction) -> None:
        """Say what it does now, if that is something new."""
        if not self._last:
            self.say(_name(run))
        if (stage := stage_of(run)) != self._last:
            self._last = stage
            self.say(stage)

    def say(self, words: str) -> None:
        """A line."""
        aside.print(plain(words), highlight=False, markup=False, soft_wrap=True)


def _setback(run: Reproduction) -> str | None:
    """Why it waits again, where an attempt has failed of what may pass."""
    if run.done or run.error is None or run.state != "queued":
        return None
    return f"attempt {run.attempt} of {run.max_attempts} failed, and it is tried again: {run.error.detail}"


def _name(run: Reproduction) -> str:
    return f"{run.driver} on {run.paper_arxiv_id}, run {run.id}"
