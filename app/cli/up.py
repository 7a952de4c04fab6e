"""`verdicts up`: servers, migration, catalogue, API and worker under one roof, until Ctrl-C."""

import os
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from app.catalogue.load import load_catalogue
from app.cli.advice import itself, where
from app.cli.connection import settings_of
from app.cli.devices import worker_services
from app.cli.failures import UNREACHABLE, CommandError
from app.cli.first_runs import reproduce_missing
from app.cli.options import DataDirOption, HostOption, PortOption
from app.cli.service import session_of
from app.cli.show import console, say_command
from app.cli.steps import Steps
from app.cli.whereabouts import noted
from app.core.migrate import upgrade
from app.core.settings import Settings
from app.embedded import EmbeddedServers, Service, StopRequested, Supervisor

_READY_S: Final = 120.0


def up(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    data_dir: DataDirOption = None,
    reproduce: Annotated[
        list[str] | None,
        typer.Option(help="Have these drivers run once the service is up, where they have no verdict yet; a pattern."),
    ] = None,
) -> None:
    """Start everything: servers, migration, API and worker. Ctrl-C stops everything; the data stay."""
    settings = settings_of(data_dir)
    _refuse_taken_port(host, port)
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"the data folder {settings.data_dir} cannot be made ({error.strerror}); name another with --data-dir"
        raise CommandError(message, UNREACHABLE) from error
    console.print(f"data    {settings.data_dir}", highlight=False, markup=False, soft_wrap=True)
    with suppress(StopRequested, KeyboardInterrupt):
        _run(settings, host, port, reproduce or [])
    console.print(f"stopped; the data stay in {settings.data_dir}", highlight=False, markup=False, soft_wrap=True)


def _run(settings: Settings, host: str, port: int, patterns: list[str]) -> None:
    steps, base = Steps(console), _address(host, port)
    servers = EmbeddedServers(settings.data_dir, database_url=settings.database_url, redis_url=settings.redis_url)
    with ExitStack() as stack:
        with steps.step("servers", "starting Postgres and Valkey") as note:
            leaving = steps.until_left(servers, "stopping Postgres and Valkey", "servers are stopped")
            urls = stack.enter_context(leaving)
            settings = settings.model_copy(update={"database_url": urls.database_url, "redis_url": urls.redis_url})
            note("Postgres and Valkey")
        with steps.step("schema", "bringing the schema up to date") as note:
            upgrade(urls.database_url)
            note("up to date")
        with steps.step("drivers", "loading the catalogue") as note, session_of(settings) as session:
            loaded = load_catalogue(session, settings.catalogue_dir)
            note(f"{loaded.drivers}, for {loaded.papers} papers")
        with steps.step("service", "starting the API and the worker") as note:
            supervisor = Supervisor(_services(settings, host, port, base), settings.data_dir)
            stack.enter_context(
                steps.until_left(supervisor, lambda: _stopping(supervisor), "API and worker are stopped")
            )
            supervisor.wait_ready(_READY_S)
            note("the API and the worker")
        stack.enter_context(noted(settings.data_dir, base))
        console.print(f"pages   {base}/", highlight=False)
        console.print(f"API     {base}/docs", highlight=False)
        _say_key(settings.data_dir)
        _say_where(base, reproduce_missing(settings, patterns))
        supervisor.wait()


def _stopping(supervisor: Supervisor) -> str:
    return f"stopping {' and '.join(supervisor.running) or 'the services'}, what is under way comes to its end first"


def _address(host: str, port: int) -> str:
    """Where this machine reaches it."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _refuse_taken_port(host: str, port: int) -> None:
    """Say so at once, not after a minute of start-up."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host}:{port}: {error.strerror}; choose another with --host and --port"
            raise CommandError(message, UNREACHABLE) from error


def _services(settings: Settings, host: str, port: int, base: str) -> list[Service]:
    environment = {
        **os.environ,
        "VERDICTS_DATABASE_URL": settings.database_url or "",
        "VERDICTS_REDIS_URL": settings.redis_url or "",
        "VERDICTS_DATA_DIR": str(settings.data_dir),
    }
    serve = [sys.executable, "-m", "app.cli", "api", "--host", host, "--port", str(port)]

    def ready() -> bool:
        try:
            return httpx.get(f"{base}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return [Service("api", serve, env=environment, ready=ready), *worker_services(settings.device, environment)]


def _say_key(data_dir: Path) -> None:
    """For another terminal, where no variable names the folder."""
    here = where(None, data_dir if data_dir != Settings.model_fields["data_dir"].default else None)
    console.print("keys    to change something, make one:", highlight=False)
    say_command(f"{itself()} keys create --name me --scope reproduce --scope curate{here}")


def _say_where(base: str, paper: str | None) -> None:
    console.print(f"\nThe service runs at [bold]{base}[/bold]", highlight=False)
    if paper is not None:
        console.print(f"the paper's document: {base}/v1/papers/{paper}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C stops everything.", highlight=False)
