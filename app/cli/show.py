"""How papers, verdicts and runs look in a terminal."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.access.schemas import KeyRead
from app.cli.plain import plain
from app.client.models import (
    AuditEntry,
    Claim,
    DocumentVerdict,
    Driver,
    PaperDocument,
    PaperSummary,
    Verdict,
)

console: Final = Console()
_COLOURS: Final = {"reproduced": "green", "not_reproduced": "red", "inconclusive": "yellow"}


def status_text(status: str | None) -> Text:
    """A status in its colour, in words."""
    return Text((status or "no verdict").replace("_", " "), style=_COLOURS.get(status or "", "dim"))


def _line(text: str) -> Text:
    """Text that gives way where the terminal is narrow: cut, not wrapped. Ids beside it are never cut."""
    return Text(plain(text), no_wrap=True, overflow="ellipsis")


def _text(text: str, style: str = "") -> Text:
    """Text that may be anybody's."""
    return Text(plain(text), style=style)


def papers_table(papers: Iterable[PaperSummary]) -> Table:
    """Papers, one a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("paper", no_wrap=True)
    table.add_column("title", ratio=1)
    table.add_column("verdict", no_wrap=True)
    table.add_column("issued", no_wrap=True)
    for paper in papers:
        issued = f"{paper.newest_verdict_at:%Y-%m-%d %H:%M}" if paper.newest_verdict_at else ""
        table.add_row(_text(paper.arxiv_id), _line(paper.title), status_text(paper.status), issued)
    return table


def claims_table(claims: Iterable[Claim]) -> Table:
    """Claims, one a line; the headline claim is marked."""
    table = Table(box=None, pad_edge=False)
    table.add_column("claim", no_wrap=True)
    table.add_column("where", ratio=1)
    table.add_column("reported", no_wrap=True, justify="right")
    table.add_column("drivers", no_wrap=True, justify="right")
    for claim in claims:
        where = f"{'* ' if claim.is_headline else ''}{claim.section}, {claim.row}, {claim.column}"
        reported = f"{claim.reported_value:.{claim.decimals}f}{' %' if claim.unit == 'percent' else ''}"
        table.add_row(str(claim.id), _line(where), reported, str(len(claim.drivers)))
    return table


def drivers_table(drivers: Iterable[Driver]) -> Table:
    """Drivers, one a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("driver", no_wrap=True)
    table.add_column("measures", ratio=1)
    table.add_column("protocol", no_wrap=True)
    for driver in drivers:
        table.add_row(_text(driver.slug), _line(_measures(driver)), _text(driver.protocol_match))
    return table


def _measures(driver: Driver) -> str:
    try:
        claim, data, piece = driver.spec["claim"], driver.spec["data"], driver.spec["slice"]
        size = piece["size"] or data["size"]
        return f"{claim['row']}: {claim['reported_value']} on {data['name']} {data['split']}, {piece['kind']} {size:,}"
    except (KeyError, TypeError, ValueError):  # another version of the service may specify drivers otherwise
        return driver.description


def keys_table(keys: Iterable[KeyRead]) -> Table:
    """Keys, one a line."""
    table = Table(box=None, pad_edge=False)
    for column in ("key", "name", "scopes", "made", "last used", "revoked"):
        table.add_column(column, no_wrap=column != "name")
    for key in keys:
        moments = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.last_used_at, key.revoked_at)]
        table.add_row(key.prefix, Text(key.name), " ".join(key.scopes), *moments)
    return table


def audit_table(entries: Iterable[AuditEntry]) -> Table:
    """Changes, one a line."""
    table = Table(box=None, pad_edge=False)
    for column in ("when", "who", "what"):
        table.add_column(column, no_wrap=True)
    table.add_column("to", ratio=1)
    for entry in entries:
        who = _text(f"{entry.actor} ({entry.key_name})" if entry.key_name else entry.actor)
        table.add_row(f"{entry.at:%Y-%m-%d %H:%M:%S}", who, _text(entry.action), _line(entry.subject))
    return table


def document_panel(document: PaperDocument) -> Panel:
    """A paper with its verdicts."""
    paper = document.paper
    facts = [paper.primary_category, paper.venue, f"version {document.latest_version.version}"]
    lines: list[Text] = [
        _text(paper.title, style="bold"),
        _text(" · ".join(fact for fact in facts if fact) + (" · withdrawn" if paper.withdrawn else ""), style="dim"),
    ]
    for verdict in (document.verdicts.post, document.verdicts.pre):
        if verdict is not None:
            lines += [Text(""), *_verdict_lines(verdict)]
    if document.verdict is None:
        lines += [Text(""), status_text(None)]
    return Panel(Group(*lines), title=_text(paper.arxiv_id), title_align="left", width=min(100, console.width))


def _verdict_lines(verdict: DocumentVerdict) -> list[Text]:
    cited = verdict.claim_citation
    first = Text.assemble((f"{verdict.kind}  ", "bold"), status_text(verdict.status))
    first.append(f"  confidence {verdict.confidence:g}, protocol {verdict.protocol_match}")
    where = f"{cited.section}, {cited.row}, {cited.column}"
    return [
        first,
        _text(f"      reported  {cited.reported_value!r}  ({where})"),
        _text(f"      measured  {verdict.score:.6g}"),
        _text(f"      issued    {verdict.computed_at:%Y-%m-%d %H:%M:%S} UTC by {verdict.agent_version}", style="dim"),
    ]


def verdict_panel(verdict: Verdict) -> Panel:
    """One verdict with its numbers."""
    estimate = verdict.estimate
    cited = verdict.claim_citation
    head = Text.assemble(status_text(verdict.status), f"  confidence {verdict.confidence:g}")
    lines = [
        head,
        _text(f"{cited.row}, {cited.column} ({cited.section})", style="dim"),
        Text(""),
        _text(f"reported   {cited.reported_value!r} {cited.reported_metric}"),
    ]
    if estimate:
        low, high = estimate.interval_95
        lines += [
            _text(f"must be    {estimate.reported:.5f} ± {estimate.margin:.5f}"),
            _text(f"measured   {estimate.estimate:.5f}  (95 % interval {low:.5f} to {high:.5f})"),
        ]
    axes = verdict.protocol_axes
    if axes:
        protocol = f"model {axes.model}, data {axes.data}, metric {axes.metric}, inference {axes.inference}"
        lines.append(_text(f"protocol   {verdict.protocol_match}: {protocol}"))
    lines.append(_text(f"verdict    {verdict.id} (number {verdict.sequence} of kind {verdict.kind})", style="dim"))
    return Panel(Group(*lines), title=_text(verdict.paper_arxiv_id), title_align="left", width=min(100, console.width))
