"""A service that is killed and started again under those who follow a run."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from app.cli.local.runs import LocalRuns
from app.cli.source import Watch
from app.cli.whereabouts import noted
from app.client import Client, Outage
from app.client.models import Reproduction
from app.core.db import Database
from app.embedded import EmbeddedServers
from app.verdicts.conclude import conclude_run
from tests.client.conftest import script
from tests.client.runs import run_json
from tests.client.scripted import Answer, Script
from tests.embedded.up_harness import wait_until
from tests.factories.drivers import Subject, make_subject
from tests.factories.forks import Forks
from tests.factories.runs import ask, beat, facts, predictions, take
from tests.factories.served import serving, serving_at

__all__ = ["script"]

PATIENCE_S = 120.0
STREAM = {"Content-Type": "text/event-stream"}


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def conclude(database: Database) -> None:
    """Do a worker's part for the run that waits."""
    lease = take(database)
    beat(database, lease, predictions(wrong=(9, 10, 11)))
    with database.unit_of_work() as session:
        conclude_run(session, lease, facts())


@pytest.mark.timeout(600)  # two services start here, one after the other
def test_a_run_is_followed_through_a_restart(
    forks: Forks, database_url: str, redis_url: str, database: Database, subject: Subject, tmp_path: Path
) -> None:
    run_id = ask(database, subject)
    seen: list[Reproduction] = []
    away: list[Outage | None] = []
    log = tmp_path / "follow.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
    with ThreadPoolExecutor(1) as threads:
        with serving(forks, database_url, redis_url, tmp_path, VERDICTS_LOG_LEVEL="ERROR") as first:
            client = Client(first.base)
            waiting = threads.submit(client.wait_for, run_id, on_progress=seen.append, on_outage=away.append)
            command = forks.start(["follow", str(run_id), "--server", first.base], environment, log)
            assert wait_until(lambda: bool(seen) and log.exists() and "queued, place 1" in log.read_text(), PATIENCE_S)
            first.process.kill()
        assert wait_until(lambda: bool(away) and "the service is away" in log.read_text(), PATIENCE_S), log.read_text()
        conclude(database)
        with serving_at(first.port, forks, database_url, redis_url, tmp_path, VERDICTS_LOG_LEVEL="ERROR"):
            ended = waiting.result(PATIENCE_S)
            command.wait(PATIENCE_S)
            verdict = client.verdict_of(ended)
    client.close()
    assert (seen[0].state, ended.state, verdict.status) == ("queued", "succeeded", "reproduced")
    assert away[-1] is None
    said = log.read_text()
    assert said.index("the service is away") < said.index("the service is back") < said.index("reproduced")


def test_a_run_that_was_lost_is_named_with_the_way_back(
    forks: Forks, script: Script, database_url: str, tmp_path: Path
) -> None:
    assert database_url
    run = run_json("running")
    path = f"/v1/reproductions/{run['id']}"
    script.on(path, Answer(body=run), Answer(dropped=True))
    script.on(f"{path}/events", Answer(dropped=True))
    arguments = ["follow", run["id"], "--server", script.url, "--patience", "0.2"]
    lost = forks.run(arguments, {"PATH": os.environ["PATH"]}, tmp_path)
    assert (lost.returncode, lost.stdout) == (5, "")
    assert "verdicts: the service has been away for" in lost.stderr
    assert lost.stderr.splitlines()[-1] == f"  verdicts follow {run['id']} --server {script.url}"


def test_ctrl_c_ends_the_watching_and_says_how_to_go_on(forks: Forks, script: Script, tmp_path: Path) -> None:
    run, over = run_json("running"), threading.Event()
    path = f"/v1/reproductions/{run['id']}"
    script.on(path, Answer(body=run))

    def silent() -> Iterator[bytes]:
        yield b": hello\n\n"
        over.wait(PATIENCE_S)

    script.on(f"{path}/events", Answer(pieces=silent(), headers=STREAM))
    log = tmp_path / "follow.log"
    command = forks.start(["follow", run["id"], "--server", script.url], {"PATH": os.environ["PATH"]}, log)
    assert wait_until(lambda: log.exists() and "running" in log.read_text(), PATIENCE_S)
    command.send_signal(signal.SIGINT)
    command.wait(PATIENCE_S)
    over.set()
    last = log.read_text().splitlines()[-2:]
    goes_on = f"the run {run['id']} goes on; to follow it again:"
    assert last == [f"verdicts: {goes_on}", f"  verdicts follow {run['id']} --server {script.url}"]


@pytest.fixture
def folder(data_dir: Path, database_url: str, redis_url: str) -> Iterator[Path]:
    """A data folder on which `verdicts up` runs, as far as other commands can tell."""
    with EmbeddedServers(data_dir, database_url=database_url, redis_url=redis_url):
        yield data_dir


def test_a_command_here_hears_of_a_run_by_events(
    folder: Path, script: Script, database: Database, subject: Subject
) -> None:
    run_id = ask(database, subject)
    told = [run_json("running", number, id=str(run_id)) for number in (0, 3, 6)]
    path = f"/v1/reproductions/{run_id}"
    script.on(path, Answer(body=told[0]), Answer(body=told[0]), Answer(status=404, body={}))
    events = [f"event: reproduction.progress\nid: {n}\ndata: {json.dumps(one)}\n\n" for n, one in enumerate(told)]
    script.on(f"{path}/events", Answer(pieces=[one.encode() for one in events], headers=STREAM))
    conclude(database)
    watch = Watch(PATIENCE_S, lambda _: None)
    with noted(folder, script.url):
        seen = list(LocalRuns(folder).updates(run_id, watch))
    # What the events told, and once they broke off, what the database says.
    assert [(one.state, one.progress.done) for one in seen[:3]] == [("running", 0), ("running", 3), ("running", 6)]
    assert seen[-1].state == "succeeded"
    verdict_id = seen[-1].verdict_id
    assert verdict_id is not None
    assert json.loads(LocalRuns(folder).verdict(verdict_id, run_id, watch))["status"] == "reproduced"


def test_a_command_here_looks_where_no_api_runs_and_waits_for_a_database_that_is_away(
    folder: Path, database: Database, subject: Subject, maintenance: psycopg.Connection
) -> None:
    run_id = ask(database, subject)
    said: list[str | None] = []
    name = database.engine.url.database
    updates = LocalRuns(folder).updates(run_id, Watch(PATIENCE_S, said.append))
    assert next(updates).state == "queued"
    with ThreadPoolExecutor(1) as threads:
        maintenance.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            maintenance.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            rest = threads.submit(list, updates)
            assert wait_until(lambda: bool(said), PATIENCE_S)
        finally:
            maintenance.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        conclude(database)
        assert [one.state for one in rest.result(PATIENCE_S)][-1] == "succeeded"
    assert "not currently accepting connections" in str(said[0])
    assert said[-1] is None


def test_where_nothing_runs_a_run_is_not_waited_for(forks: Forks, tmp_path: Path) -> None:
    done = forks.run(["follow", str(UUID(int=1)), "--data-dir", str(tmp_path)], {"PATH": os.environ["PATH"]}, tmp_path)
    assert done.returncode == 5
    assert "verdicts up" in done.stderr
