"""Restore a backup into an empty database: one transaction, checked before it is committed."""

from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psycopg
from psycopg import sql
from sqlalchemy.exc import DatabaseError

from app.backup.archive import Manifest, TableRecord, blocks_of, open_archive
from app.backup.errors import BackupError
from app.backup.invariants import check_invariants
from app.backup.save import Progress
from app.backup.tables import Table, driver_connection, foreign_keys, sequences, tables_of
from app.core.db import Database
from app.core.migrate import current_revision, downgrade, is_known, upgrade


def load(
    database: Database, path: Path, *, replace: bool = False, progress: Progress = lambda _table, _rows: None
) -> Manifest:
    """Make the database what it was when the backup was taken, then bring its schema to the newest version.

    The schema's checks and foreign keys hold for the rows as they come in, what its triggers refuse is asked of them
    afterwards, and what was read back is compared with the backup, all before the commit. Raises BackupError with
    nothing restored: where the file is not a whole backup, where the database holds anything (unless `replace`), where
    a rule is broken.
    """
    url = database.engine.url.render_as_string(hide_password=False)
    manifest, archive = open_archive(path)
    with archive:
        if not is_known(manifest.revision):
            newer = f"{manifest.revision}: install {manifest.service_version}"
            msg = f"this version does not know the backup's schema {newer}"
            raise BackupError(msg)
        _check_entries(manifest, archive)
        _prepare(database, url, manifest, replace=replace)
        try:
            with database.unit_of_work() as session:
                _fill(driver_connection(session), manifest, archive, progress, replace=replace)
        except (psycopg.DatabaseError, DatabaseError) as error:
            first = str(error).strip().splitlines()[0]
            msg = f"the database refuses the backup, nothing was restored: {first}"
            raise BackupError(msg) from error
    upgrade(url)
    return manifest


def _check_entries(manifest: Manifest, archive: ZipFile) -> None:
    """Before anything is written: every table's text is what the manifest says of it."""
    for record in manifest.tables:
        digest = sha256()
        for block in blocks_of(archive, record.name):
            digest.update(block)
        if digest.hexdigest() != record.sha256:
            msg = f"the rows of {record.name} are not those that were backed up; nothing was restored"
            raise BackupError(msg)


def _prepare(database: Database, url: str, manifest: Manifest, *, replace: bool) -> None:
    """The backup's own schema, without rows, or what is to be replaced at the same schema."""
    with database.unit_of_work() as session:
        revision = current_revision(session.connection())
        connection = driver_connection(session)
        rows = [table.name for table in tables_of(connection) if _has_rows(connection, table)]
    if rows and not replace:
        msg = f"the database is not empty ({', '.join(rows)}); restore into an empty one, or say --replace"
        raise BackupError(msg)
    if revision not in {None, manifest.revision}:
        if rows:
            msg = f"the schema is at {revision} and the backup at {manifest.revision}; restore into an empty database"
            raise BackupError(msg)
        downgrade(url, "base")
    upgrade(url, manifest.revision)


def _fill(
    connection: psycopg.Connection[Any], manifest: Manifest, archive: ZipFile, progress: Progress, *, replace: bool
) -> None:
    tables = {table.name: table for table in tables_of(connection)}
    if {name: table.columns for name, table in tables.items()} != {one.name: one.columns for one in manifest.tables}:
        msg = "the backup's tables are not those of its schema; nothing was restored"
        raise BackupError(msg)
    constraints = foreign_keys(connection)
    for table in tables:
        _alter(connection, table, "DISABLE TRIGGER USER")
    for table, name, _ in constraints:
        _alter(connection, table, "DROP CONSTRAINT ", name)
    if replace:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, tables))))
    for record in manifest.tables:
        with connection.cursor().copy(tables[record.name].copy_in()) as copy:
            for block in blocks_of(archive, record.name):
                copy.write(block)
                progress(record.name, block.count(b"\n"))
    for table, name, definition in constraints:  # each is checked for every row when it is made
        _alter(connection, table, "ADD CONSTRAINT ", name, definition)
    check_invariants(connection)
    for record in manifest.tables:
        _compare(connection, tables[record.name], record)
    _restore_sequences(connection, manifest)
    _make_words(connection)
    for table in tables:
        _alter(connection, table, "ENABLE TRIGGER USER")


def _make_words(connection: psycopg.Connection[Any]) -> None:
    """What the triggers of the papers would have made; in an older schema the next migration makes it."""
    if connection.execute("SELECT to_regclass('public.paper_words')").fetchone() != (None,):
        connection.execute("SELECT fill_words()")


def _compare(connection: psycopg.Connection[Any], table: Table, record: TableRecord) -> None:
    digest = sha256()
    with connection.cursor().copy(table.copy_out()) as copy:
        for block in copy:
            digest.update(block)
    if digest.hexdigest() != record.sha256:
        msg = f"{record.name} reads differently once restored; nothing was restored"
        raise BackupError(msg)


def _restore_sequences(connection: psycopg.Connection[Any], manifest: Manifest) -> None:
    for name in sequences(connection):
        if (last := manifest.sequences.get(name)) is not None:
            connection.execute("SELECT setval(%s::regclass, %s)", [f'public."{name}"', last])


def _has_rows(connection: psycopg.Connection[Any], table: Table) -> bool:
    found = connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table.name))).fetchone()
    return found is not None


def _alter(connection: psycopg.Connection[Any], table: str, change: str, name: str = "", definition: str = "") -> None:
    # Changes are literals of this file, and definitions come from the database's own catalogue.
    parts = [sql.SQL("ALTER TABLE "), sql.Identifier(table), sql.SQL(f" {change}")]
    parts += [sql.Identifier(name), sql.SQL(f" {definition}")] if name else []
    connection.execute(sql.Composed(parts))
