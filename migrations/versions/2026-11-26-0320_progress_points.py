"""How runs went: points of their progress."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

GUARDS = (
    ("guard_never_deleted", "BEFORE DELETE", "ROW"),
    ("guard_never_changed", "BEFORE UPDATE", "ROW"),
    ("never_truncated", "BEFORE TRUNCATE", "STATEMENT"),
)


def upgrade() -> None:
    op.create_table(
        "progress_points",
        sa.Column("reproduction_id", sa.Uuid(), nullable=False),
        sa.Column("done", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("estimate", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("done > 0 AND correct BETWEEN 0 AND done", name=op.f("ck_progress_points_counts")),
        sa.ForeignKeyConstraint(
            ["reproduction_id"], ["reproductions.id"], name=op.f("fk_progress_points_reproduction_id")
        ),
        sa.PrimaryKeyConstraint("reproduction_id", "done", name=op.f("pk_progress_points")),
    )
    for name, when, each in GUARDS:
        function = "guard_never_deleted" if name == "never_truncated" else name
        op.execute(
            f"CREATE TRIGGER progress_points_{name} {when} ON progress_points "
            f"FOR EACH {each} EXECUTE FUNCTION {function}()"
        )


def downgrade() -> None:
    op.drop_table("progress_points")
