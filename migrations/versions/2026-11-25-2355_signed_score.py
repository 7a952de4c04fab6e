"""A score may be negative: Matthews's correlation coefficient is."""

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_verdicts_score"), "verdicts", type_="check")
    op.create_check_constraint(op.f("ck_verdicts_score"), "verdicts", "score BETWEEN -1 AND 1")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_verdicts_score"), "verdicts", type_="check")
    # Verdicts are never deleted: those with a negative score stay, and only new ones are held to the old rule.
    op.execute("ALTER TABLE verdicts ADD CONSTRAINT ck_verdicts_score CHECK (score BETWEEN 0 AND 1) NOT VALID")
