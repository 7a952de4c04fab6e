"""Claims: numbers that papers report."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Numeric, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class Claim(Base):
    """One reported number. A claim never changes: another number is another claim."""

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("id", "paper_id"),
        ForeignKeyConstraint(["paper_version_id", "paper_id"], ["paper_versions.id", "paper_versions.paper_id"]),
        Index(
            "uq_claims_citation",
            "paper_id",
            "section",
            "row",
            "column",
            "reported_metric",
            "reported_value",
            unique=True,
        ),
        CheckConstraint("unit IN ('percent', 'fraction')", name="unit"),
        CheckConstraint("reported_value >= 0 AND reported_value <= 100 AND reported_value <> 'NaN'", name="value"),
        CheckConstraint("unit = 'percent' OR reported_value <= 1", name="fraction"),
        CheckConstraint("decimals >= 0 AND decimals <= 20", name="decimals"),
        CheckConstraint("pdf_page >= 1", name="pdf_page"),
        CheckConstraint("n_items >= 1", name="n_items"),
    )

    id: Mapped[Id]
    paper_id: Mapped[UUID]
    paper_version_id: Mapped[UUID]
    section: Mapped[str]
    row: Mapped[str]
    column: Mapped[str]
    reported_value: Mapped[Decimal] = mapped_column(Numeric)
    decimals: Mapped[int]
    """How many decimals the number was printed with: 91.8 has one, and so is known to half of 0.1."""
    unit: Mapped[Literal["percent", "fraction"]] = mapped_column(Text)
    reported_metric: Mapped[str]
    quoted_text: Mapped[str]
    pdf_page: Mapped[int | None]
    notes: Mapped[str | None]
    n_items: Mapped[int | None]
    """How many items the number was computed on, where the paper says so."""
    created_at: Mapped[CreatedAt]
