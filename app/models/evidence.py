"""Evidence: the per-example predictions and the facts that let a reader check a verdict."""

from typing import Any
from uuid import UUID

from sqlalchemy import REAL, CheckConstraint, ForeignKey, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class Evidence(Base):
    """What one run, or one outside agent, handed in. `content` is written once, when the verdict is issued."""

    __tablename__ = "evidence"

    id: Mapped[Id]
    content: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class Prediction(Base):
    """The prediction for one item. Class indices are in the data set's label order."""

    __tablename__ = "predictions"
    __table_args__ = (
        CheckConstraint("gold >= 0 AND predicted >= 0", name="classes"),
        CheckConstraint("row >= 0", name="row"),
        CheckConstraint(
            "NOT logits && '{NaN,Infinity,-Infinity}'::real[] AND array_position(logits, NULL) IS NULL", name="logits"
        ),
    )

    evidence_id: Mapped[UUID] = mapped_column(ForeignKey("evidence.id"), primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True)
    """Row number of the item in the split, from 0."""
    item_id: Mapped[str]
    gold: Mapped[int] = mapped_column(SmallInteger)
    predicted: Mapped[int] = mapped_column(SmallInteger)
    logits: Mapped[list[float] | None] = mapped_column(ARRAY(REAL))
