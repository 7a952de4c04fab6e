"""What is said in a terminal: where, in which colours, and in boxes."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.cli.plain import plain

console: Final = Console()
aside: Final = Console(stderr=True)
"""What is said while something lasts: stdout is for what was asked for."""
_RECOUNT: Final = "a recount of the authors' published predictions: no model was run"
_COLOURS: Final = {"reproduced": "green", "not_reproduced": "red", "inconclusive": "yellow"}


def status_text(status: str | None) -> Text:
    """A status in its colour, in words."""
    return Text((status or "no verdict").replace("_", " "), style=_COLOURS.get(status or "", "dim"))


def any_text(text: str, style: str = "") -> Text:
    """Text that may be anybody's."""
    return Text(plain(text), style=style)


def recount_of(model: str | None) -> list[Text]:
    """What has to be known beside a status where no model was run, by the axis of its protocol; else nothing."""
    return [Text(_RECOUNT)] if model == "released_predictions" else []


def say_command(command: str) -> None:
    """A command to be copied: alone on its line, which nothing but the terminal itself breaks."""
    console.print(Text(f"  {plain(command)}"), soft_wrap=True)


def boxed(title: str, lines: Iterable[RenderableType]) -> Panel:
    """Lines about one thing, in a box."""
    return Panel(Group(*lines), title=any_text(title), title_align="left", width=min(100, console.width))


def facts(named: Iterable[tuple[str, str]]) -> Table:
    """Facts with their names, one below the other; long ones go on below themselves."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, words in named:
        table.add_row(Text(name, style="dim"), any_text(words))
    return table
