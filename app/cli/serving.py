"""`verdicts api` and `verdicts worker`: one part of the service, on a database and a Redis that run already."""

import os
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from app.cli.connection import connected
from app.cli.devices import worker_services
from app.cli.options import DataDirOption, HostOption, PortOption
from app.core.quick import quick
from app.core.settings import Settings
from app.embedded import Supervisor


def api(host: HostOption = "127.0.0.1", port: PortOption = 8000, data_dir: DataDirOption = None) -> None:
    """Serve the API on a database and a Redis that run already."""
    settings = _export(data_dir)
    uvicorn.run(
        "app.main:serve",
        factory=True,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        http=quick(settings.limits),
        ws="none",
        # Whose X-Forwarded-For counts is VERDICTS_ACCESS__TRUSTED_PROXIES's to say; uvicorn believes any local peer.
        proxy_headers=False,
        # With open streams uvicorn would wait for ever.
        timeout_graceful_shutdown=10,
    )


def worker(
    device: Annotated[str, typer.Option(help="auto (every GPU, else the CPU), cpu, cuda, or cuda:N.")] = "auto",
    data_dir: DataDirOption = None,
) -> None:
    """Run the worker: one process a device."""
    settings = _export(data_dir)
    services = worker_services(device, dict(os.environ))
    if len(services) == 1:
        only = services[0]
        os.execvpe(only.argv[0], list(only.argv), dict(only.env or {}))  # noqa: S606  # no shell is wanted
    with Supervisor(services, settings.data_dir) as supervisor:
        supervisor.wait()


def _export(data_dir: Path | None) -> Settings:
    """Put what was found into the environment, where the process that is started reads it."""
    settings = connected(data_dir)
    os.environ["VERDICTS_DATABASE_URL"] = settings.database_url or ""
    os.environ["VERDICTS_REDIS_URL"] = settings.redis_url or ""
    os.environ["VERDICTS_DATA_DIR"] = str(settings.data_dir)
    return settings
