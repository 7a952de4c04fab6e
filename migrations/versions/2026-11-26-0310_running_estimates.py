"""A running run keeps the estimate of its own metric, and counts what its inference did over all attempts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    kind = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
    op.add_column("reproductions", sa.Column("progress_estimate", kind, nullable=True))
    op.add_column("reproductions", sa.Column("progress_counts", kind, nullable=True))


def downgrade() -> None:
    op.drop_column("reproductions", "progress_counts")
    op.drop_column("reproductions", "progress_estimate")
