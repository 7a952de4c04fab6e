from fastapi import FastAPI
from sqlalchemy import text

from app.core.db import Database
from tests.api.helpers import Api, ok


def test_a_service_with_all_it_needs_is_ready(client: Api) -> None:
    assert ok(client.get("/healthz")) == {"status": "ok"}
    checks = {"database": "ok", "migrations": "ok", "redis": "ok"}
    assert ok(client.get("/readyz")) == {"status": "ok", "checks": checks}


def test_a_schema_that_is_not_at_head_is_not_served(client: Api, database: Database) -> None:
    for statement, at in (
        ("UPDATE alembic_version SET version_num = '0000'", "0000"),
        ("DROP TABLE alembic_version", "None"),
    ):
        with database.engine.begin() as connection:
            connection.execute(text(statement))
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        assert answer.json()["checks"]["database"] == "ok"
        said = answer.json()["checks"]["migrations"]
        assert said.startswith(f"at {at}, not at ")
        assert "verdicts migrate" in said
        ok(client.get("/healthz"))


def test_without_redis_the_service_is_ready_and_says_what_is_missing(client: Api, app: FastAPI) -> None:
    for url in ("redis://127.0.0.1:1/0", "redis://no.such.host.invalid:6379/0"):
        app.state.settings = app.state.settings.model_copy(update={"redis_url": url})
        checks = {"database": "ok", "migrations": "ok", "redis": "does not answer"}
        assert ok(client.get("/readyz")) == {"status": "ok", "checks": checks}
