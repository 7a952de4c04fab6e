"""`verdicts up`: servers, migration, catalogue, API and worker under one roof, until Ctrl-C."""

import os
import socket
import sys
from fnmatch import fnmatch
from pathlib import Path

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.catalogue.load import load_catalogue
from app.cli.devices import worker_services
from app.cli.failures import UNREACHABLE, CommandError
from app.cli.follow import follow
from app.cli.local import Local
from app.cli.service import session_of, settings_of
from app.cli.show import console, verdict_panel
from app.client.models import Reproduction
from app.client.models import Verdict as ShownVerdict
from app.core.migrate import upgrade
from app.core.settings import Settings
from app.embedded import EmbeddedServers, Service, StopRequested, Supervisor
from app.models import Claim, Driver, Paper, Verdict, VerdictKind
from app.protocol.driver import DriverSpec
from app.reproductions.schemas import ReproductionPost

_READY_S = 120.0


def run_everything(host: str, port: int, data_dir: Path | None, patterns: list[str]) -> None:
    """Start everything, have the drivers that match the patterns run, and stay until Ctrl-C."""
    settings = settings_of(data_dir)
    _refuse_taken_port(host, port)
    base = f"http://{host}:{port}"
    try:
        with EmbeddedServers(
            settings.data_dir, database_url=settings.database_url, redis_url=settings.redis_url
        ) as urls:
            settings = settings.model_copy(update={"database_url": urls.database_url, "redis_url": urls.redis_url})
            console.print(f"data    {settings.data_dir}", highlight=False, markup=False)
            upgrade(urls.database_url)
            with session_of(settings) as session:
                loaded = load_catalogue(session, settings.catalogue_dir)
            console.print(f"drivers {loaded.drivers}, for {loaded.papers} papers", highlight=False)
            with Supervisor(_services(settings, host, port), settings.data_dir) as supervisor:
                supervisor.wait_ready(_READY_S)
                console.print(f"pages   {base}/", highlight=False)
                console.print(f"API     {base}/docs", highlight=False)
                last = _reproduce(settings, patterns)
                _say_where(base, last, data_dir)
                supervisor.wait()
    except (StopRequested, KeyboardInterrupt):
        pass
    console.print("stopped; the data stay, and `verdicts up` finds them")


def _refuse_taken_port(host: str, port: int) -> None:
    """Say so at once, not after a minute of start-up."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host}:{port}: {error.strerror}; choose another with --host and --port"
            raise CommandError(message, UNREACHABLE) from error


def _services(settings: Settings, host: str, port: int) -> list[Service]:
    environment = {
        **os.environ,
        "VERDICTS_DATABASE_URL": settings.database_url or "",
        "VERDICTS_REDIS_URL": settings.redis_url or "",
        "VERDICTS_DATA_DIR": str(settings.data_dir),
    }
    serve = [sys.executable, "-m", "app.cli", "api", "--host", host, "--port", str(port)]

    def ready() -> bool:
        try:
            return httpx.get(f"http://{host}:{port}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return [Service("api", serve, env=environment, ready=ready), *worker_services(settings.device, environment)]


def _reproduce(settings: Settings, patterns: list[str]) -> str | None:
    """Run the drivers that match, one after another; returns the paper of the last one."""
    with session_of(settings) as session:
        rows = session.execute(
            select(Driver, Paper.arxiv_id)
            .join(Claim, Claim.id == Driver.claim_id)
            .join(Paper, Paper.id == Claim.paper_id)
            .order_by(Driver.slug)
        ).all()
    last = None
    for pattern in patterns:
        matching = [(driver, arxiv_id) for driver, arxiv_id in rows if fnmatch(driver.slug, pattern)]
        if not matching:
            raise CommandError(f"no driver matches {pattern!r}; `verdicts drivers` lists them")
        for driver, arxiv_id in matching:
            _run_or_show(settings, driver, arxiv_id)
            last = arxiv_id
    return last


def _run_or_show(settings: Settings, driver: Driver, arxiv_id: str) -> None:
    spec = DriverSpec.model_validate(driver.spec)
    kind = VerdictKind(spec.kind)
    with session_of(settings) as session:
        known = _standing(session, driver, kind)
        known_id = known.id if known else None
    source = Local(lambda: settings)
    if known_id is None:
        post = ReproductionPost(claim=driver.claim_id, driver=driver.slug, kind=kind)
        text, _ = source.ask(arxiv_id, post)
        text = follow(source, Reproduction.model_validate_json(text).id)
    else:
        text = source.verdict(known_id)
        console.print(f"{driver.slug} has its verdict already; `verdicts reproduce` makes a new one", style="dim")
    console.print(verdict_panel(ShownVerdict.model_validate_json(text)))


def _standing(session: Session, driver: Driver, kind: VerdictKind) -> Verdict | None:
    return session.scalar(
        select(Verdict).where(
            Verdict.claim_id == driver.claim_id,
            Verdict.kind == kind,
            Verdict.is_current,
            Verdict.agent_version == driver.agent_version,
        )
    )


def _say_where(base: str, paper: str | None, data_dir: Path | None) -> None:
    console.print(f"\nThe service runs at [bold]{base}[/bold]", highlight=False)
    if paper is not None:
        console.print(f"the paper's document: {base}/v1/papers/{paper}", highlight=False)
    where = f" --data-dir {data_dir}" if data_dir else ""
    console.print(
        f"to change something, make a key: verdicts keys create --name me --scope reproduce --scope curate{where}",
        highlight=False,
        soft_wrap=True,
    )
    console.print("Ctrl-C stops everything.", highlight=False)
