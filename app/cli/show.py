"""How papers, verdicts and runs look in a terminal."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.cli.numbers import shown
from app.cli.plain import plain
from app.client.models import (
    AuditEntry,
    Claim,
    Driver,
    PaperSummary,
)
from app.statistics.written import Notation

console: Final = Console()
aside: Final = Console(stderr=True)
"""What is said while something lasts: stdout is for what was asked for."""
_COLOURS: Final = {"reproduced": "green", "not_reproduced": "red", "inconclusive": "yellow"}


def status_text(status: str | None) -> Text:
    """A status in its colour, in words."""
    return Text((status or "no verdict").replace("_", " "), style=_COLOURS.get(status or "", "dim"))


def line_text(text: str) -> Text:
    """Text that gives way where the terminal is narrow: cut, not wrapped. Ids beside it are never cut."""
    return Text(plain(text), no_wrap=True, overflow="ellipsis")


def any_text(text: str, style: str = "") -> Text:
    """Text that may be anybody's."""
    return Text(plain(text), style=style)


def papers_table(papers: Iterable[PaperSummary]) -> Table:
    """Papers, one a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("paper", no_wrap=True)
    table.add_column("title", ratio=1)
    table.add_column("verdict", no_wrap=True)
    table.add_column("issued (UTC)", no_wrap=True)
    for paper in papers:
        issued = f"{paper.newest_verdict_at:%Y-%m-%d %H:%M}" if paper.newest_verdict_at else ""
        table.add_row(any_text(paper.arxiv_id), line_text(paper.title), status_text(paper.status), issued)
    return table


def claims_table(claims: Iterable[Claim]) -> Table:
    """Claims, one a line; the headline claim is marked."""
    table = Table(box=None, pad_edge=False)
    table.add_column("claim", no_wrap=True)
    table.add_column("what", ratio=1)
    table.add_column("reported", no_wrap=True, justify="right")
    table.add_column("drivers", no_wrap=True, justify="right")
    for claim in claims:
        what = f"{'* ' if claim.is_headline else ''}{claim.row}, {claim.column}"
        printed = shown(Notation.of(claim).printed(claim.reported_value))
        table.add_row(str(claim.id), line_text(what), printed, str(len(claim.drivers)))
    return table


def drivers_table(drivers: Iterable[Driver]) -> Table:
    """Drivers, one a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("driver", no_wrap=True)
    table.add_column("measures", ratio=1)
    table.add_column("protocol", no_wrap=True)
    for driver in drivers:
        table.add_row(any_text(driver.slug), line_text(_measures(driver)), any_text(driver.protocol_match))
    return table


def _measures(driver: Driver) -> str:
    try:
        claim, data, piece = driver.spec["claim"], driver.spec["data"], driver.spec["slice"]
        size = piece["size"] or data["size"]
        value = claim["reported_value"]
        printed = shown(Notation(claim["unit"], len(value.partition(".")[2])).printed(value))
        return f"{claim['row']}: {printed} on {data['name']} {data['split']}, {piece['kind']} {size:,}"
    except (
        KeyError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
    ):  # another version of the service may specify drivers otherwise
        return driver.description


def audit_table(entries: Iterable[AuditEntry]) -> Table:
    """Changes, one a line."""
    table = Table(box=None, pad_edge=False)
    for column in ("when", "who", "what"):
        table.add_column(column, no_wrap=True)
    table.add_column("to", ratio=1)
    for entry in entries:
        who = any_text(f"{entry.actor} ({entry.key_name})" if entry.key_name else entry.actor)
        table.add_row(f"{entry.at:%Y-%m-%d %H:%M:%S}", who, any_text(entry.action), line_text(entry.subject))
    return table


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
