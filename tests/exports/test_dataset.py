"""The whole data set: what it holds, that it is one moment's, and what it costs whoever serves it."""

import asyncio
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from sqlalchemy import QueuePool
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.core.db import Database
from app.core.settings import ExportSettings
from app.exports.dataset import COLUMNS
from app.exports.downloads import Download, Downloads, Media
from tests.api.helpers import GOLDEN, PAPER, Api, Json, refused
from tests.exports.helpers import measured, posted
from tests.factories.growth import Size, grow
from tests.hostile.texts import INJECTIONS

LINES: Final = "/v1/exports/verdicts.jsonl"
TABLE: Final = "/v1/exports/verdicts.parquet"
MANY: Final = 15_000


def lines(client: Api, question: str = "") -> list[Json]:
    response = client.get(LINES + question)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/jsonl"
    assert response.content.isascii()
    return [json.loads(line) for line in response.text.splitlines()]


def table(client: Api) -> list[Json]:
    response = client.get(TABLE)
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    assert response.headers["content-disposition"] == 'attachment; filename="verdicts.parquet"'
    read = pq.read_table(io.BytesIO(response.content))
    assert [(field.name, field.type) for field in read.schema] == [(name, one[0]) for name, one in COLUMNS.items()]
    rows: list[Json] = read.to_pylist()
    for row in rows:
        for name in ("computed_at", "superseded_at"):
            moment = row[name]
            row[name] = moment and moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return rows


@pytest.mark.usefixtures("catalogue")
def test_every_verdict_with_all_its_numbers(client: Api, database: Database) -> None:
    assert lines(client) == table(client) == []
    first = measured(client, database)
    second = posted(client)
    client.post_claim(row="Ours", reported_value="0.50", unit="fraction")
    found = lines(client)
    assert found == table(client)
    assert [row["verdict_id"] for row in found] == [first["id"], second["id"]]
    row, last = found
    assert list(row) == list(COLUMNS)
    assert (row["n"], row["correct"], row["score"]) == (300, 276, 0.92)
    assert (row["claim_reported_value"], row["reported"]) == ("91.8", 0.918)
    for name in ("estimate", "standard_error", "margin", "delta", "p_inside", "rule_version", "estimand"):
        assert row[name] == first["estimate"][name], name
    assert [row["interval_95_low"], row["interval_95_high"]] == first["estimate"]["interval_95"]
    assert {f"protocol_{axis}": row[f"protocol_{axis}"] for axis in first["protocol_axes"]} == {
        f"protocol_{axis}": value for axis, value in first["protocol_axes"].items()
    }
    assert (row["is_current"], row["superseded_by"], last["supersedes"]) == (False, second["id"], first["id"])
    assert row["computed_at"] == first["computed_at"]
    assert [one["verdict_id"] for one in lines(client, "?is_current=true")] == [second["id"]]
    assert [one["verdict_id"] for one in lines(client, "?is_current=false")] == [first["id"]]
    refused(client.get(f"{LINES}?is_current=perhaps"), 422, "validation_failed", "query.is_current")


@pytest.mark.usefixtures("catalogue")
def test_an_imported_verdict_has_what_there_is(client: Api, database: Database) -> None:
    from app.catalogue.import_document import import_document, parse_document  # noqa: PLC0415

    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text(encoding="utf-8")))
    (row,) = lines(client)
    assert [row] == table(client)
    assert (row["origin"], row["score"], row["n"], row["estimate"]) == ("imported", 0.9133653461384554, None, None)


def test_hostile_texts_come_out_as_they_went_in(api: Api) -> None:
    claims = [
        api.post_claim(section=f"x{text}"[:200], row=f"{i} {text}"[:200], column="=1+1", quoted_text=text)
        for i, text in enumerate(INJECTIONS)
    ]
    for claim in claims:
        api.post_verdict(claim=claim["id"])
    for found in (lines(api), table(api)):
        for row, claim in zip(found, claims, strict=True):
            for name in ("section", "row", "column", "quoted_text"):
                assert row[f"claim_{name}"] == claim[name]


def test_the_tag_changes_with_what_is_in_it(api: Api) -> None:
    tags = []
    for change in (lambda: None, api.post_verdict, api.post_verdict, lambda: api.post_verdict(kind="PRE")):
        change()
        for address in (LINES, TABLE, f"{LINES}?is_current=true"):
            head = api.head(address)
            assert (head.status_code, head.content) == (200, b"")
            tags.append(head.headers["etag"])
            whole = api.get(address, headers={"Accept-Encoding": "identity"})
            assert whole.headers["etag"] == tags[-1]
            assert api.get(address, headers={"If-None-Match": tags[-1]}).status_code == 304
    assert len(set(tags)) == 12
    api.patch(f"/v1/papers/{PAPER}", json={"title": "Another title, which is not in it"})
    assert api.head(LINES).headers["etag"] in tags
    api.put_paper("draft:x")
    api.post_claim("draft:x")
    api.post_verdict("draft:x")
    before = api.head(LINES).headers["etag"]
    api.patch("/v1/papers/draft:x", json={"arxiv_id": "2101.00001"})
    assert api.head(LINES).headers["etag"] != before
    assert lines(api)[-1]["paper_arxiv_id"] == "2101.00001"


def test_it_is_of_one_moment_however_long_it_takes(api: Api, app: FastAPI) -> None:
    api.post_verdict()
    downloads: Downloads = app.state.downloads
    download = downloads.open("application/jsonl", current=None)
    api.post_verdict()
    response = download.response({})

    async def read() -> bytes:
        return b"".join([bytes(piece) async for piece in response.body_iterator])  # type: ignore[arg-type]

    (row,) = (json.loads(line) for line in asyncio.run(read()).splitlines())
    response._held.close()
    assert row["is_current"] is True
    assert [one["is_current"] for one in lines(api)] == [False, True]


def checked_out(database: Database) -> int:
    assert isinstance(database.engine.pool, QueuePool)
    return database.engine.pool.checkedout()


def test_so_many_at_once_and_no_more(api: Api, app: FastAPI, database: Database) -> None:
    downloads: Downloads = app.state.downloads
    open_ones: list[Download] = [downloads.open("application/jsonl", current=None) for _ in range(2)]
    assert checked_out(database) == 2
    for address in (LINES, TABLE):
        answer = api.get(address)
        refused(answer, 503, "exports_busy")
        assert answer.headers["retry-after"] == "60"
    assert api.get(f"/v1/papers/{PAPER}").status_code == 200
    for one in open_ones:
        one.close()
    assert checked_out(database) == 0
    assert lines(api) == []


def test_a_client_that_goes_away_leaves_nothing_behind(api: Api, app: FastAPI, database: Database) -> None:
    api.post_verdict()

    async def go_away(*, by_error: bool) -> None:
        received: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if by_error and message["type"] == "http.response.body":
                raise OSError

        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"spec_version": "2.4" if by_error else "2.0"},
            "method": "GET",
            "path": LINES,
            "query_string": b"",
            "headers": [],
        }
        await app(scope, receive, send)

    for by_error in (True, False) * 2:
        with pytest.raises(ClientDisconnect) if by_error else nullcontext():
            asyncio.run(go_away(by_error=by_error))
        # The service's own threads hold a connection for moments; what was left behind would be held for good.
        deadline = time.monotonic() + 30
        while checked_out(database) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert checked_out(database) == 0
    assert len(lines(api)) == 1


@contextmanager
def _pieces(downloads: Downloads, media: Media) -> Iterator[Iterator[bytes]]:
    download = downloads.open(media, current=None)
    response = download.response({})
    try:
        yield _all_of(response.body_iterator)
    finally:
        response._held.close()


def _all_of(pieces: Any) -> Iterator[bytes]:  # noqa: ANN401  # an asynchronous iterator of Starlette's
    with asyncio.Runner() as loop:
        while (piece := loop.run(anext(pieces, None))) is not None:
            yield piece


def resident() -> int:
    """Bytes of this process in memory, whoever allocated them: Python, Arrow or libpq."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _most_while_downloading(database_url: str, media: Media, target: Path) -> int:
    """How many bytes more than with the first piece this process has, at the most."""
    database, most = Database(database_url), 0
    with _pieces(Downloads(database, ExportSettings()), media) as pieces, target.open("wb") as file:
        file.write(next(pieces))
        before = resident()
        for piece in pieces:
            file.write(piece)
            most = max(most, resident() - before)
    assert checked_out(database) == 0
    database.close()
    return most


@pytest.mark.parametrize(("media", "most_mib"), [("application/jsonl", 16), ("application/vnd.apache.parquet", 64)])
def test_memory_stays_bounded_however_many_there_are(
    database_url: str, dsn: str, tmp_path: Path, media: Media, most_mib: int
) -> None:
    """Measured with 20,000 and with 80,000 rows alike: 8 MiB for JSON Lines, 40 MiB for Parquet.

    All rows at once would be more than 100 MiB, the whole of the JSON Lines 34.
    """
    grow(dsn, Size(papers=2, history=MANY))
    target = tmp_path / "all"
    # In a process of its own: what other tests left to this one comes and goes with nobody's doing.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        most = alone.submit(_most_while_downloading, database_url, media, target).result()
    if media == "application/jsonl":
        with target.open() as lines_of_file:
            assert sum(1 for _ in lines_of_file) == 2 * MANY
        assert target.stat().st_size > 2 * most_mib * 2**20
    else:
        found = pq.read_metadata(target)
        assert (found.num_rows, found.num_row_groups) == (2 * MANY, 6)
    assert most < most_mib * 2**20, f"{most:,} bytes more than at the start"
