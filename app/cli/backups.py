"""`verdicts backup` and `verdicts restore`, with their progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from app.backup.archive import Manifest
from app.backup.load import load
from app.backup.save import Progress as Report
from app.backup.save import save
from app.cli.show import console
from app.core.db import Database
from app.core.settings import Settings


def write_backup(settings: Settings, file: Path) -> None:
    """Back up, and say what is in the file."""
    with _opened(settings) as database, _shown() as report:
        manifest = save(database, file.absolute(), report)
    _say(manifest, f"in {file}")


def read_backup(settings: Settings, file: Path, *, replace: bool) -> None:
    """Restore, and say what came back."""
    with _opened(settings) as database, _shown() as report:
        manifest = load(database, file, replace=replace, progress=report)
    _say(manifest, f"restored as of {manifest.created_at}")


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
    with Progress(*columns, console=console, transient=True) as progress:
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
