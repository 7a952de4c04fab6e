"""`verdicts backup` and `verdicts restore`, with their progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

import app.cli.service_failures  # noqa: F401  # whoever reaches the database may meet the service's errors
from app.backup.archive import Manifest
from app.backup.load import load
from app.backup.save import Progress as Report
from app.backup.save import save
from app.cli.connection import connected, settings_of
from app.cli.options import DataDirOption
from app.cli.show import console
from app.core.db import Database
from app.core.settings import Settings
from app.embedded import EmbeddedServers, running_urls


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; there must be none of that name.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write the whole database to one file, while the service goes on."""
    with _opened(connected(data_dir)) as database, _shown() as report:
        manifest = save(database, file.absolute(), report)
    _say(manifest, f"in {file}")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `verdicts backup` wrote.")],
    replace: Annotated[bool, typer.Option(help="Throw away what the database holds now.")] = False,  # noqa: FBT002
    data_dir: DataDirOption = None,
) -> None:
    """Make the database what it was when the backup was taken. Stop the service first.

    Where nothing runs on the data folder, its own servers run meanwhile.
    """
    with _standing(data_dir) as settings, _opened(settings) as database, _shown() as report:
        manifest = load(database, file, replace=replace, progress=report)
    _say(manifest, f"restored as of {manifest.created_at}")


@contextmanager
def _standing(data_dir: Path | None) -> Iterator[Settings]:
    """The settings with a database that runs; the folder's own is started for it, as `verdicts up` would."""
    settings = settings_of(data_dir)
    if settings.database_url or running_urls(settings.data_dir) is not None:
        yield connected(data_dir)
        return
    with EmbeddedServers(settings.data_dir, redis_url=settings.redis_url) as urls:
        yield settings.model_copy(update=asdict(urls))


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url or "", pool_size=1)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _shown() -> Iterator[Report]:
    """A line a table, counting its rows."""
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bars = {}

        def report(table: str, rows: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(table, total=None)
            progress.advance(bars[table], rows)

        yield report


def _say(manifest: Manifest, where: str) -> None:
    rows = sum(table.rows for table in manifest.tables)
    words = f"{rows:,} rows of {len(manifest.tables)} tables, schema {manifest.revision}, {where}"
    console.print(words, highlight=False, markup=False)
