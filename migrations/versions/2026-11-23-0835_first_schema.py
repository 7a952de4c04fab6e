"""The first schema: tables, and the triggers by which the database guards its invariants itself."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _refuse(message: str) -> str:
    """PL/pgSQL that refuses the change as a violated integrity constraint (SQLSTATE 23514)."""
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';"


def _function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _trigger(table: str, when: str, function: str, *, each: str = "ROW", rows: str | None = None) -> str:
    """`rows` names the table in which a function that runs once a statement finds the new rows."""
    name, referencing = f"{table}_{function}", f" REFERENCING NEW TABLE AS {rows}" if rows else ""
    return f"CREATE TRIGGER {name} {when} ON {table}{referencing} FOR EACH {each} EXECUTE FUNCTION {function}()"


def _deferred(table: str, when: str, function: str) -> str:
    """Checked at commit, when the transaction has put everything in its place."""
    return (
        f"CREATE CONSTRAINT TRIGGER {table}_{function} AFTER {when} ON {table} "
        f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function}()"
    )


GUARD_FUNCTIONS = (
    "guard_never_deleted",
    "guard_never_changed",
    "guard_version_number",
    "guard_version_identity",
    "guard_evidence_once",
    "guard_evidence_complete",
    "guard_verdict_insert",
    "guard_verdict_update",
    "guard_verdict_chain",
    "guard_verdict_run",
    "guard_state",
    "guard_success_has_verdict",
)

GUARDS = (
    _function("guard_never_deleted", _refuse("rows of this table are never deleted")),
    *(
        _trigger(table, "BEFORE DELETE", "guard_never_deleted")
        for table in (
            "papers",
            "paper_versions",
            "claims",
            "drivers",
            "reproductions",
            "verdicts",
            "evidence",
            "predictions",
        )
    ),
    _function("guard_never_changed", _refuse("rows of this table are never changed")),
    _trigger("claims", "BEFORE UPDATE", "guard_never_changed"),
    _trigger("predictions", "BEFORE UPDATE", "guard_never_changed"),
    *(
        f"CREATE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON {table} EXECUTE FUNCTION guard_never_deleted()"
        for table in ("claims", "reproductions", "verdicts", "evidence", "predictions")
    ),
    # Version numbers: the next one, under the lock of the paper's row.
    _function(
        "guard_version_number",
        "PERFORM 1 FROM papers WHERE id = NEW.paper_id FOR UPDATE; "
        "IF NEW.version <> 1 + (SELECT coalesce(max(version), 0) FROM paper_versions WHERE paper_id = NEW.paper_id) THEN "
        + _refuse("version numbers have no gaps")
        + " END IF; RETURN NEW;",
    ),
    _trigger("paper_versions", "BEFORE INSERT", "guard_version_number"),
    _function(
        "guard_version_identity",
        "IF (NEW.id, NEW.paper_id, NEW.version) IS DISTINCT FROM (OLD.id, OLD.paper_id, OLD.version) THEN "
        + _refuse("a version keeps its id, paper and number")
        + " END IF; RETURN NEW;",
    ),
    _trigger("paper_versions", "BEFORE UPDATE", "guard_version_identity"),
    _function(
        "guard_evidence_once",
        "IF OLD.content IS NOT NULL OR NEW.id <> OLD.id THEN "
        + _refuse("evidence is written once")
        + " END IF; RETURN NEW;",
    ),
    _trigger("evidence", "BEFORE UPDATE", "guard_evidence_once"),
    _function(
        "guard_evidence_complete",
        "IF EXISTS (SELECT 1 FROM verdicts WHERE evidence_id IN (SELECT evidence_id FROM added)) THEN "
        + _refuse("the evidence of a verdict is complete")
        + " END IF; RETURN NULL;",
    ),
    _trigger("predictions", "AFTER INSERT", "guard_evidence_complete", each="STATEMENT", rows="added"),
    # A new verdict takes over: it is current, numbered next, and its predecessor has been flipped to point at it.
    _function(
        "guard_verdict_insert",
        "IF NOT NEW.is_current THEN "
        + _refuse("a new verdict is the current one")
        + " END IF; IF NEW.sequence <> 1 + (SELECT coalesce(max(sequence), 0) FROM verdicts "
        "WHERE claim_id = NEW.claim_id AND kind = NEW.kind) THEN "
        + _refuse("sequence numbers of verdicts have no gaps")
        + " END IF; IF NEW.sequence > 1 AND NOT EXISTS (SELECT 1 FROM verdicts WHERE id = NEW.supersedes_id "
        "AND claim_id = NEW.claim_id AND kind = NEW.kind AND sequence = NEW.sequence - 1 "
        "AND superseded_by_id = NEW.id) THEN "
        + _refuse("a verdict supersedes the one before it in its line")
        + " END IF; RETURN NEW;",
    ),
    _trigger("verdicts", "BEFORE INSERT", "guard_verdict_insert"),
    _function(
        "guard_verdict_update",
        "IF NOT OLD.is_current OR (to_jsonb(NEW) - '{is_current,superseded_by_id,superseded_at}'::text[]) "
        "IS DISTINCT FROM (to_jsonb(OLD) - '{is_current,superseded_by_id,superseded_at}'::text[]) THEN "
        + _refuse("a verdict never changes, but for being superseded once")
        + " END IF; RETURN NEW;",
    ),
    _trigger("verdicts", "BEFORE UPDATE", "guard_verdict_update"),
    _function(
        "guard_verdict_chain",
        "IF NEW.superseded_by_id IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM verdicts WHERE id = NEW.superseded_by_id AND supersedes_id = NEW.id) THEN "
        + _refuse("a verdict is superseded by the next one of its line")
        + " END IF; RETURN NULL;",
    ),
    _deferred("verdicts", "UPDATE", "guard_verdict_chain"),
    _function(
        "guard_verdict_run",
        "IF NEW.reproduction_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM reproductions "
        "WHERE id = NEW.reproduction_id AND state = 'succeeded' AND (claim_id, kind, paper_version_id, evidence_id) = "
        "(NEW.claim_id, NEW.kind, NEW.paper_version_id, NEW.evidence_id)) THEN "
        + _refuse("a verdict comes from a successful run and says what that run measured")
        + " END IF; RETURN NULL;",
    ),
    _deferred("verdicts", "INSERT", "guard_verdict_run"),
    # The life of a run.
    _function(
        "guard_state",
        "IF TG_OP = 'INSERT' THEN IF NEW.state <> 'queued' THEN "
        + _refuse("a run starts queued")
        + " END IF; RETURN NEW; END IF; "
        "IF OLD.state NOT IN ('queued', 'running') THEN "
        + _refuse("a terminal state never changes")
        + " END IF; IF NEW.fence < OLD.fence THEN "
        + _refuse("the fence never falls")
        + " END IF; IF (OLD.state, NEW.state) IN (('queued', 'succeeded'), ('running', 'expired')) THEN "
        + _refuse("this transition of states is not allowed")
        + " END IF; IF (NEW.id, NEW.paper_id, NEW.paper_version_id, NEW.claim_id, NEW.driver_id, NEW.kind, NEW.spec, "
        "NEW.config_digest, NEW.forced, NEW.requested_at, NEW.evidence_id) IS DISTINCT FROM "
        "(OLD.id, OLD.paper_id, OLD.paper_version_id, OLD.claim_id, OLD.driver_id, OLD.kind, OLD.spec, "
        "OLD.config_digest, OLD.forced, OLD.requested_at, OLD.evidence_id) THEN "
        + _refuse("what a run was asked for never changes")
        + " END IF; RETURN NEW;",
    ),
    _trigger("reproductions", "BEFORE INSERT OR UPDATE", "guard_state"),
    _function(
        "guard_success_has_verdict",
        "IF NEW.state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM verdicts WHERE reproduction_id = NEW.id) THEN "
        + _refuse("a run succeeds by its verdict")
        + " END IF; RETURN NULL;",
    ),
    _deferred("reproductions", "UPDATE", "guard_success_has_verdict"),
)


def upgrade() -> None:
    op.create_table(
        "evidence",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "papers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("arxiv_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("abstract", sa.Text(), nullable=False),
        sa.Column("primary_category", sa.Text(), nullable=True),
        sa.Column("venue", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("headline_claim_id", sa.Uuid(), nullable=True),
        sa.Column("headline_status", sa.Text(), nullable=True),
        sa.Column("newest_verdict_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('english', arxiv_id || ' ' || title || ' ' || abstract)", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint(
            "arxiv_id ~ '^(\\d{2}(0[1-9]|1[0-2])\\.\\d{4,5}|[a-z-]+(\\.[A-Z]{2})?/\\d{2}(0[1-9]|1[0-2])\\d{3}|draft:[a-z0-9]+(-[a-z0-9]+)*)$'",
            name=op.f("ck_papers_arxiv_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_papers")),
        sa.UniqueConstraint("arxiv_id", name=op.f("uq_papers_arxiv_id")),
    )
    op.create_index("ix_papers_newest_verdict", "papers", ["newest_verdict_at", "arxiv_id"], unique=False)
    op.create_index("ix_papers_search", "papers", ["search"], unique=False, postgresql_using="gin")
    op.create_table(
        "paper_aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["paper_id"], ["papers.id"], name=op.f("fk_paper_aliases_paper_id")),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_paper_aliases")),
    )
    op.create_index(op.f("ix_paper_aliases_paper_id"), "paper_aliases", ["paper_id"], unique=False)
    op.create_table(
        "paper_documents",
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["paper_id"], ["papers.id"], name=op.f("fk_paper_documents_paper_id")),
        sa.PrimaryKeyConstraint("paper_id", name=op.f("pk_paper_documents")),
    )
    op.create_table(
        "paper_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source_url", sa.Text(), nullable=True),
        sa.Column("rendered_html_url", sa.Text(), nullable=True),
        sa.Column("rendering_engine", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_paper_versions_version")),
        sa.ForeignKeyConstraint(["paper_id"], ["papers.id"], name=op.f("fk_paper_versions_paper_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_versions")),
        sa.UniqueConstraint("id", "paper_id", name=op.f("uq_paper_versions_id_paper_id")),
        sa.UniqueConstraint("paper_id", "version", name=op.f("uq_paper_versions_paper_id_version")),
    )
    op.create_table(
        "predictions",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("gold", sa.SmallInteger(), nullable=False),
        sa.Column("predicted", sa.SmallInteger(), nullable=False),
        sa.Column("logits", postgresql.ARRAY(sa.REAL()), nullable=True),
        sa.CheckConstraint("gold >= 0 AND predicted >= 0", name=op.f("ck_predictions_classes")),
        sa.CheckConstraint("row >= 0", name=op.f("ck_predictions_row")),
        sa.CheckConstraint(
            "NOT logits && '{NaN,Infinity,-Infinity}'::real[] AND array_position(logits, NULL) IS NULL",
            name=op.f("ck_predictions_logits"),
        ),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_predictions_evidence_id")),
        sa.PrimaryKeyConstraint("evidence_id", "row", name=op.f("pk_predictions")),
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column("paper_version_id", sa.Uuid(), nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("reported_value", sa.Numeric(), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("reported_metric", sa.Text(), nullable=False),
        sa.Column("quoted_text", sa.Text(), nullable=False),
        sa.Column("pdf_page", sa.Integer(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("n_items", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "reported_value >= 0 AND reported_value <= 100 AND reported_value <> 'NaN'", name=op.f("ck_claims_value")
        ),
        sa.CheckConstraint("unit = 'percent' OR reported_value <= 1", name=op.f("ck_claims_fraction")),
        sa.CheckConstraint("unit IN ('percent', 'fraction')", name=op.f("ck_claims_unit")),
        sa.CheckConstraint("decimals >= 0 AND decimals <= 20", name=op.f("ck_claims_decimals")),
        sa.CheckConstraint("n_items >= 1", name=op.f("ck_claims_n_items")),
        sa.CheckConstraint("pdf_page >= 1", name=op.f("ck_claims_pdf_page")),
        sa.ForeignKeyConstraint(
            ["paper_version_id", "paper_id"],
            ["paper_versions.id", "paper_versions.paper_id"],
            name=op.f("fk_claims_paper_version_id_paper_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint("id", "paper_id", name=op.f("uq_claims_id_paper_id")),
    )
    op.create_foreign_key(
        "fk_papers_headline_claim", "papers", "claims", ["headline_claim_id", "id"], ["id", "paper_id"]
    )
    op.create_index(
        "uq_claims_citation",
        "claims",
        ["paper_id", "section", "row", "column", "reported_metric", "reported_value"],
        unique=True,
    )
    op.create_table(
        "drivers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("agent_version", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("spec_digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_drivers_claim_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drivers")),
        sa.UniqueConstraint("slug", name=op.f("uq_drivers_slug")),
    )
    op.create_index(op.f("ix_drivers_claim_id"), "drivers", ["claim_id"], unique=False)
    op.create_table(
        "reproductions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column("paper_version_id", sa.Uuid(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("driver_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("PRE", "POST", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                "expired",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("config_digest", sa.Text(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("max_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress_done", sa.Integer(), nullable=False),
        sa.Column("progress_total", sa.Integer(), nullable=True),
        sa.Column("progress_correct", sa.Integer(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_reproductions_lease")),
        sa.CheckConstraint(
            "(state NOT IN ('queued', 'running')) = (finished_at IS NOT NULL)", name=op.f("ck_reproductions_finished")
        ),
        sa.CheckConstraint("state <> 'failed' OR error IS NOT NULL", name=op.f("ck_reproductions_failed_says_why")),
        sa.CheckConstraint("attempt >= 0 AND fence >= attempt", name=op.f("ck_reproductions_attempt")),
        sa.CheckConstraint("priority BETWEEN 0 AND 9", name=op.f("ck_reproductions_priority")),
        sa.CheckConstraint(
            "progress_correct BETWEEN 0 AND progress_done AND (progress_total IS NULL OR progress_done <= progress_total)",
            name=op.f("ck_reproductions_progress"),
        ),
        sa.ForeignKeyConstraint(
            ["claim_id", "paper_id"], ["claims.id", "claims.paper_id"], name=op.f("fk_reproductions_claim_id_paper_id")
        ),
        sa.ForeignKeyConstraint(["driver_id"], ["drivers.id"], name=op.f("fk_reproductions_driver_id")),
        sa.ForeignKeyConstraint(
            ["evidence_id"],
            ["evidence.id"],
            name=op.f("fk_reproductions_evidence_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["paper_version_id", "paper_id"],
            ["paper_versions.id", "paper_versions.paper_id"],
            name=op.f("fk_reproductions_paper_version_id_paper_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reproductions")),
        sa.UniqueConstraint("evidence_id", name=op.f("uq_reproductions_evidence_id")),
    )
    op.create_index(
        "ix_reproductions_lease", "reproductions", ["lease_until"], unique=False, postgresql_where="state = 'running'"
    )
    op.create_index("ix_reproductions_paper", "reproductions", ["paper_id", "id"], unique=False)
    op.create_index(
        "ix_reproductions_queue", "reproductions", ["priority", "id"], unique=False, postgresql_where="state = 'queued'"
    )
    op.create_index(
        "uq_reproductions_in_flight",
        "reproductions",
        ["claim_id", "kind", "driver_id", "config_digest"],
        unique=True,
        postgresql_where="state IN ('queued', 'running') AND NOT forced AND cancel_requested_at IS NULL",
    )
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("paper_id", sa.Uuid(), nullable=False),
        sa.Column("paper_version_id", sa.Uuid(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("PRE", "POST", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column(
            "origin",
            sa.Enum(
                "reproduction",
                "posted",
                "imported",
                name="origin",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("agent_version", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("protocol_match", sa.Text(), nullable=False),
        sa.Column("protocol_axes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("decision", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reproduction_id", sa.Uuid(), nullable=True),
        sa.Column("evidence_id", sa.Uuid(), nullable=True),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("supersedes_id", sa.Uuid(), nullable=True),
        sa.Column("superseded_by_id", sa.Uuid(), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(origin = 'reproduction') = (reproduction_id IS NOT NULL)", name=op.f("ck_verdicts_reproduction")
        ),
        sa.CheckConstraint(
            "origin = 'imported' OR (evidence_id IS NOT NULL AND decision IS NOT NULL)",
            name=op.f("ck_verdicts_evidence"),
        ),
        sa.CheckConstraint("protocol_match IN ('exact', 'proxy')", name=op.f("ck_verdicts_protocol_match")),
        sa.CheckConstraint(
            "status IN ('reproduced', 'not_reproduced', 'inconclusive')", name=op.f("ck_verdicts_status")
        ),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_verdicts_confidence")),
        sa.CheckConstraint("is_current = (superseded_at IS NULL)", name=op.f("ck_verdicts_superseded_at")),
        sa.CheckConstraint("is_current = (superseded_by_id IS NULL)", name=op.f("ck_verdicts_superseded")),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_verdicts_score")),
        sa.CheckConstraint(
            "sequence >= 1 AND (sequence = 1) = (supersedes_id IS NULL)", name=op.f("ck_verdicts_sequence")
        ),
        sa.ForeignKeyConstraint(
            ["claim_id", "paper_id"], ["claims.id", "claims.paper_id"], name=op.f("fk_verdicts_claim_id_paper_id")
        ),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_verdicts_evidence_id")),
        sa.ForeignKeyConstraint(
            ["paper_version_id", "paper_id"],
            ["paper_versions.id", "paper_versions.paper_id"],
            name=op.f("fk_verdicts_paper_version_id_paper_id"),
        ),
        sa.ForeignKeyConstraint(["reproduction_id"], ["reproductions.id"], name=op.f("fk_verdicts_reproduction_id")),
        sa.ForeignKeyConstraint(
            ["superseded_by_id"],
            ["verdicts.id"],
            name=op.f("fk_verdicts_superseded_by_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["supersedes_id"], ["verdicts.id"], name=op.f("fk_verdicts_supersedes_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("claim_id", "kind", "sequence", name=op.f("uq_verdicts_claim_id_kind_sequence")),
        sa.UniqueConstraint("evidence_id", name=op.f("uq_verdicts_evidence_id")),
        sa.UniqueConstraint("reproduction_id", name=op.f("uq_verdicts_reproduction_id")),
        sa.UniqueConstraint("superseded_by_id", name=op.f("uq_verdicts_superseded_by_id")),
        sa.UniqueConstraint("supersedes_id", name=op.f("uq_verdicts_supersedes_id")),
    )
    op.create_index("ix_verdicts_feed", "verdicts", ["computed_at", "id"], unique=False)
    op.create_index("ix_verdicts_paper", "verdicts", ["paper_id", "computed_at", "id"], unique=False)
    op.create_index("uq_verdicts_current", "verdicts", ["claim_id", "kind"], unique=True, postgresql_where="is_current")
    for statement in GUARDS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_index("uq_verdicts_current", table_name="verdicts", postgresql_where="is_current")
    op.drop_index("ix_verdicts_paper", table_name="verdicts")
    op.drop_index("ix_verdicts_feed", table_name="verdicts")
    op.drop_table("verdicts")
    op.drop_index(
        "uq_reproductions_in_flight",
        table_name="reproductions",
        postgresql_where="state IN ('queued', 'running') AND NOT forced AND cancel_requested_at IS NULL",
    )
    op.drop_index("ix_reproductions_queue", table_name="reproductions", postgresql_where="state = 'queued'")
    op.drop_index("ix_reproductions_paper", table_name="reproductions")
    op.drop_index("ix_reproductions_lease", table_name="reproductions", postgresql_where="state = 'running'")
    op.drop_table("reproductions")
    op.drop_index(op.f("ix_drivers_claim_id"), table_name="drivers")
    op.drop_table("drivers")
    op.drop_constraint("fk_papers_headline_claim", "papers")
    op.drop_index("uq_claims_citation", table_name="claims")
    op.drop_table("claims")
    op.drop_table("predictions")
    op.drop_table("paper_versions")
    op.drop_table("paper_documents")
    op.drop_index(op.f("ix_paper_aliases_paper_id"), table_name="paper_aliases")
    op.drop_table("paper_aliases")
    op.drop_index("ix_papers_search", table_name="papers", postgresql_using="gin")
    op.drop_index("ix_papers_newest_verdict", table_name="papers")
    op.drop_table("papers")
    op.drop_table("idempotency_keys")
    op.drop_table("evidence")
    for function in GUARD_FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}()")
