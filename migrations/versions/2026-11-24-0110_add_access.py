"""API keys, the audit log, who asked for a run and whose turn it is, and idempotency keys that keep every header."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _refuse(message: str) -> str:
    """PL/pgSQL that refuses the change as a violated integrity constraint (SQLSTATE 23514)."""
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';"


def _function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _trigger(table: str, when: str, function: str) -> str:
    return f"CREATE TRIGGER {table}_{function} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"


# The guards of never deleting and never changing stand in the first migration.
GUARDS = (
    *(_trigger(table, "BEFORE DELETE", "guard_never_deleted") for table in ("api_keys", "audit_log")),
    *(
        f"CREATE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON {table} EXECUTE FUNCTION guard_never_deleted()"
        for table in ("api_keys", "audit_log")
    ),
    _trigger("audit_log", "BEFORE UPDATE", "guard_never_changed"),
    _function(
        "guard_key",
        "IF (to_jsonb(NEW) - '{last_used_at,revoked_at}'::text[]) "
        "IS DISTINCT FROM (to_jsonb(OLD) - '{last_used_at,revoked_at}'::text[]) THEN "
        + _refuse("a key keeps its secret, its name and its scopes")
        + " END IF; IF OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN "
        + _refuse("a revoked key stays revoked")
        + " END IF; RETURN NEW;",
    ),
    _trigger("api_keys", "BEFORE UPDATE", "guard_key"),
    # Beside guard_state: whose run it is and its turn belong to what it was asked for.
    _function(
        "guard_requester",
        "IF (NEW.requested_by, NEW.turn) IS DISTINCT FROM (OLD.requested_by, OLD.turn) THEN "
        + _refuse("what a run was asked for never changes")
        + " END IF; RETURN NEW;",
    ),
    _trigger("reproductions", "BEFORE UPDATE", "guard_requester"),
)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name=op.f("ck_api_keys_secret_hash")),
        sa.CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'reproduce', 'curate', 'post-verdicts', 'admin']",
            name=op.f("ck_api_keys_scopes"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("key_name", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_audit_log_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_subject", "audit_log", ["subject", "id"], unique=False)
    op.add_column("idempotency_keys", sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.execute("UPDATE idempotency_keys SET headers = jsonb_build_object('location', location)")
    op.drop_column("idempotency_keys", "location")
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.add_column("reproductions", sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("reproductions", sa.Column("requested_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_reproductions_requested_by"), "reproductions", "api_keys", ["requested_by"], ["id"])
    op.drop_index("ix_reproductions_queue", table_name="reproductions")
    op.create_index(
        "ix_reproductions_queue",
        "reproductions",
        ["priority", "turn", "id"],
        unique=False,
        postgresql_where="state = 'queued'",
    )
    op.create_index(
        "ix_reproductions_served",
        "reproductions",
        ["priority", "turn"],
        unique=False,
        postgresql_where="started_at IS NOT NULL",
    )
    op.create_index(
        "ix_reproductions_turns",
        "reproductions",
        ["requested_by", "priority", "turn"],
        unique=False,
        postgresql_where="state = 'queued' OR started_at IS NOT NULL",
    )
    op.create_index(
        "ix_reproductions_quota",
        "reproductions",
        ["requested_by"],
        unique=False,
        postgresql_where="state IN ('queued', 'running')",
    )
    for statement in GUARDS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER reproductions_guard_requester ON reproductions")
    op.execute("DROP FUNCTION guard_requester()")
    for name in ("quota", "turns", "served", "queue"):
        op.drop_index(f"ix_reproductions_{name}", table_name="reproductions")
    op.create_index(
        "ix_reproductions_queue", "reproductions", ["priority", "id"], unique=False, postgresql_where="state = 'queued'"
    )
    op.drop_column("reproductions", "requested_by")
    op.drop_column("reproductions", "turn")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.add_column("idempotency_keys", sa.Column("location", sa.Text(), nullable=True))
    op.execute("UPDATE idempotency_keys SET location = headers ->> 'location'")
    op.drop_column("idempotency_keys", "headers")
    op.drop_table("audit_log")
    op.drop_table("api_keys")
    op.execute("DROP FUNCTION guard_key()")
