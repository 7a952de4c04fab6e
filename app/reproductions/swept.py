"""What the sweeps of all processes did, counted in the transactions of the sweeps themselves."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import SweepCount


def count_actions(session: Session, actions: Mapping[str, int]) -> None:
    """Count them, for the one process that sweeps at present."""
    rows = [{"action": action, "number": number} for action, number in actions.items() if number]
    if not rows:
        return
    new = insert(SweepCount).values(rows)
    more = {"number": SweepCount.number + new.excluded.number}
    session.execute(new.on_conflict_do_update(index_elements=["action"], set_=more))


def read_counts(session: Session) -> dict[str, int]:
    """How often each was done; what never was is not among them."""
    return {row.action: row.number for row in session.scalars(select(SweepCount))}
