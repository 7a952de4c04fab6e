"""What the endpoint tests share: a client that holds answers to the OpenAPI document, bodies, and things to check."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, cast

from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import event, text
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from app.core.db import Database

Json = dict[str, Any]

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "paper-2111.09543.json"
CATALOGUE: Final = Path(__file__).parents[2] / "workers" / "catalogue"
PAPER: Final = "2111.09543"
DRIVER: Final = "deberta-mnli-microslice"
DRAFT: Final = "draft:minilm-l6-nli-adapter"
DRAFT_DRIVER: Final = "minilm-mnli-full"
NOBODY: Final = "00000000-0000-7000-8000-000000000000"
"""An id that nothing has."""
PROXY: Final = {"model": "proxy", "data": "probability_slice", "metric": "same", "inference": "unknown"}
SPLIT: Final = {"entailment": 3479, "neutral": 3123, "contradiction": 3213}


ANYWHERE: Final = {304, 405, 412, 413, 500, 503}
"""Statuses that any address may answer with."""
_OPERATIONS: Final[list[tuple[re.Pattern[str], Json]]] = []


class Api(TestClient):
    """A client of the application. What it is answered has to be declared in the OpenAPI document.

    It sends its key where the operation takes one and the request names none.
    """

    key = "pv_000000000000.nobodys"

    def __init__(self, app: FastAPI, address: str = "testclient") -> None:
        # With an id of its own each, no two answers would have the same headers.
        headers, peer = {"X-Request-Id": "of-the-test"}, (address, 50000)
        super().__init__(app, raise_server_exceptions=False, follow_redirects=False, headers=headers, client=peer)
        if not _OPERATIONS:  # building the document takes longer than most tests
            _OPERATIONS.extend((_pattern(path), operations) for path, operations in app.openapi()["paths"].items())

    def send(self, request: Any, **options: Any) -> Response:  # noqa: ANN401  # the client's own business
        """Send, and check that the status is one of those that the operation declares."""
        method = "get" if request.method == "HEAD" else request.method.lower()
        asked = [
            operations[method]
            for pattern, operations in _OPERATIONS
            if method in operations and pattern.fullmatch(request.url.path)
        ]
        if "authorization" not in request.headers and any({} not in one.get("security", [{}]) for one in asked):
            request.headers["Authorization"] = f"Bearer {self.key}"
        response = super().send(request, **options)
        declared = {status for operation in asked for status in operation["responses"]}
        assert not declared or response.status_code in ANYWHERE or str(response.status_code) in declared, (
            f"{request.method} {request.url.path} answered {response.status_code}, which it does not declare"
        )
        return response

    def put_paper(self, arxiv_id: str = PAPER, **fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
        """Register a paper; its document."""
        return ok(self.put(f"/v1/papers/{arxiv_id}", json=paper_body(**fields)), 201)

    def post_claim(self, arxiv_id: str = PAPER, **fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
        """Register a claim; it."""
        return ok(self.post(f"/v1/papers/{arxiv_id}/claims", json=claim_body(**fields)), 201)

    def post_verdict(self, arxiv_id: str = PAPER, **fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
        """Post counts; the verdict."""
        return ok(self.post(f"/v1/papers/{arxiv_id}/verdicts", json=counts_body(**fields)), 201)


def _pattern(path: str) -> re.Pattern[str]:
    ids = re.escape(path).replace(r"\{paper_id\}", r"(?:[A-Za-z.-]+/[0-9][^/]*|[^/]+)")
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", ids))


def paper_body(**fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
    """Metadata of a paper."""
    return {"title": "A title", "abstract": "An abstract.", **fields}


def claim_body(**fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
    """A claim."""
    return {
        "section": "Table 1",
        "row": "A model",
        "column": "MNLI-m",
        "reported_value": "91.8",
        "unit": "percent",
        "quoted_text": "A model 91.8",
        **fields,
    }


def counts_body(*strata: tuple[int, int, int], **fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
    """Posted evidence as counts: (n, correct, total) for each stratum; by default one that reproduces 91.8 %."""
    counts = [
        {"label": str(i), "n": n, "correct": correct, "total": total}
        for i, (n, correct, total) in enumerate(strata or ((4998, 4565, 9815),))
    ]
    return {"agent_version": "v1.0.0-agent", "protocol": PROXY, "evidence": {"counts": counts}, **fields}


def predictions_body(pairs: list[tuple[str, str]], **fields: Any) -> Json:  # noqa: ANN401  # fields of the evidence
    """Posted evidence as predictions: (gold, predicted) by item."""
    predictions = [{"id": f"item-{i}", "gold": gold, "predicted": one} for i, (gold, one) in enumerate(pairs)]
    evidence = {"labels": list(SPLIT), "split_label_counts": SPLIT, "predictions": predictions, **fields}
    return {"agent_version": "v1.0.0-agent", "protocol": PROXY, "evidence": evidence}


def ok(response: Response, status: int = 200) -> Json:
    """The body of an answer that has to have this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    return cast("Json", response.json())


def refused(response: Response, status: int, code: str, *fields: str) -> Json:
    """The problem document of an answer that has to have this status and code, naming these bad fields."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = cast("Json", response.json())
    assert list(document)[:5] == ["type", "title", "status", "detail", "code"]
    assert document["code"] == code, response.text
    assert document["type"] == f"urn:paper-verdicts:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    if fields:
        assert [error["field"] for error in document["errors"]] == list(fields)
        assert all(error["detail"] and error["code"] for error in document["errors"])
    return document


def pages(client: TestClient, first: str, between: Any = None) -> Iterator[list[Json]]:  # noqa: ANN401  # a callable or None
    """The items of each page, by `Link` as it stands; `between` is called before each next page."""
    url: str | None = first
    while url is not None:
        response = client.get(url)
        page = ok(response)
        yield page["items"]
        url = next_url(response)
        assert (url is None) == (page["next_cursor"] is None)
        if between is not None:
            between()


def next_url(response: Response) -> str | None:
    """The target of `Link: <...>; rel="next"`, as it stands."""
    link = response.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert match, link
    return match[1]


def walk(client: TestClient, first: str, key: str = "id", between: Any = None) -> list[Any]:  # noqa: ANN401  # as above
    """One field of all items of all pages."""
    return [item[key] for page in pages(client, first, between) for item in page]


def state_of(database: Database) -> dict[str, tuple[int, str]]:
    """The number of rows of each table and a digest of what they hold: equal states mean that nothing was written.

    Leases of the processes that serve from memory are renewed all the time, whatever is asked.
    """
    with database.engine.connect() as connection:
        tables = connection.scalars(
            text(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' "
                "AND table_name NOT IN ('serving_processes', 'worker_processes', 'rings', 'sweep_counts') ORDER BY 1"
            )
        ).all()
        query = "SELECT count(*), coalesce(md5(string_agg(t::text, '\n' ORDER BY t::text)), '') FROM {} t"
        rows = {name: connection.execute(text(query.format(name))).one() for name in tables}
        return {name: (row[0], row[1]) for name, row in rows.items()}


@contextmanager
def unchanged(database: Database) -> Iterator[None]:
    """Hold a block to writing nothing at all."""
    before = state_of(database)
    yield
    assert state_of(database) == before


def at_once(database: Database, calls: Sequence[Callable[[], Response]], arxiv_id: str = PAPER) -> list[Response]:
    """The answers to calls that all had begun before the first could go on: the paper's row was locked meanwhile."""
    lock = text("SELECT FROM papers WHERE arxiv_id = :id FOR UPDATE")
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with ThreadPoolExecutor(len(calls)) as threads:
        with database.engine.begin() as holder, database.engine.connect() as watch:
            watch.execution_options(isolation_level="AUTOCOMMIT")  # within a transaction the activity stands still
            holder.execute(lock, {"id": arxiv_id})
            answers = [threads.submit(call) for call in calls]
            deadline = monotonic() + 60
            while watch.scalar(waiting) < len(calls):
                assert monotonic() < deadline, "some call did not wait for the paper's row"
                sleep(0.005)
        return [answer.result() for answer in answers]


async def exchange(app: ASGIApp, method: str, path: str) -> list[Message]:
    """The messages that the application sends in answer, as a server gets them."""
    answer: list[Message] = []
    received: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not received:
            await asyncio.Event().wait()  # the client neither sends more nor goes
        return received.pop()

    async def send(message: Message) -> None:
        answer.append(message)

    headers = [(b"x-request-id", b"of-the-test")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return answer


BESIDES = re.compile(r"\b(events|event_positions|webhooks|webhook_deliveries)\b")
"""What the feed of events and the courier of webhooks ask for at a moment of their own."""


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that reach the database inside the block, but for those of what goes on besides all requests."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if BESIDES.search(statement) is None:
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


class Log:
    """What is logged as an error; a logger that structlog has handed out once is no longer caught by its own tools."""

    def __init__(self) -> None:
        self.entries: list[Json] = []

    def error(self, event: str, **fields: object) -> None:
        """Remember it."""
        self.entries.append({"event": event, **fields})


def compact(document: object) -> bytes:
    """The document as it has to be served: no blanks, UTF-8 as it stands."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
