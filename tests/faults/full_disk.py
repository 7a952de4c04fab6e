"""(A script) A service whose Postgres lies on a file system of its own that is filled to the last byte, and emptied.

It runs where `unshare` has made the file system for it alone; the folder is its argument. What it saw goes to standard
output as JSON.
"""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.migrate import upgrade
from app.core.settings import QueueSettings, Settings
from app.embedded import EmbeddedServers
from app.models import Prediction, Verdict
from app.papers.ids import PaperRef
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from tests.factories.runs import Bell, read_run
from workers.context import WorkerContext
from workers.tasks.reproduce import reproduce_next

PAPER, DRIVER = PaperRef("2004.13606"), "bert-base-mnli-seed01-matched"
QUEUE = QueueSettings(lease_s=300)
PATIENCE_S = 240.0


def main(folder: Path) -> dict[str, Any]:
    """Fill the disk, let a worker measure, and make room once it was refused."""
    with EmbeddedServers(folder / "data", redis_url="redis://nowhere") as urls:
        upgrade(urls.database_url)
        database = Database(urls.database_url)
        settings = Settings(data_dir=folder / "data", queue=QUEUE, device="cpu")
        with database.unit_of_work() as session:
            load_catalogue(session, settings.catalogue_dir)
            run_id, _ = request_reproduction(session, PAPER, ReproductionPost(driver=DRIVER), QUEUE, Bell())
        fill(folder / "ballast")
        refusal = refused(database)
        # Room enough to take the run and to begin with its results, and not for all of them.
        os.truncate(folder / "ballast", (folder / "ballast").stat().st_size - 500_000)
        worker = threading.Thread(target=reproduce_next, args=[WorkerContext(settings, database, Bell())])
        with structlog.testing.capture_logs() as log:
            worker.start()
            until(lambda: any(line["event"] in {"heartbeat_failed", "database_away"} for line in log))
            meanwhile = read_run(database, run_id)
            (folder / "ballast").unlink()
            worker.join(PATIENCE_S)
        run = read_run(database, run_id)
        with database.unit_of_work() as session:
            kept = session.scalar(select(func.count()).select_from(Prediction))
            verdicts = session.scalar(select(func.count()).select_from(Verdict))
        database.close()
    return {
        "refusal": refusal,
        "errors": sorted({line["error"] for line in log if line["event"] in {"heartbeat_failed", "database_away"}}),
        "meanwhile": [meanwhile.state, meanwhile.progress_done],
        "run": [run.state, run.fence, run.error, run.progress_done],
        "predictions": kept,
        "verdicts": verdicts,
    }


def fill(path: Path) -> None:
    """Write until there is no byte left."""
    with path.open("wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    ballast.write(b"\0" * size)


def refused(database: Database) -> str:
    """The SQLSTATE with which Postgres refuses what takes room."""
    try:
        with database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", None))
    return "it took it"


def until(condition: Any) -> None:  # noqa: ANN401  # a callable
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))  # noqa: T201  # the test reads it
