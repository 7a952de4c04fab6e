"""The commands."""

import os
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
import uvicorn

from app.catalogue.load import load_catalogue
from app.cli.attestations import signing_key, verify
from app.cli.backups import read_backup, write_backup
from app.cli.claims import claims
from app.cli.devices import worker_services
from app.cli.failures import UNEXPECTED_VERDICT, CommandError
from app.cli.follow import follow
from app.cli.keys import audit, keys
from app.cli.plain import plain
from app.cli.service import DataDirOption, JsonOption, connected, session_of
from app.cli.show import console, document_panel, drivers_table, papers_table, verdict_panel
from app.cli.source import KeyOption, ServerOption, source_of
from app.cli.up import run_everything
from app.cli.webhooks import webhooks
from app.client.models import Driver, Page, PaperDocument, PaperSummary, Reproduction, Verdict
from app.core.migrate import upgrade
from app.core.quick import quick
from app.core.settings import Settings
from app.embedded import Supervisor
from app.models import VerdictKind
from app.reproductions.schemas import ReproductionPost

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(keys, name="keys")
app.add_typer(claims, name="claims")
app.add_typer(webhooks, name="webhooks")
app.add_typer(signing_key, name="signing-key")
app.command()(audit)
app.command()(verify)

HostOption = Annotated[str, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]
LimitOption = Annotated[int, typer.Option(min=1, max=200, help="How many at most.")]


@app.command()
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
    run_everything(host, port, data_dir, reproduce or [])


@app.command()
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


@app.command()
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


@app.command()
def migrate(
    data_dir: DataDirOption = None,
    catalogue: Annotated[bool, typer.Option(help="Load the catalogue of drivers as well.")] = False,  # noqa: FBT002
) -> None:
    """Bring the database's schema to the newest version."""
    settings = connected(data_dir)
    upgrade(settings.database_url or "")
    if catalogue:
        with session_of(settings) as session:
            loaded = load_catalogue(session, settings.catalogue_dir)
        console.print(f"{loaded.papers} papers and {loaded.drivers} drivers in the catalogue")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; there must be none of that name.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write the whole database to one file, while the service goes on."""
    write_backup(connected(data_dir), file)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `verdicts backup` wrote.")],
    replace: Annotated[bool, typer.Option(help="Throw away what the database holds now.")] = False,  # noqa: FBT002
    data_dir: DataDirOption = None,
) -> None:
    """Make the database what it was when the backup was taken. Stop the service first."""
    read_backup(connected(data_dir), file, replace=replace)


@app.command("import")
def import_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A paper document (JSON), or - for standard input. With --server: an arXiv id."
        ),
    ],
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Import a paper document with its verdicts, ids and times kept; with --server, a paper's metadata from arXiv."""
    with source_of(server, key, data_dir) as source:
        text, words = source.import_(what)
    typer.echo(text) if as_json else console.print(plain(words), highlight=False, markup=False)


@app.command()
def papers(
    q: Annotated[str | None, typer.Argument(help="Words of the id, title or abstract.")] = None,
    limit: LimitOption = 50,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List papers, newest verdict first."""
    with source_of(server, key, data_dir) as source:
        text = source.papers(q, limit)
    typer.echo(text) if as_json else console.print(papers_table(Page[PaperSummary].model_validate_json(text).items))


@app.command()
def show(
    paper: str,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show a paper's document: its verdicts as they stand."""
    with source_of(server, key, data_dir) as source:
        text = source.paper(paper)
    typer.echo(text) if as_json else console.print(document_panel(PaperDocument.model_validate_json(text)))


@app.command()
def reproduce(
    paper: str,
    driver: Annotated[str | None, typer.Option(help="Which driver; needed where a claim has several.")] = None,
    claim: Annotated[UUID | None, typer.Option(help="Which claim; default: the headline claim.")] = None,
    kind: Annotated[VerdictKind, typer.Option(help="Check the paper before (PRE) or after its publication.")] = (
        VerdictKind.POST
    ),
    slice_size: Annotated[int | None, typer.Option(min=1, help="Measure so many examples.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="0 is served first.")] = 5,
    force: Annotated[bool, typer.Option(help="A run of its own, even while the same is in flight.")] = False,  # noqa: FBT002
    wait: Annotated[bool, typer.Option(help="Follow the run and print its verdict.")] = False,  # noqa: FBT002
    expect: Annotated[str | None, typer.Option(help="With --wait: exit with 6 unless the verdict is this.")] = None,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Ask for a reproduction of a claim."""
    post = ReproductionPost(
        claim=claim, driver=driver, kind=kind, slice_size=slice_size, priority=priority, force=force
    )
    with source_of(server, key, data_dir) as source:
        text, joined = source.ask(paper, post)
        run = Reproduction.model_validate_json(text)
        if not wait:
            words = f"run {run.id} is {run.state}" + (" (the same one was in flight)" if joined else "")
            typer.echo(text) if as_json else console.print(words)
            return
        text = follow(source, run.id)
    verdict = Verdict.model_validate_json(text)
    typer.echo(text) if as_json else console.print(verdict_panel(verdict))
    if expect is not None and verdict.status != expect:
        raise CommandError(f"the verdict is {verdict.status}, not {expect}", UNEXPECTED_VERDICT)


@app.command()
def drivers(
    load: Annotated[bool, typer.Option(help="Load the catalogue first.")] = False,  # noqa: FBT002
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the drivers."""
    with source_of(server, key, data_dir) as source:
        if load:
            source.load_drivers()
        text = source.drivers()
    typer.echo(text) if as_json else console.print(drivers_table(Page[Driver].model_validate_json(text).items))


def _export(data_dir: Path | None) -> Settings:
    """Put what was found into the environment, where the process that is started reads it."""
    settings = connected(data_dir)
    os.environ["VERDICTS_DATABASE_URL"] = settings.database_url or ""
    os.environ["VERDICTS_REDIS_URL"] = settings.redis_url or ""
    os.environ["VERDICTS_DATA_DIR"] = str(settings.data_dir)
    return settings
