"""The predictions behind a verdict, example by example: searched, filtered, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Integer, func, literal, or_, select
from sqlalchemy.orm import Session

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Prediction
from app.verdicts.schemas import ExampleRead


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleFilter:
    """Which predictions. Classes are indices of `labels`; `rows` are rows whose texts were searched and found."""

    wrong: bool = True
    gold: int | None = None
    predicted: int | None = None
    q: str | None = None
    rows: Sequence[int] = ()


def list_examples(
    session: Session, evidence_id: UUID, labels: Sequence[str], wanted: ExampleFilter, limit: int, cursor: str | None
) -> Page[ExampleRead]:
    """A page of predictions in the order of the split's rows; `q` finds ids that hold it, and `rows` add to these."""
    after = decode_cursor("examples", cursor, lambda key: int(key[0]))
    query = select(Prediction).where(Prediction.evidence_id == evidence_id).order_by(Prediction.row).limit(limit + 1)
    if wanted.wrong:
        query = query.where(Prediction.gold != Prediction.predicted)
    if wanted.gold is not None:
        query = query.where(Prediction.gold == wanted.gold)
    if wanted.predicted is not None:
        query = query.where(Prediction.predicted == wanted.predicted)
    if wanted.q is not None:
        by_id = Prediction.item_id.icontains(wanted.q, autoescape=True)
        by_text = Prediction.row == func.any(literal(list(wanted.rows), ARRAY(Integer)))
        query = query.where(or_(by_id, by_text) if wanted.rows else by_id)
    query = query.where(Prediction.row > after) if after is not None else query
    found = session.scalars(query).all()
    items = [
        ExampleRead(row=one.row, item_id=one.item_id, gold=labels[one.gold], predicted=labels[one.predicted])
        for one in found[:limit]
    ]
    following = encode_cursor("examples", [items[-1].row]) if len(found) > limit else None
    return Page(items=items, next_cursor=following)


def right_rows(session: Session, evidence_id: UUID) -> list[tuple[int, bool]]:
    """Each predicted row, and whether its prediction is right."""
    query = select(Prediction.row, Prediction.gold == Prediction.predicted)
    return [(row, right) for row, right in session.execute(query.where(Prediction.evidence_id == evidence_id))]
