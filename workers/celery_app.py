"""The worker's Celery application: `celery -A workers.celery_app worker --pool solo`, one process a device.

The solo pool runs the model in the process that was started, so that nothing forks after CUDA was touched.
"""

import os
from functools import partial
from typing import Any, Final

from celery.signals import setup_logging, worker_init, worker_shutdown, worker_shutting_down

from app.core.db import Database
from app.core.logging import configure_logging
from app.core.queue import REPRODUCE, Doorbell, make_celery
from app.core.settings import Settings
from app.core.telemetry import start_telemetry, stop_telemetry
from app.reproductions.sweeper import Sweeper
from workers.context import WorkerContext
from workers.health import sign_of_life
from workers.presence import has_left, is_there
from workers.tasks.reproduce import reproduce_next

SETTINGS: Final = Settings()
celery: Final = make_celery(SETTINGS.redis_url or "redis://")
_open: Final[dict[str, Any]] = {}


@setup_logging.connect
def _log(**_: object) -> None:
    """Keep Celery from setting up its own logging."""
    configure_logging(SETTINGS.log_level)


@worker_init.connect
def _start(**_: object) -> None:
    if SETTINGS.database_url is None or SETTINGS.redis_url is None:
        message = "set VERDICTS_DATABASE_URL and VERDICTS_REDIS_URL, or start everything with `verdicts up`"
        raise SystemExit(message)
    # Read when torch is loaded. Threads that spin while they wait took 1.7 times the CPU on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    start_telemetry("paper-verdicts-worker")
    database = Database(SETTINGS.database_url, pool_size=2, idle_s=SETTINGS.database_idle_s)
    context = WorkerContext(SETTINGS, database, Doorbell(celery))
    sign_of_life(SETTINGS)
    sweeper = Sweeper(database, context.doorbell, SETTINGS.queue, partial(is_there, context))
    sweeper.__enter__()
    _open.update(context=context, sweeper=sweeper)


@worker_shutting_down.connect
def _stop_soon(**_: object) -> None:
    """Asked to stop: the run at hand ends soon, or is handed back after its present batch, its predictions kept."""
    if "context" in _open:
        _open["context"].ask_to_stop()


@worker_shutdown.connect
def _stop(**_: object) -> None:
    if "context" in _open:
        _open["sweeper"].__exit__(None, None, None)
        has_left(_open["context"])
        _open["context"].database.close()
        stop_telemetry()


@celery.task(name=REPRODUCE, ignore_result=True)
def reproduce(reproduction_id: str) -> None:
    """The bell rang. It names the run it rang for, but the row that is taken is the first that waits."""
    del reproduction_id
    reproduce_next(_open["context"])
