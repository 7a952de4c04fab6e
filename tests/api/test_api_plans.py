"""How Postgres finds what the lists ask for: by an index for each filter, in the order asked for, and nothing beside.

The plans are those of the statements that the API sends, over tables that have grown.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import event

from app.core.db import SESSION
from app.core.pagination import encode_cursor
from app.core.settings import QueueSettings, Settings
from app.embedded import ServerUrls
from app.embedded.postgres import plain_dsn
from app.main import create_app
from app.protocol.driver import DriverSpec
from tests.api.helpers import Api, Json
from tests.factories.databases import copied
from tests.factories.drivers import driver_table
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

SIZE: Final = Size(papers=20_000, history=20_000, runs=10_000)
LIMIT: Final = 5
BIG: Final = {"papers", "paper_versions", "paper_documents", "verdicts", "reproductions", "evidence", "predictions"}
MOST_SKIPPED: Final = 60
"""Rows that a plan may look at and leave out: a filter without an index skips thousands here."""
NEVER_CHECKED: Final = "1001.00500"
MOST_PAGES: Final = 60
"""Pages of 8 KiB that a page of five items may touch. Measured: 32 at most; 188 to 5,015 where an index is dropped."""

MOST_LOOKED_UP: Final = 60
"""Papers that are looked up for a page of five, one by one. Each of the lists of `SEVERAL` holds more, by far."""


@pytest.fixture(scope="module")
def url(servers: ServerUrls, maintenance: psycopg.Connection, template_database: str) -> Iterator[str]:
    with copied(servers, maintenance, template_database) as url:
        grow(plain_dsn(url), SIZE, DriverSpec.model_validate(driver_table("growth", PROBE)).model_dump_json())
        yield url


@pytest.fixture(scope="module")
def client(url: str, servers: ServerUrls) -> Iterator[Api]:
    settings = Settings(
        database_url=url, redis_url=servers.redis_url, log_level="ERROR", queue=QueueSettings(sweep_s=3600)
    )
    with Api(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module")
def ids(url: str) -> dict[str, str]:
    with psycopg.connect(plain_dsn(url)) as connection:
        run = "SELECT id FROM reproductions WHERE state = 'queued' ORDER BY id LIMIT 1"
        return {
            "claim": str(connection.execute("SELECT id FROM claims ORDER BY id LIMIT 1").fetchone()[0]),  # type: ignore[index]
            "verdict": str(connection.execute("SELECT id FROM verdicts LIMIT 1").fetchone()[0]),  # type: ignore[index]
            "run": str(connection.execute(run).fetchone()[0]),  # type: ignore[index]
        }


PAPERS: Final = {
    "newest": "",
    "by id": "sort=arxiv_id",
    **{
        f"{name} {order}": f"{query}&sort={order}"
        for order in ("-newest_verdict", "arxiv_id")
        for name, query in {
            "of a common category": "category=cs.CL",
            "of a rare category": f"category={RARE_CATEGORY}",
            "of a common venue": "venue=ACL",
            "of a rare venue": f"venue={RARE_VENUE.replace(' ', '+')}",
            "reproduced": "status=reproduced",
            "inconclusive": "status=inconclusive",
            "unchecked": "status=none",
            "withdrawn": "withdrawn=true",
            "not withdrawn": "withdrawn=false",
        }.items()
    },
    "deep": "cursor=" + encode_cursor("papers", [1_577_837_800_000, "1001.01000"]),
    "deep by id": "sort=arxiv_id&cursor=" + encode_cursor("papers-by-id", ["1001.19000"]),
    "with a rare word": f"q={RARE_WORD}",
    "with a common word": f"q={COMMON_WORD}",
    "with no such word": "q=nonesuch",
    "by its id as a word": f"q={PROBE}",
}
SEVERAL: Final = {
    f"{name} {order}": f"{query}&sort={order}"
    for order in ("-newest_verdict", "arxiv_id")
    for name, query in {
        "two middle words": f"q={MIDDLE_WORD}+{OTHER_MIDDLE_WORD}",
        "two common words": f"q={COMMON_WORD}+report",
        "a phrase of rare words": f"q=%22{RARE_WORD}+{MIDDLE_WORD}%22",
        "a common word in a rare venue": f"q={COMMON_WORD}&venue={RARE_VENUE.replace(' ', '+')}",
        "a rare category and a rare venue": f"category={RARE_CATEGORY}&venue={RARE_VENUE.replace(' ', '+')}",
        "three filters": f"category=cs.CL&venue={RARE_VENUE.replace(' ', '+')}&status=reproduced",
    }.items()
}
VERDICTS: Final = {
    "newest": "",
    "of a kind": "kind=POST",
    "of a kind that there is none of": "kind=PRE",
    "current": "is_current=true",
    "superseded": "is_current=false",
    "of a common status": "status=reproduced",
    "of a rare status": "status=not_reproduced",
    "of a status that there is none of": "status=inconclusive",
    "of a claim": "claim={claim}",
    "deep": "cursor=" + encode_cursor("verdicts", [1_609_459_300_000 + 1000, "00000000-0000-7000-8000-000000000000"]),
}
RUNS: Final = {
    "newest": "",
    "queued": "state=queued",
    "running": "state=running",
    "failed": "state=failed",
    "of a paper": f"paper={PROBE}",
    "of a version": f"paper={PROBE}v1",
    "queued of a paper": f"paper={PROBE}&state=queued",
    "of a kind that there is none of": "kind=PRE",
}
ADDRESSES: Final = {
    **{f"papers {name}": f"/v1/papers?{query}" for name, query in PAPERS.items()},
    **{f"feed {name}": f"/v1/verdicts?{query}" for name, query in VERDICTS.items()},
    **{f"history {name}": f"/v1/papers/{PROBE}/verdicts?{query}" for name, query in VERDICTS.items()},
    **{
        f"history of a version {name}": f"/v1/papers/{PROBE}v1/verdicts?{query}"
        for name, query in {"newest": ""}.items()
    },
    **{f"runs {name}": f"/v1/reproductions?{query}" for name, query in RUNS.items()},
    "document of a version": f"/v1/papers/{PROBE}v1?",
    "versions": f"/v1/papers/{PROBE}/versions?",
    "claims": f"/v1/papers/{PROBE}/claims?",
    "badge": f"/v1/papers/{PROBE}/badge.json?x=",
    "verdict": "/v1/verdicts/{verdict}?",
    "run": "/v1/reproductions/{run}?x=",
    "drivers": "/v1/drivers?",
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_page_costs_the_same_however_much_there_is(client: Api, url: str, ids: dict[str, str], name: str) -> None:
    assert _pages(client, url, ADDRESSES[name].format(**ids)) <= MOST_PAGES


@pytest.mark.parametrize("name", SEVERAL)
def test_several_words_or_filters_read_their_lists_side_by_side(client: Api, url: str, name: str) -> None:
    looked_up = 0
    for sent in _sent(client, f"/v1/papers?{SEVERAL[name]}&limit={LIMIT}"):
        plan = _plan(url, *sent)
        _refuse_waste(plan)
        looked_up += sum(
            node["Actual Loops"] for node in _nodes(plan) if node.get("Index Name") == "uq_papers_arxiv_id"
        )
    assert looked_up <= MOST_LOOKED_UP


@pytest.mark.parametrize("path", [PROBE, NEVER_CHECKED, ""])
@pytest.mark.parametrize("place", ["newest", "deep"])
def test_the_plan_that_is_kept_for_all_values_does_as_well(client: Api, url: str, path: str, place: str) -> None:
    lists = f"/v1/papers/{path}/verdicts" if path else "/v1/verdicts"
    sent = _sent(client, f"{lists}?{VERDICTS[place]}&limit={LIMIT}")
    (page,) = [one for one in sent if "FROM verdicts" in one[0]]
    with psycopg.connect(plain_dsn(url), options=f"{SESSION} -c plan_cache_mode=force_generic_plan") as connection:
        if path == NEVER_CHECKED:  # and, as far as the planner knows, all verdicts are one paper's
            connection.execute("ALTER TABLE verdicts DISABLE TRIGGER USER")
            connection.execute("DELETE FROM verdicts USING papers p WHERE p.id = paper_id AND arxiv_id = %s", [PROBE])
            connection.execute("ANALYZE verdicts")
        plan = _kept_plan(connection, *page)
        connection.rollback()
    _refuse_waste(plan)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= MOST_PAGES


def _pages(client: Api, url: str, path: str) -> int:
    """The pages that the statements for this address touch."""
    plans = [_plan(url, *sent) for sent in _sent(client, path + f"&limit={LIMIT}")]
    assert plans
    for plan in plans:
        _refuse_waste(plan)
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)


def _refuse_waste(plan: Json) -> None:
    """No plan walks a table, or leaves out what it has read."""
    for node in _nodes(plan):
        assert not (node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG), node
        skipped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        assert skipped <= MOST_SKIPPED, node


def _sent(client: Api, path: str) -> list[tuple[str, Any]]:
    """The statements that the request sends, with their parameters: not those by which a courier takes its work."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401
        if statement.startswith(("SELECT", "WITH")):
            sent.append((statement, parameters))

    engine = client.app.state.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert client.get(path, headers={"If-None-Match": '"not this"'}).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sent


def _plan(url: str, statement: str, parameters: Any) -> Json:  # noqa: ANN401  # the driver's own
    with psycopg.connect(plain_dsn(url), options=SESSION) as connection:
        explained = connection.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, parameters).fetchone()
        assert explained is not None
        plan: Json = explained[0][0]["Plan"]
        return plan


def _kept_plan(connection: psycopg.Connection, statement: str, parameters: dict[str, Any]) -> Json:
    """The plan that is made without knowing the values."""
    names = dict.fromkeys(re.findall(r"%\((\w+)\)s", statement))
    for number, name in enumerate(names, 1):
        statement = statement.replace(f"%({name})s", f"${number}")
    assert "LIMIT $" not in statement, "with a limit that is not known, each value is planned for"
    connection.execute(f"PREPARE page AS {statement}")
    values = f"({', '.join(['%s'] * len(names))})" if names else ""
    run = psycopg.ClientCursor(connection).execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page{values}", [parameters[name] for name in names]
    )
    (explained,) = run.fetchone() or ()
    plan: Json = explained[0]["Plan"]
    return plan


def _nodes(plan: Json) -> Iterator[Json]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
