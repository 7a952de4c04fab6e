"""When something breaks on our side: nothing is said that only we should know, and nothing is half done."""

import re
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.core.db import Database
from app.core.queue import Doorbell
from app.core.settings import QueueSettings, Settings
from app.main import SettingsMissingError, create_app
from app.papers import endpoints
from tests.api.helpers import (
    PAPER,
    Api,
    Json,
    Log,
    claim_body,
    counts_body,
    ok,
    paper_body,
    predictions_body,
    refused,
    unchanged,
)

SECRET = "s3cret"  # noqa: S105  # the point is that nobody sees it
LEAKS = re.compile(rf"{SECRET}|psycopg|sqlalchemy|traceback|select|127\.0\.0\.1|\.py|python", re.IGNORECASE)


class Bell(Doorbell):
    """A doorbell that only remembers."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, reproduction_id: str) -> bool:
        self.rung.append(reproduction_id)
        return True

    def close(self) -> None:
        """Nothing is open."""


def gone(answer: Any) -> None:  # noqa: ANN401  # a response
    refused(answer, 503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert not LEAKS.search(answer.text)


@pytest.fixture
def without_database() -> Iterator[Api]:
    """A service whose database nobody serves."""
    settings = Settings(
        database_url=f"postgresql+psycopg://somebody:{SECRET}@127.0.0.1:1/nowhere",
        redis_url="redis://127.0.0.1:1/0",
        log_level="CRITICAL",
        queue=QueueSettings(sweep_s=3600),
    )
    with Api(create_app(settings)) as client:
        yield client


def test_without_a_database_every_resource_says_so(without_database: Api) -> None:
    client = without_database
    for path in (f"/v1/papers/{PAPER}", f"/v1/papers/{PAPER}v1", "/v1/papers", "/v1/verdicts", "/v1/reproductions"):
        gone(client.get(path))
    gone(client.put(f"/v1/papers/{PAPER}", json=paper_body()))
    gone(client.post(f"/v1/papers/{PAPER}/claims", json=claim_body()))
    gone(client.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body()))
    gone(client.post(f"/v1/papers/{PAPER}/reproductions", json={}))
    refused(client.get("/v1/papers?limit=0"), 422, "validation_failed", "query.limit")
    assert ok(client.get("/healthz")) == {"status": "ok"}


def test_without_a_database_the_service_is_alive_and_not_ready(without_database: Api) -> None:
    answer = without_database.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "checks": {"database": "does not answer", "migrations": "unknown", "redis": "does not answer"},
    }


def test_a_database_that_goes_and_comes_back(api: Api, database: Database) -> None:
    name = database.engine.url.database
    other = database.engine.url.set(database="postgres")
    keeper = Database(other.render_as_string(hide_password=False), pool_size=1)

    def run(*statements: str) -> None:
        with keeper.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.execute(text(statement))

    document = ok(api.get(f"/v1/papers/{PAPER}"))
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608  # our own
    try:
        run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', kill)
        until_memory_is_not_trusted(api, document)
        for _ in range(2):
            gone(api.get(f"/v1/papers/{PAPER}"))
            gone(api.post(f"/v1/papers/{PAPER}/claims", json=claim_body(row="Another")))
        run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert len(ok(api.get(f"/v1/papers/{PAPER}/claims"))["items"]) == 1
        run(kill)
        ok(api.get(f"/v1/papers/{PAPER}"))
    finally:
        keeper.close()


def until_memory_is_not_trusted(api: Api, document: Json) -> None:
    """Return once the service has noticed that it no longer hears of changes.

    Until its event loop has seen the listener's connection end, an answer from memory is right: nobody can have changed
    anything without it.
    """
    deadline = monotonic() + 60
    while (answer := api.get(f"/v1/papers/{PAPER}")).status_code == 200:
        assert answer.json() == document
        assert monotonic() < deadline, "a database that is gone is never noticed"
        sleep(0.01)


def test_an_exception_that_nobody_expects(client: Api, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(endpoints, "list_papers", broken)
    monkeypatch.setattr(endpoints, "write_document", broken)
    client.put_paper()
    log = Log()
    monkeypatch.setattr("app.core.errors._log", log)
    with unchanged(database):
        answers = [client.get("/v1/papers"), client.post(f"/v1/papers/{PAPER}/versions", json={})]
    incidents = []
    for answer in answers:
        problem = refused(answer, 500, "internal_error")
        assert not LEAKS.search(answer.text)
        incidents += re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", problem["detail"])
        assert problem["detail"].replace(incidents[-1], "") == (
            "Something went wrong on our side. It is logged as incident ."
        )
    assert len(set(incidents)) == 2
    assert [entry["incident"] for entry in log.entries] == incidents
    assert all(SECRET in str(entry["exc_info"]) for entry in log.entries)


def test_predictions_that_cannot_be_read_are_no_success(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = ok(api.post(f"/v1/papers/{PAPER}/verdicts", json=predictions_body([("neutral", "neutral")] * 3)), 201)

    def cut(*_: object) -> Iterator[list[Json]]:
        raise OperationalError("SELECT 1", {}, RuntimeError(SECRET))

    monkeypatch.setattr("app.verdicts.predictions._chunks", cut)
    for media in ("application/jsonl", "application/vnd.apache.parquet"):
        gone(api.get(f"/v1/verdicts/{verdict['id']}/predictions", headers={"Accept": media}))


def at_commit(database: Database, table: str, statement: str) -> None:
    """Have this happen when a transaction that inserted into the table commits."""
    body = f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NULL; END $$"
    trigger = (
        f"CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION at_commit()"
    )
    with database.engine.begin() as connection:
        connection.execute(text(body))
        connection.execute(text(trigger))


REFUSE = f"RAISE EXCEPTION '{SECRET}' USING ERRCODE = 'check_violation'"
CUT = "PERFORM pg_terminate_backend(pg_backend_pid())"


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("table", "method", "below", "body"),
    [
        ("papers", "PUT", "2101.00001", paper_body()),
        ("paper_versions", "POST", f"{PAPER}/versions", {}),
        ("claims", "POST", f"{PAPER}/claims", claim_body()),
        ("verdicts", "POST", f"{PAPER}/verdicts", counts_body()),
        ("reproductions", "POST", f"{PAPER}/reproductions", {}),
    ],
)
def test_a_commit_that_fails_is_never_a_success(
    client: Api, app: FastAPI, database: Database, table: str, method: str, below: str, body: object
) -> None:
    app.state.doorbell = bell = Bell()
    at_commit(database, table, REFUSE)
    with unchanged(database):
        answer = client.request(method, f"/v1/papers/{below}", json=body, headers={"Idempotency-Key": "a"})
        refused(answer, 500, "internal_error")
        assert "location" not in answer.headers
        assert not LEAKS.search(answer.text)
    assert bell.rung == []
    with database.engine.begin() as connection:
        connection.execute(text("DROP FUNCTION at_commit CASCADE"))
    at_commit(database, table, CUT)
    with unchanged(database):
        gone(client.request(method, f"/v1/papers/{below}", json=body, headers={"Idempotency-Key": "a"}))
    assert bell.rung == []
    with database.engine.begin() as connection:
        connection.execute(text("DROP FUNCTION at_commit CASCADE"))
    again = client.request(method, f"/v1/papers/{below}", json=body, headers={"Idempotency-Key": "a"})
    assert again.status_code in {201, 202}
    assert len(bell.rung) == (table == "reproductions")


def test_a_service_needs_its_servers_named() -> None:
    with pytest.raises(SettingsMissingError):
        create_app(Settings(database_url=None, redis_url="redis://127.0.0.1:1/0"))
    with pytest.raises(SettingsMissingError):
        create_app(Settings(database_url="postgresql+psycopg://x/y", redis_url=None))
