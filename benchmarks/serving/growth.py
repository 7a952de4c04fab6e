"""What the reads and the issue of a verdict cost while papers and histories grow: in-process, through the use cases."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import event
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
from serving.servers import cpu_s
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


def measure(sizes: list[Size], repeats: int) -> Iterator[Cost]:
    """Each operation at each size."""
    for size in sizes:
        with _grown(size) as (database, dsn):
            for name, operation in _operations(database, dsn, size).items():
                items = len(found.items) if isinstance(found := operation(), Page) else None
                pages = _pages(database, dsn, operation)
                yield Cost(name, size.papers, size.history, _ms(dsn, operation, repeats), items, pages)
            write = _issue(database)
            yield Cost("issue and flip", size.papers, size.history, _ms(dsn, write, repeats), None, None)


@contextmanager
def _grown(size: Size) -> Iterator[tuple[Database, str]]:
    with (
        TemporaryDirectory(prefix="verdicts-bench-") as folder,
        EmbeddedServers(Path(folder), durable=False) as servers,
    ):
        upgrade(servers.database_url)
        dsn = plain_dsn(servers.database_url)
        began = time.perf_counter()
        grow(dsn, size)
        print(f"{size}: filled in {time.perf_counter() - began:.0f} s", flush=True)
        database = Database(servers.database_url)
        yield database, dsn
        database.close()


def _operations(database: Database, dsn: str, size: Size) -> dict[str, Callable[[], Any]]:
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
    papers, history = encode_cursor("papers", list(deep or ())), encode_cursor("verdicts", list(old or ()))

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


def _ms(dsn: str, operation: Callable[[], Any], repeats: int) -> float:
    (place,) = Path(conninfo_to_dict(dsn)["host"]).parent.glob("**/postmaster.pid")
    postmaster = int(place.read_text().split()[0])
    for _ in range(10):
        operation()
    began = time.process_time() + cpu_s(postmaster)
    for _ in range(repeats):
        operation()
    return (time.process_time() + cpu_s(postmaster) - began) / repeats * 1000


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
