"""What the reads and the issue of a verdict cost while papers and histories grow: in-process, through the use cases."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import event, make_url
from sqlalchemy.orm import Session

from app.core.db import SESSION, Database
from app.core.migrate import upgrade
from app.core.pagination import Page, encode_cursor
from app.embedded import EmbeddedServers
from app.embedded.postgres import plain_dsn
from app.models import Paper, VerdictKind, VerdictOrigin
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef
from app.papers.queries import PaperFilter, list_papers, read_document
from app.verdicts.issue import NewVerdict, issue
from app.verdicts.queries import VerdictFilter, list_verdicts
from serving.servers import precise_cpu_s
from tests.factories.growth import (
    COMMON_WORD,
    MIDDLE_WORD,
    OTHER_MIDDLE_WORD,
    PROBE,
    RARE_CATEGORY,
    RARE_VENUE,
    RARE_WORD,
    Size,
    grow,
)

REF = PaperRef(PROBE)
LIMIT = 50
TURNS = 5
WRITE = "issue and flip"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation at one size."""

    operation: str
    papers: int
    history: int
    ms: float
    """Milliseconds of CPU, of this process and of Postgres: what a clock says on a shared machine is about others."""
    items: int | None
    """What the page holds: a small database has fewer papers that match, and an emptier page costs less."""
    pages: int | None
    """Pages of 8 KiB that the statements touch; None for what writes."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A database of a size, in the one Postgres that has them all."""

    size: Size
    database: Database
    dsn: str

    def operations(self) -> dict[str, Callable[[], Any]]:
        """What is measured; what writes comes last."""
        return {**_operations(self.database, self.dsn, self.size), WRITE: _issue(self.database)}


def measure(sizes: list[Size], repeats: int) -> Iterator[Cost]:
    """Each operation at each size: at all of them in turn, so that a busy minute falls on all, and the least counts."""
    with _grown(sizes) as grown:
        postgres = _postmaster(grown[0].dsn)
        operations = [one.operations() for one in grown]
        for name in operations[0]:
            runs = [of_one[name] for of_one in operations]
            found = [_items(run) for run in runs]  # the first time is no measure
            turns = [[_ms(postgres, run, repeats // TURNS) for run in runs] for _ in range(TURNS)]
            for one, run, items, taken in zip(grown, runs, found, zip(*turns, strict=True), strict=True):
                pages = None if name == WRITE else _pages(one.database, one.dsn, run)
                yield Cost(name, one.size.papers, one.size.history, min(taken), items, pages)


@contextmanager
def _grown(sizes: list[Size]) -> Iterator[list[Grown]]:
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="verdicts-bench-"))
        servers = stack.enter_context(EmbeddedServers(Path(folder), durable=False))
        url, grown = make_url(servers.database_url), []
        for number, size in enumerate(sizes):
            with psycopg.connect(plain_dsn(servers.database_url), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE growth{number}")
            own = url.set(database=f"growth{number}").render_as_string(hide_password=False)
            upgrade(own)
            began = time.perf_counter()
            grow(plain_dsn(own), size)
            print(f"{size}: filled in {time.perf_counter() - began:.0f} s", flush=True)
            database = Database(own)
            stack.callback(database.close)
            grown.append(Grown(size, database, plain_dsn(own)))
        yield grown


def _items(run: Callable[[], Any]) -> int | None:
    found = run()
    return len(found.items) if isinstance(found, Page) else None


def _deep(dsn: str, size: Size) -> tuple[str, str]:
    """Where 95 % of the papers lie before, and of the history."""
    with psycopg.connect(dsn) as connection:
        deep = connection.execute(
            "SELECT (extract(epoch FROM newest_verdict_at) * 1000)::bigint, arxiv_id FROM papers "
            "ORDER BY newest_verdict_at, arxiv_id OFFSET %s LIMIT 1",
            [size.papers // 20],
        ).fetchone()
        old = connection.execute(
            "SELECT (extract(epoch FROM v.computed_at) * 1000)::bigint, v.id::text FROM verdicts v "
            "JOIN papers p ON p.id = v.paper_id WHERE p.arxiv_id = %s ORDER BY computed_at OFFSET %s LIMIT 1",
            [PROBE, size.history // 20],
        ).fetchone()
    return encode_cursor("papers", list(deep or ())), encode_cursor("verdicts", list(old or ()))


def _operations(database: Database, dsn: str, size: Size) -> dict[str, Callable[[], Any]]:
    papers, history = _deep(dsn, size)

    def within(read: Callable[[Session], Any]) -> Callable[[], Any]:
        def run() -> Any:  # noqa: ANN401  # whatever is read
            with database.unit_of_work() as session:
                return read(session)

        return run

    def listed(**wanted: Any) -> Callable[[], Any]:  # noqa: ANN401  # of PaperFilter
        return within(lambda session: list_papers(session, PaperFilter(**wanted), LIMIT, None))

    return {
        "document row": within(lambda session: read_document(session, REF)),
        "papers, first page": within(lambda session: list_papers(session, PaperFilter(), LIMIT, None)),
        "papers, at 95 %": within(lambda session: list_papers(session, PaperFilter(), LIMIT, papers)),
        "papers of a category": listed(category="cs.CL"),
        "of rare category and venue": listed(category=RARE_CATEGORY, venue=RARE_VENUE),
        "search, a word of one paper": listed(q="424"),
        "search, rare word": listed(q="term4242"),
        "search, common word": listed(q=COMMON_WORD),
        "search, middle word": listed(q=MIDDLE_WORD),
        "search, middle word, by id": listed(q=MIDDLE_WORD, sort="arxiv_id"),
        "search, two common words": listed(q=f"{COMMON_WORD} report"),
        "search, two middle words": listed(q=f"{MIDDLE_WORD} {OTHER_MIDDLE_WORD}"),
        "search, rare phrase": listed(q=f'"{RARE_WORD} {MIDDLE_WORD}"'),
        "search, one or the other": listed(q=f"{RARE_WORD} or {MIDDLE_WORD}"),
        "search in a rare venue": listed(q=COMMON_WORD, venue=RARE_VENUE),
        "history, first page": within(lambda session: list_verdicts(session, VerdictFilter(paper=REF), LIMIT, None)),
        "history, at 95 %": within(lambda session: list_verdicts(session, VerdictFilter(paper=REF), LIMIT, history)),
        "feed, first page": within(lambda session: list_verdicts(session, VerdictFilter(), LIMIT, None)),
    }


def _issue(database: Database) -> Callable[[], Any]:
    def run() -> UUID:
        with database.unit_of_work() as session:
            paper: Paper = find_paper(session, REF, lock=True)
            version = find_version(session, paper, None)
            assert paper.headline_claim_id is not None  # noqa: S101  # the growth chose one
            new = NewVerdict(
                paper_version_id=version.id,
                claim_id=paper.headline_claim_id,
                kind=VerdictKind.POST,
                origin=VerdictOrigin.imported,
                status="reproduced",
                score=0.918,
                confidence=0.85,
                agent_version="v0.1.0-growth",
                protocol_match="proxy",
            )
            return issue(session, paper, new).id

    return run


def _ms(postgres: int, operation: Callable[[], Any], repeats: int) -> float:
    for _ in range(3):
        operation()
    began = time.process_time() + precise_cpu_s(postgres)
    for _ in range(repeats):
        operation()
    return (time.process_time() + precise_cpu_s(postgres) - began) / repeats * 1000


def _postmaster(dsn: str) -> int:
    (place,) = Path(conninfo_to_dict(dsn)["host"]).parent.glob("**/postmaster.pid")
    return int(place.read_text().split()[0])


def _pages(database: Database, dsn: str, operation: Callable[[], Any]) -> int:
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401
        sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    operation()
    event.remove(database.engine, "before_cursor_execute", note)
    pages = 0
    with psycopg.connect(dsn, options=SESSION) as connection:
        for statement, parameters in sent:
            row = connection.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, parameters).fetchone()
            plan = row[0][0]["Plan"] if row else {}
            pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return pages


def as_rows(costs: list[Cost]) -> list[dict[str, Any]]:
    """For the JSON result."""
    return [asdict(cost) for cost in costs]
