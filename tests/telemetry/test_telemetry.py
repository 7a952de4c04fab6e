"""Traces: from a request through its SQL to the worker's run, sent to a real receiver. Nothing where none is asked."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.catalogue.load import load_catalogue
from app.core.settings import Settings
from app.core.telemetry import is_wanted
from tests.docs.blocks import block
from tests.factories.collector import Collector, collecting
from tests.factories.databases import opened
from tests.factories.drivers import make_subject
from tests.factories.forks import Forks
from tests.factories.keys import make_key
from tests.factories.runs import ask, read_run, take
from tests.factories.served import serving
from tests.factories.typed import typed, with_real

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
RELEASED = "bert-base-mnli-seed03-matched"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


def exported(collector: Collector) -> str:
    """What the README has an operator type."""
    code = block("README.md", "export OTEL_EXPORTER_OTLP_ENDPOINT=").code
    return with_real(code, {"http://collector.example:4318": collector.endpoint})


def variables(collector: Collector) -> dict[str, str]:
    """What that makes of the environment."""
    shell = ["env", "-i", "bash", "-c", f"{exported(collector)}env -0"]
    told = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split("\0")
    return {line.partition("=")[0]: line.partition("=")[2] for line in told if line.startswith("OTEL_")} | QUICK


def loaded(database_url: str) -> str:
    """A database with the catalogue; a key to it."""
    with opened(database_url) as database:
        with database.unit_of_work() as session:
            load_catalogue(session, Settings().catalogue_dir)
        return make_key(database).key


def test_a_request_and_its_sql_are_one_trace(
    collector: Collector, forks: Forks, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with serving(
        forks, database_url, redis_url, tmp_path, **variables(collector), OTEL_SERVICE_NAME="verdicts-test"
    ) as served:
        assert httpx.get(f"{served.base}/v1/verdicts", headers=HEADERS, timeout=60).status_code == 200
        spans = collector.wait_for(TRACE, "GET /v1/verdicts", "SELECT")
    request = next(span for span in spans if span.name == "GET /v1/verdicts")
    assert (request.parent, request.service, request.error) == (PARENT, "verdicts-test", None)
    assert request.attributes["http.response.status_code"] == 200
    ids = {span.id for span in spans}
    statements = [span for span in spans if span.name == "SELECT"]
    assert all(span.parent in ids for span in statements)
    assert all(span.attributes["db.system.name"] == "postgresql" for span in statements)
    assert any("FROM verdicts" in span.attributes["db.query.text"] for span in statements)
    sweeps = [span for span in collector.spans if "pg_try_advisory_xact_lock" in str(span.attributes)]
    assert sweeps == []  # what belongs to no request would be a trace every two seconds


@pytest.mark.worker
def test_a_run_carries_on_the_trace_of_the_request_that_asked_for_it(
    collector: Collector, forks: Forks, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    key = loaded(database_url)
    with serving(forks, database_url, redis_url, tmp_path, **variables(collector)) as served:
        post = {"driver": RELEASED}
        path = f"{served.base}/v1/papers/2004.13606/reproductions"
        asked = httpx.post(path, json=post, headers={**HEADERS, "Authorization": f"Bearer {key}"}, timeout=60)
        assert asked.status_code == 202
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VERDICTS_", "OTEL_"))}
    environment |= QUICK | {"VERDICTS_DATA_DIR": str(tmp_path / "data"), "HF_HUB_OFFLINE": "1"}
    real = {
        "postgresql+psycopg://user:password@db.example/verdicts": database_url,
        "redis://redis.example:6379/0": redis_url,
        ".venv/bin/": f"{Path(sys.executable).parent}/",
    }
    worker = with_real(block("README.md", "export VERDICTS_DATABASE_URL=").code, real)
    with typed(exported(collector) + worker, tmp_path, environment, tmp_path / "worker.log"):
        collector.wait_for(TRACE, "POST /v1/papers/{paper_id}/reproductions", "reproduction")
    spans = [span for span in collector.spans if span.trace == TRACE]
    run = next(span for span in spans if span.name == "reproduction")
    assert (run.service, run.error) == ("paper-verdicts-worker", None)
    assert run.attributes["reproduction_id"] == asked.json()["id"]
    assert run.attributes["driver"] == RELEASED
    assert run.parent in {span.id for span in spans if span.service == "paper-verdicts-api"}
    assert any(span.parent == run.id and span.name == "INSERT" for span in spans)  # the verdict


def test_without_the_variables_nothing_of_it_is_there(database_url: str, redis_url: str) -> None:
    program = """
import sys
from app.core.settings import Settings
from app.core.telemetry import traceparent
from app.main import create_app
app = create_app(Settings(database_url=sys.argv[1], redis_url=sys.argv[2]))
app.build_middleware_stack()
# redis-py loads some of the SDK by itself, where it is installed.
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))]
assert not app._native_telemetry.enabled()
assert not list(app.state.database.engine.dispatch.after_cursor_execute)
assert traceparent() is None
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program, database_url, redis_url], env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_that_nobody_traces_has_no_trace(database_url: str) -> None:
    with opened(database_url) as database:
        subject = make_subject(database)
        assert read_run(database, ask(database, subject)).traceparent is None
        assert take(database).traceparent is None


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": ""}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "1"}, True),  # only `true` does, by the specification
    ],
)
def test_what_the_variables_ask_for(environment: dict[str, str], wanted: bool) -> None:  # noqa: FBT001  # a parameter of the table
    assert is_wanted(environment) == wanted


def test_a_receiver_that_is_away_stops_nothing(forks: Forks, database_url: str, redis_url: str, tmp_path: Path) -> None:
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serving(forks, database_url, redis_url, tmp_path, **away) as served:
        for _ in range(5):
            assert httpx.get(f"{served.base}/v1/papers", timeout=60).status_code == 200
