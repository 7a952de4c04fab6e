"""The migrations: from nothing, down and up again, in turns, and to exactly the schema that the models state."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, text

from app.core.db import Database
from app.core.migrate import alembic_config, downgrade, upgrade
from app.models import Base
from tests.factories.databases import opened

FILE_NAME = re.compile(r"\d{4}-\d{2}-\d{2}-\d{4}_[a-z0-9]+(_[a-z0-9]+)*\.py")

ADVISORY_LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
OBJECTS = """
    SELECT 'table' AS kind, relname::text AS name FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S') AND relname <> 'alembic_version'
    UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type', typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
"""
SHAPE = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, generation_expression,
               coalesce(column_default, '') AS default
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, condeferrable, condeferred, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' AND contype <> 't'
    """,
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    """,
}


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    with opened(empty_database_url) as database:
        yield database


def _rows(database: Database, query: str) -> set[tuple[object, ...]]:
    with database.engine.connect() as connection:
        return {tuple(row) for row in connection.execute(text(query))}


def test_up_down_and_up_again(empty: Database, empty_database_url: str) -> None:
    upgrade(empty_database_url)
    made = _rows(empty, OBJECTS)
    shape = {name: _rows(empty, query) for name, query in SHAPE.items()}
    assert {("table", table) for table in Base.metadata.tables} <= made

    downgrade(empty_database_url, "base")
    assert _rows(empty, OBJECTS) == set()

    upgrade(empty_database_url)
    assert _rows(empty, OBJECTS) == made
    assert {name: _rows(empty, query) for name, query in SHAPE.items()} == shape


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    with opened(database_url) as database:
        before = {name: _rows(database, query) for name, query in SHAPE.items()}
        upgrade(database_url)
        assert {name: _rows(database, query) for name, query in SHAPE.items()} == before


def test_alembic_finds_no_drift_from_the_models(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("what", SHAPE)
def test_migrations_and_models_make_the_same_schema(what: str, database_url: str, empty: Database) -> None:
    # Alembic does not compare checks, predicates of indexes and deferrability; the server's own catalogue does.
    Base.metadata.create_all(empty.engine)
    with opened(database_url) as migrated:
        ours, theirs = _rows(migrated, SHAPE[what]), _rows(empty, SHAPE[what])
    assert ours
    assert ours == theirs


def test_there_is_one_head_and_one_root() -> None:
    scripts = ScriptDirectory.from_config(alembic_config(""))
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1


def test_files_are_named_by_date_and_subject() -> None:
    folder = Path(__file__).resolve().parents[2] / "migrations" / "versions"
    names = [path.name for path in folder.glob("*.py")]
    assert names
    assert [name for name in names if not FILE_NAME.fullmatch(name)] == []


def test_processes_that_start_together_take_turns(empty_database_url: str) -> None:
    program = """
import os, sys
from app.core.migrate import upgrade
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        upgrade(sys.argv[1])
        os._exit(0)
    children.append(child)
print(*[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, empty_database_url], capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.stdout.split() == ["0"] * 4, ended.stderr
    with opened(empty_database_url) as database:
        assert {("table", table) for table in Base.metadata.tables} <= _rows(database, OBJECTS)
        assert len(_rows(database, "SELECT version_num FROM alembic_version")) == 1


def test_a_failed_migration_leaves_nothing_and_lets_the_next_one_in(empty: Database, empty_database_url: str) -> None:
    # A function of the same name makes the migration fail half-way.
    with empty.engine.begin() as connection:
        connection.execute(text("CREATE FUNCTION guard_state() RETURNS int LANGUAGE sql AS 'SELECT 1'"))
    with pytest.raises(Exception, match="guard_state") as failure:
        upgrade(empty_database_url)
    assert _rows(empty, OBJECTS) == {("function", "guard_state")}
    assert _rows(empty, ADVISORY_LOCKS) == {(0,)}
    assert failure.value  # its traceback kept whatever the failed migration had open alive until here


def test_an_unknown_revision_is_named(empty_database_url: str) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        upgrade(empty_database_url, "nowhere")
