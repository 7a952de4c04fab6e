"""What a long start or stop is at: a line for each step, with its seconds; in a terminal also while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner

T = TypeVar("T")
Words = str | Callable[[], str]


class _Moving:
    """A spinner with what is under way and for how long."""

    def __init__(self, words: Words) -> None:
        self._words, self._began = words, monotonic()
        self._spinner = Spinner("dots")

    def __rich__(self) -> RenderableType:
        words = self._words() if callable(self._words) else self._words
        self._spinner.update(text=f"{words} … {monotonic() - self._began:.0f} s")
        return self._spinner


class Steps:
    """One step at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = 0.0
        self._live: Live | None = None

    def begin(self, words: Words) -> None:
        """Show that this is under way, where somebody may be looking."""
        self._began = monotonic()
        if self._console.is_terminal:
            self._live = Live(_Moving(words), console=self._console, transient=True, refresh_per_second=8)
            self._live.start()

    def end(self) -> float:
        """Show it no more; the seconds it took."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        return monotonic() - self._began

    @contextmanager
    def step(self, name: str, words: Words) -> Iterator[Callable[[str], None]]:
        """What the block does, as a line with its seconds at its end; the block may say how it came out."""
        said = ""

        def note(outcome: str) -> None:
            nonlocal said
            said = outcome

        self.begin(words)
        try:
            yield note
        except BaseException:
            self.end()
            raise
        took_s = self.end()
        self._say(f"{name:<8}{said}", took_s)

    @contextmanager
    def until_left(self, thing: AbstractContextManager[T], words: Words, done: str) -> Iterator[T]:
        """The thing, whose leaving takes its time: shown while it lasts, and said in a line when it is over."""
        is_leaving = False
        try:
            with thing as entered:
                try:
                    yield entered
                finally:
                    is_leaving = True
                    self.begin(words)
        finally:
            if is_leaving:
                self._say(done, self.end())

    def _say(self, done: str, took_s: float) -> None:
        self._console.print(f"{done}  ({took_s:.1f} s)", highlight=False, markup=False)
