"""Write a backup from one consistent snapshot, while the service goes on."""

from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from app.backup.archive import Manifest, TableRecord, Writer, new_archive
from app.backup.errors import BackupError
from app.backup.tables import Table, driver_connection, sequences, tables_of
from app.core.clock import isoformat, now
from app.core.db import Database
from app.core.migrate import current_revision

Progress = Callable[[str, int], object]
"""Is told the table at hand, and how many more of its rows are done."""


def save(database: Database, path: Path, progress: Progress = lambda _table, _rows: None) -> Manifest:
    """Write every row of every table to a new file; returns what it holds.

    Raises BackupError where the file cannot be written, or there is nothing to back up.
    """
    with database.unit_of_work() as session, new_archive(path) as archive:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        connection = driver_connection(session)
        revision = current_revision(session.connection())
        if revision is None:
            msg = "the database has no schema of this service, so there is nothing to back up"
            raise BackupError(msg)
        manifest = Manifest(
            revision=revision,
            service_version=version("paper-verdicts"),
            created_at=isoformat(now()),
            tables=tuple(_save_table(connection, table, archive, progress) for table in tables_of(connection)),
            sequences=sequences(connection),
        )
        archive.manifest(manifest)
    return manifest


def _save_table(connection: psycopg.Connection[Any], table: Table, archive: Writer, progress: Progress) -> TableRecord:
    digest, rows = sha256(), 0
    with archive.entry(table.name) as entry, connection.cursor().copy(table.copy_out()) as copy:
        for block in copy:
            entry.write(block)
            digest.update(block)
            found = bytes(block).count(b"\n")  # one a row: COPY writes those inside a text as two other characters
            progress(table.name, found)
            rows += found
    return TableRecord(table.name, table.columns, rows, digest.hexdigest())
