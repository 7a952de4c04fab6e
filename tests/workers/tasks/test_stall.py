"""A run that hangs where nothing can interrupt it: its worker ends itself, and the run goes to another."""

import os
import subprocess
import sys

from app.core.db import Database
from tests.factories.drivers import make_subject
from tests.factories.runs import ask, let_pass, read_run, take

_HANGS = """
import time
from app.core.db import Database
from app.core.logging import configure_logging
from app.core.settings import Settings
from app.reproductions.lease import Stored, take_run
from workers.context import WorkerContext
from workers.tasks.heart import Heart

configure_logging()
settings = Settings()
context = WorkerContext(settings, Database(settings.database_url), None)
with context.database.unit_of_work() as session:
    lease = take_run(session, "hangs", settings.queue)
with Heart(context, lease, Stored()) as heart:
    heart.stage("loading_model")
    time.sleep(600)
"""


def test_a_worker_whose_run_stands_still_ends_itself(database: Database, database_url: str) -> None:
    run_id = ask(database, make_subject(database))
    settings = {
        "VERDICTS_DATABASE_URL": database_url,
        "VERDICTS_QUEUE__STALL_S": "0.5",
        "VERDICTS_QUEUE__HEARTBEAT_S": "0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", _HANGS], env={**os.environ, **settings}, capture_output=True, timeout=600, check=False
    )
    assert done.returncode == 75, done.stderr
    assert b'"event": "run_stalled"' in done.stderr
    run = read_run(database, run_id)
    assert (run.state.value, run.stage, run.worker) == ("running", "loading_model", "hangs")
    let_pass(database, run_id, "lease_until")
    assert take(database, "another").attempt == 2
