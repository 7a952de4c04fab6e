"""The id of the request that asked for a run; and the database's own word on fences, attempts and late predictions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _refuse(message: str) -> str:
    """PL/pgSQL that refuses the change as a violated integrity constraint (SQLSTATE 23514)."""
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';"


FUNCTIONS = (
    # A worker's writes name the fence of its attempt: two attempts with the same one could not be told apart.
    "CREATE FUNCTION guard_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.state = 'running' AND NEW.fence <= OLD.fence AND "
    "(OLD.state = 'queued' OR OLD.worker IS DISTINCT FROM NEW.worker) THEN "
    + _refuse("each attempt has a fence of its own")
    + " END IF; RETURN NEW; END $$",
    # A late worker is refused here even where nothing above would.
    "CREATE FUNCTION guard_predictions_of_a_run() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE of_run uuid; BEGIN "
    "FOR of_run IN SELECT DISTINCT evidence_id FROM added LOOP "
    "IF EXISTS (SELECT 1 FROM reproductions WHERE evidence_id = of_run AND state <> 'running') THEN "
    + _refuse("predictions are stored while their run is running")
    + " END IF; END LOOP; RETURN NULL; END $$",
)


def upgrade() -> None:
    op.add_column("reproductions", sa.Column("request_id", sa.Text(), nullable=True))
    op.drop_constraint("ck_reproductions_attempt", "reproductions")
    op.create_check_constraint(
        op.f("ck_reproductions_attempt"),
        "reproductions",
        "attempt BETWEEN 0 AND max_attempts AND fence >= attempt",
    )
    for function in FUNCTIONS:
        op.execute(function)
    op.execute(
        "CREATE TRIGGER reproductions_guard_taken BEFORE UPDATE ON reproductions "
        "FOR EACH ROW EXECUTE FUNCTION guard_taken()"
    )
    op.execute(
        "CREATE TRIGGER predictions_guard_of_a_run AFTER INSERT ON predictions REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION guard_predictions_of_a_run()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER predictions_guard_of_a_run ON predictions")
    op.execute("DROP TRIGGER reproductions_guard_taken ON reproductions")
    op.execute("DROP FUNCTION guard_predictions_of_a_run()")
    op.execute("DROP FUNCTION guard_taken()")
    op.drop_constraint("ck_reproductions_attempt", "reproductions")
    op.create_check_constraint(op.f("ck_reproductions_attempt"), "reproductions", "attempt >= 0 AND fence >= attempt")
    op.drop_column("reproductions", "request_id")
