"""The log of events: written by triggers at the commit of what it tells of, numbered in the order of the commits."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The lock is taken before the position is drawn and released after the commit has become visible: so positions grow in
# the order of the commits, and whoever goes on from the largest one that it has seen misses none. It costs nothing that
# the message does not cost anyway: NOTIFY, too, lets one transaction commit at a time.
LOCK = 7_203_711_003

FUNCTIONS = {
    "log_run": (
        "PERFORM pg_advisory_xact_lock({lock}); "
        "INSERT INTO events (position, type, at, paper_id, kind, reproduction_id, snapshot) VALUES ("
        "nextval('event_positions'), "
        "CASE NEW.state WHEN 'queued' THEN 'reproduction.queued' WHEN 'running' THEN 'reproduction.running' "
        "ELSE 'reproduction.finished' END, "
        "clock_timestamp(), NEW.paper_id, NEW.kind, NEW.id, "
        "CASE WHEN NEW.state IN ('queued', 'running') THEN to_jsonb(NEW) - 'spec' END); "
        "PERFORM pg_notify('verdicts', 'events');"
    ),
    "log_verdict": (
        "PERFORM pg_advisory_xact_lock({lock}); "
        "INSERT INTO events (position, type, at, paper_id, kind, verdict_id) VALUES ("
        "nextval('event_positions'), "
        "CASE TG_OP WHEN 'INSERT' THEN 'verdict.issued' ELSE 'verdict.superseded' END, "
        "clock_timestamp(), NEW.paper_id, NEW.kind, NEW.id); "
        "PERFORM pg_notify('verdicts', 'events');"
    ),
}
# Deferred: they run at the commit, when nothing is left to wait for but the lock itself.
_AT_COMMIT = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
TRIGGERS = (
    ("reproductions_log_asked", "reproductions", "INSERT", "true", "log_run"),
    ("reproductions_log_run", "reproductions", "UPDATE", "OLD.state <> NEW.state OR OLD.fence <> NEW.fence", "log_run"),
    ("verdicts_log_issued", "verdicts", "INSERT", "true", "log_verdict"),
    ("verdicts_log_superseded", "verdicts", "UPDATE", "OLD.is_current AND NOT NEW.is_current", "log_verdict"),
)


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("event_positions")))
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("PRE", "POST", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("reproduction_id", sa.Uuid(), nullable=True),
        sa.Column("verdict_id", sa.Uuid(), nullable=True),
        sa.Column("snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "type IN ('reproduction.queued', 'reproduction.running', 'reproduction.finished', 'verdict.issued', 'verdict.superseded')",
            name=op.f("ck_events_type"),
        ),
        sa.CheckConstraint("num_nonnulls(reproduction_id, verdict_id) = 1", name=op.f("ck_events_subject")),
        sa.CheckConstraint(
            "(snapshot IS NOT NULL) = (type IN ('reproduction.queued', 'reproduction.running'))",
            name=op.f("ck_events_snapshot"),
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events")),
    )
    op.create_index("ix_events_paper", "events", ["paper_id", "position"], unique=False)
    op.create_index("ix_events_run", "events", ["reproduction_id", "position"], unique=False)
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    for name, body in FUNCTIONS.items():
        statements = body.format(lock=LOCK)
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statements} RETURN NULL; END $$"
        )
    for name, table, event, when, function in TRIGGERS:
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {name} AFTER {event} ON {table} {_AT_COMMIT} "
            f"WHEN ({when}) EXECUTE FUNCTION {function}()"
        )
    op.execute(
        "CREATE TRIGGER events_guard_never_changed BEFORE UPDATE ON events "
        "FOR EACH ROW EXECUTE FUNCTION guard_never_changed()"
    )


def downgrade() -> None:
    for name, table, *_ in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("events")
    op.execute(sa.schema.DropSequence(sa.Sequence("event_positions")))
