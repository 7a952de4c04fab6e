"""Serving: an index for each filter of the lists, and a message to every process when something served has changed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NEWEST = ("newest_verdict_at", "arxiv_id")
_VERDICTS = ("computed_at", "id")

INDEXES: tuple[tuple[str, str, tuple[str, ...], str | None], ...] = (
    *(
        (f"ix_papers_{name}_{order}", "papers", (column, *keys), None)
        for name, column in (("category", "primary_category"), ("venue", "venue"), ("status", "headline_status"))
        for order, keys in (("newest", _NEWEST), ("id", ("arxiv_id",)))
    ),
    *(
        (f"ix_papers_{name}_{order}", "papers", keys, where)
        for name, where in (("withdrawn", "withdrawn"), ("unchecked", "headline_status IS NULL"))
        for order, keys in (("newest", _NEWEST), ("id", ("arxiv_id",)))
    ),
    ("ix_verdicts_paper_kind", "verdicts", ("paper_id", "kind", *_VERDICTS), None),
    ("ix_verdicts_paper_status", "verdicts", ("paper_id", "status", *_VERDICTS), None),
    ("ix_verdicts_paper_current", "verdicts", ("paper_id", *_VERDICTS), "is_current"),
    ("ix_verdicts_version", "verdicts", ("paper_version_id", "claim_id", "kind", "sequence"), None),
    ("ix_verdicts_version_newest", "verdicts", ("paper_version_id", *_VERDICTS), None),
    ("ix_verdicts_claim", "verdicts", ("claim_id", *_VERDICTS), None),
    ("ix_verdicts_kind", "verdicts", ("kind", *_VERDICTS), None),
    ("ix_verdicts_status", "verdicts", ("status", *_VERDICTS), None),
    ("ix_verdicts_feed_current", "verdicts", _VERDICTS, "is_current"),
    ("ix_reproductions_paper_state", "reproductions", ("paper_id", "state", "id"), None),
    ("ix_reproductions_version", "reproductions", ("paper_version_id", "id"), None),
    ("ix_reproductions_state", "reproductions", ("state", "id"), None),
    ("ix_reproductions_kind", "reproductions", ("kind", "id"), None),
)

# Triggers, and not the code that writes: whoever changes a row, also by hand, tells every process that serves it.
# Heartbeats tell nobody: NOTIFY takes a lock at commit that is right at the rate of verdicts and wrong at theirs.
ANNOUNCEMENTS = {
    "announce_document": (
        "PERFORM pg_notify('verdicts', 'paper:' || (SELECT arxiv_id FROM papers WHERE id = NEW.paper_id));"
    ),
    "announce_move": "PERFORM pg_notify('verdicts', '*');",
    "announce_run": "PERFORM pg_notify('verdicts', 'run:' || NEW.id);",
}
TRIGGERS = (
    (
        "CREATE TRIGGER paper_documents_announce_document AFTER INSERT OR UPDATE ON paper_documents "
        "FOR EACH ROW EXECUTE FUNCTION announce_document()"
    ),
    (
        "CREATE TRIGGER papers_announce_move AFTER UPDATE OF arxiv_id ON papers "
        "FOR EACH ROW WHEN (OLD.arxiv_id <> NEW.arxiv_id) EXECUTE FUNCTION announce_move()"
    ),
    (
        "CREATE TRIGGER reproductions_announce_run AFTER UPDATE ON reproductions "
        "FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION announce_run()"
    ),
)
DROPPED = (
    "DROP TRIGGER paper_documents_announce_document ON paper_documents",
    "DROP TRIGGER papers_announce_move ON papers",
    "DROP TRIGGER reproductions_announce_run ON reproductions",
)


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("serving_barrier")))
    op.create_table(
        "serving_processes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_serving_processes")),
        prefixes=["UNLOGGED"],
    )
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, list(columns), unique=False, postgresql_where=where)
    for name, body in ANNOUNCEMENTS.items():
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
    for statement in TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    for statement in DROPPED:
        op.execute(statement)
    for name in ANNOUNCEMENTS:
        op.execute(f"DROP FUNCTION {name}()")
    for name, table, _, where in reversed(INDEXES):
        op.drop_index(name, table_name=table, postgresql_where=where)
    op.drop_table("serving_processes")
    op.execute(sa.schema.DropSequence(sa.Sequence("serving_barrier")))
