"""What is listed in a terminal: papers, claims, drivers, runs, webhooks, changes."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import typer
from rich.text import Text

from app.cli.listing import Column, Listing, print_list
from app.cli.numbers import shown
from app.cli.show import any_text, status_text
from app.cli.stage import stage_of
from app.client.models import AuditEntry, Claim, Driver, Page, PaperSummary, Reproduction, Webhook
from app.statistics.written import Notation

Item = TypeVar("Item")


def show_page(
    text: str,
    page: type[Page[Item]],
    listed: Callable[[list[Item]], Listing],
    none: str,
    *,
    as_json: bool,
    has_limit: bool = True,
) -> None:
    """Print a page, as the JSON that it came as or as a list; that there are more only where a limit can be said."""
    if as_json:
        typer.echo(text)
        return
    read = page.model_validate_json(text)
    print_list(listed(read.items), none, more=has_limit and read.next_cursor is not None)


def papers_list(papers: Iterable[PaperSummary]) -> Listing:
    """Papers with their verdicts."""
    columns = [Column("paper"), Column("title", gives=True, wraps=True), Column("verdict"), Column("issued (UTC)")]
    return Listing(columns, map(_paper, papers))


def _paper(paper: PaperSummary) -> list[Text]:
    at = paper.newest_verdict_at
    issued = f"{at:%Y-%m-%d %H:%M}" if at else ""
    return [any_text(paper.arxiv_id), any_text(paper.title), status_text(paper.status), Text(issued)]


def claims_list(claims: Iterable[Claim]) -> Listing:
    """Claims; the headline claim is marked."""
    what = Column("what", gives=True, wraps=True)
    columns = [Column("claim"), what, Column("reported", right=True), Column("drivers", right=True)]
    return Listing(columns, map(_claim, claims))


def _claim(claim: Claim) -> list[Text]:
    what = f"{'* ' if claim.is_headline else ''}{claim.row}, {claim.column}"
    printed = shown(Notation.of(claim).printed(claim.reported_value))
    return [Text(str(claim.id)), any_text(what), Text(printed), Text(str(len(claim.drivers)))]


def drivers_list(drivers: Iterable[Driver]) -> Listing:
    """Drivers, and what they measure."""
    columns = [Column("driver"), Column("measures", gives=True, wraps=True), Column("protocol")]
    return Listing(
        columns, ([any_text(one.slug), any_text(_measures(one)), any_text(one.protocol_match)] for one in drivers)
    )


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


def runs_list(runs: Iterable[Reproduction]) -> Listing:
    """Runs, each with how far it is, and what its verdict says."""
    return Listing([Column("run"), Column("driver", gives=True), Column("state"), Column("verdict")], map(_run, runs))


def _run(run: Reproduction) -> list[Text]:
    verdict = status_text(run.verdict_status) if run.verdict_status else Text("")
    return [Text(str(run.id)), any_text(run.driver), any_text(_state(run)), verdict]


def _state(run: Reproduction) -> str:
    if run.done or not run.progress.total:
        return stage_of(run)
    return f"{stage_of(run)}, {run.progress.done:,}/{run.progress.total:,}"


def audit_list(entries: Iterable[AuditEntry]) -> Listing:
    """Changes: when, who, what, and to what."""
    columns = [Column("when (UTC)"), Column("who"), Column("what"), Column("to", gives=True)]
    return Listing(columns, map(_change, entries))


def _change(entry: AuditEntry) -> list[Text]:
    who = f"{entry.actor} ({entry.key_name})" if entry.key_name else entry.actor
    return [Text(f"{entry.at:%Y-%m-%d %H:%M:%S}"), any_text(who), any_text(entry.action), any_text(entry.subject)]


def webhooks_list(webhooks: Iterable[Webhook]) -> Listing:
    """Webhooks, and whether they are told."""
    events = Column("events", gives=True, wraps=True)
    columns = [Column("webhook"), Column("address", gives=True), events, Column("owner"), Column("state")]
    return Listing(columns, map(_webhook, webhooks))


def _webhook(webhook: Webhook) -> list[Text]:
    state = "enabled" if webhook.enabled else f"disabled: {webhook.disabled_reason}"
    told = [webhook.url, ", ".join(webhook.events), webhook.owner or "operator", state]
    return [Text(str(webhook.id)), *map(any_text, told)]
