"""Triggers of the tests' own database, at which whoever writes can be held, or refused, while a test looks on.

A hold is an advisory lock that the trigger waits for: what is killed or stopped meanwhile is so at exactly that place,
without any hook in the service's own code.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.faults.processes import wait_for

TAKING: Final = "taking"
"""A worker's UPDATE that takes a run, before its commit."""
ASKING: Final = "asking"
"""The commit of a run that was just asked for."""
VERDICT: Final = "verdict"
"""Between the verdict's insert and the commit."""
PREDICTIONS: Final = "predictions"
"""A heartbeat that stores predictions, before its commit."""
MORE_PREDICTIONS: Final = "more_predictions"
"""A heartbeat that stores more of them: the first ones of the run are committed."""

_FIRST: Final = (
    "(SELECT count(*) FROM added) = "
    "(SELECT count(*) FROM predictions WHERE evidence_id IN (SELECT evidence_id FROM added))"
)
_HOLDS: Final = {
    TAKING: ("UPDATE ON reproductions", "ROW WHEN (OLD.state = 'queued' AND NEW.state = 'running')", "false"),
    VERDICT: ("INSERT ON verdicts", "STATEMENT", "false"),
    PREDICTIONS: ("INSERT ON predictions", "STATEMENT", "false"),
    MORE_PREDICTIONS: ("INSERT ON predictions REFERENCING NEW TABLE AS added", "STATEMENT", _FIRST),
}
"""By place: what the trigger is after, for each of what, and when it lets by."""
_FULL: Final = "disk_is_full"


def install_holds(session: Session) -> None:
    """Put the triggers into this database."""
    for name, (what, each, passes) in _HOLDS.items():
        function = (
            f"CREATE FUNCTION hold_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT ({passes}) THEN "
            f"PERFORM pg_advisory_xact_lock_shared({_key(name)}); END IF; RETURN NULL; END $$"
        )
        session.execute(text(function))
        trigger = f"CREATE TRIGGER zz_hold_{name} AFTER {what} FOR EACH {each} EXECUTE FUNCTION hold_{name}()"
        session.execute(text(trigger))
    session.execute(
        text(
            f"CREATE FUNCTION hold_{ASKING}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"PERFORM pg_advisory_xact_lock_shared({_key(ASKING)}); RETURN NULL; END $$"
        )
    )
    session.execute(
        text(
            f"CREATE CONSTRAINT TRIGGER zz_hold_{ASKING} AFTER INSERT ON reproductions DEFERRABLE INITIALLY DEFERRED "
            f"FOR EACH ROW EXECUTE FUNCTION hold_{ASKING}()"
        )
    )


@contextmanager
def held(connection: psycopg.Connection, name: str) -> Iterator[None]:
    """Within it, whoever comes to this place waits there."""
    connection.execute("SELECT pg_advisory_lock(%s)", [_key(name)])
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [_key(name)])


def wait_until_held(connection: psycopg.Connection, name: str) -> None:
    """Return once somebody waits at this place."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"

    def waits() -> bool:
        row = connection.execute(query, [_key(name)]).fetchone()
        return bool(row and row[0])

    wait_for(f"somebody waits at {name}", waits)


@contextmanager
def disk_full(connection: psycopg.Connection) -> Iterator[None]:
    """Within it the database refuses predictions as it does when its disk is full (SQLSTATE 53100)."""
    connection.execute(
        f"CREATE FUNCTION {_FULL}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
    )
    connection.execute(
        f"CREATE TRIGGER {_FULL} BEFORE INSERT ON predictions FOR EACH STATEMENT EXECUTE FUNCTION {_FULL}()"
    )
    try:
        yield
    finally:
        connection.execute(f"DROP TRIGGER {_FULL} ON predictions")
        connection.execute(f"DROP FUNCTION {_FULL}()")


def _key(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF
