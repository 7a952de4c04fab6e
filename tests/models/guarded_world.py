"""A database with a row of every sort, and plain SQL against it that has to be refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from app.core.db import Database
from app.models import Evidence, ReproductionState
from app.models.base import new_id
from app.papers.add_version import add_version
from app.papers.find import lock_paper
from app.papers.schemas import VersionPost
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.lease import give_up
from app.reproductions.sweep import sweep
from tests.factories.drivers import make_subject
from tests.factories.keys import make_key
from tests.factories.papers import make_claim
from tests.factories.runs import QUEUE, Bell, ask, beat, let_pass, predictions, take
from tests.factories.verdicts import conclude_without_rule, issue_verdict

CHECK, FOREIGN_KEY, UNIQUE, NOT_NULL = "23514", "23503", "23505", "23502"


@dataclass(frozen=True, slots=True)
class World:
    """Ids of what is there. The claim's POST line has two verdicts, each of a run; its second claim has none."""

    paper: UUID
    version: UUID
    claim: UUID
    claim_without_verdict: UUID
    driver: UUID
    first: UUID
    current: UUID
    current_run: UUID
    pre: UUID
    other_paper: UUID
    other_version: UUID
    other_claim: UUID
    unused_evidence: UUID
    runs: Mapping[ReproductionState, UUID]
    key: UUID


def make_world(database: Database) -> World:
    """Everything through the service's own use cases."""
    subject = make_subject(database)
    other = make_subject(database, "other", "2101.00002")
    with database.unit_of_work() as session:
        paper = lock_paper(session, subject.paper_id)
        add_version(session, paper, VersionPost())
        spare = make_claim(session, paper, row="Another model").id
        unused = new_id()
        session.add(Evidence(id=unused))
    finished = []
    for _ in range(2):
        run = ask(database, subject)
        lease = take(database)
        beat(database, lease, predictions())
        with database.unit_of_work() as session:
            finished.append((run, conclude_without_rule(session, subject, lease).id))
    runs = {ReproductionState.succeeded: finished[0][0]}
    runs[ReproductionState.expired] = ask(database, subject)
    let_pass(database, runs[ReproductionState.expired], "deadline_at")
    with database.unit_of_work() as session:
        sweep(session, QUEUE, Bell())
    runs[ReproductionState.failed] = ask(database, subject)
    with database.unit_of_work() as session:
        lease = take(database)
        give_up(session, lease, DriverError("checkpoint_missing", "No checkpoint."), QUEUE)
    runs[ReproductionState.cancelled] = ask(database, subject)
    with database.unit_of_work() as session:
        cancel_reproduction(session, runs[ReproductionState.cancelled])
    runs[ReproductionState.running] = ask(database, subject)
    beat(database, take(database), predictions(range(3)))
    runs[ReproductionState.queued] = ask(database, subject, kind="PRE")
    with psycopg.connect(_dsn(database)) as connection:
        row = connection.execute("SELECT id FROM drivers WHERE slug = %s", [subject.slug]).fetchone()
        assert row
    return World(
        paper=subject.paper_id,
        version=subject.version_id,
        claim=subject.claim_id,
        claim_without_verdict=spare,
        driver=row[0],
        first=finished[0][1],
        current=finished[1][1],
        current_run=finished[1][0],
        pre=issue_verdict(database, subject, kind="PRE"),
        other_paper=other.paper_id,
        other_version=other.version_id,
        other_claim=other.claim_id,
        unused_evidence=unused,
        runs=runs,
        key=make_key(database).id,
    )


def _dsn(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def refused(connection: psycopg.Connection, sqlstate: str, message: str) -> Iterator[None]:
    """What is done inside, up to its commit, fails with this SQLSTATE and a message that holds this text."""
    with pytest.raises(psycopg.Error) as failure, connection.transaction():
        yield
    assert (failure.value.sqlstate, message in str(failure.value)) == (sqlstate, True), failure.value


def insert(connection: psycopg.Connection, table: str, values: Mapping[str, object]) -> None:
    """Insert one row as it is."""
    adapted = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    connection.execute(
        sql.SQL("INSERT INTO {table} ({columns}) VALUES ({values})").format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(map(sql.Identifier, adapted)),
            values=sql.SQL(", ").join(map(sql.Placeholder, adapted)),
        ),
        adapted,
    )


def update(connection: psycopg.Connection, table: str, row: UUID, values: Mapping[str, object]) -> int:
    """Set columns of one row; how many rows that were."""
    adapted = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    settings = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in adapted
    )
    statement = sql.SQL("UPDATE {table} SET {settings} WHERE id = {row}")
    done = connection.execute(
        statement.format(table=sql.Identifier(table), settings=settings, row=sql.Literal(row)), adapted
    )
    return done.rowcount
