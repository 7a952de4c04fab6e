"""What there is to copy: the tables with their columns, and what stands in the way of filling them."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.orm import Session

_TABLES = """
    SELECT c.relname, array_agg(a.attname ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      -- Leases, signs of life and bells are of processes, not of the data; words are made of the papers.
      AND c.relname NOT IN
        ('alembic_version', 'serving_processes', 'worker_processes', 'rings', 'sweep_counts', 'paper_words')
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.relname ORDER BY c.relname
"""
_KEYS = """
    SELECT c.relname, array_agg(a.attname ORDER BY k.place), array_agg(a.atttypid = 'text'::regtype ORDER BY k.place)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND i.indisprimary GROUP BY c.relname
"""
_FOREIGN_KEYS = """
    SELECT t.relname, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
    WHERE c.connamespace = 'public'::regnamespace AND c.contype = 'f' ORDER BY 1, 2
"""
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, the columns that are stored as they are given, and the order that tells two copies alike."""

    name: str
    columns: tuple[str, ...]
    order: sql.Composable

    def copy_out(self) -> sql.Composed:
        """Every row as text, in order."""
        parts = {"columns": _names(self.columns), "table": sql.Identifier(self.name), "order": self.order}
        return sql.SQL("COPY (SELECT {columns} FROM {table} ORDER BY {order}) TO STDOUT").format(**parts)

    def copy_in(self) -> sql.Composed:
        """Rows as `copy_out` gave them."""
        parts = {"columns": _names(self.columns), "table": sql.Identifier(self.name)}
        return sql.SQL("COPY {table} ({columns}) FROM STDIN").format(**parts)


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """The session's connection as psycopg has it, for COPY, writing text alike whatever the server's settings."""
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101  # the one driver there is
    for setting in (
        "statement_timeout = 0",
        "datestyle = 'ISO, MDY'",
        "extra_float_digits = 1",
        "bytea_output = 'hex'",
    ):
        connection.execute(sql.SQL("SET LOCAL " + setting))
    return connection


def tables_of(connection: psycopg.Connection[Any]) -> list[Table]:
    """The service's tables, by name."""
    keys = {name: (columns, texts) for name, columns, texts in connection.execute(_KEYS)}
    return [
        Table(name, tuple(columns), _order(*keys[name]) if name in keys else _whole_row(name))
        for name, columns in connection.execute(_TABLES)
    ]


def foreign_keys(connection: psycopg.Connection[Any]) -> list[tuple[str, str, str]]:
    """Table, name and definition of each."""
    return list(connection.execute(_FOREIGN_KEYS))


def sequences(connection: psycopg.Connection[Any]) -> dict[str, int | None]:
    """The last value of each sequence."""
    return dict(connection.execute(_SEQUENCES).fetchall())


def _order(columns: list[str], texts: list[bool]) -> sql.Composable:
    # By code points: two servers may collate differently.
    return sql.SQL(", ").join(
        sql.SQL('{} COLLATE "C"').format(sql.Identifier(column)) if text else sql.Identifier(column)
        for column, text in zip(columns, texts, strict=True)
    )


def _whole_row(table: str) -> sql.Composable:
    return sql.SQL('{}::text COLLATE "C"').format(sql.Identifier(table))


def _names(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
