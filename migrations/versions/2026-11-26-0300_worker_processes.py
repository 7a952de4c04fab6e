"""Workers say that they are there, also while they have no run; bells that were rung again are kept beside the queue."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "worker_processes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker_processes")),
        prefixes=["UNLOGGED"],
    )
    op.add_column("reproductions", sa.Column("progress_taken", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "rings",
        sa.Column("reproduction_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("reproduction_id", name=op.f("pk_rings")),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    op.drop_table("rings")
    op.drop_column("reproductions", "progress_taken")
    op.drop_table("worker_processes")
