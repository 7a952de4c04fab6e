"""The order of the queue: by priority, then in turn between those who ask, then by age (docs/decisions/0010)."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from app.models import Reproduction, ReproductionState

QUEUE_ORDER: Final = (Reproduction.priority, Reproduction.turn, Reproduction.id)

_earlier = aliased(Reproduction)


def next_turn(requester: UUID | None, priority: int) -> ColumnElement[int]:
    """The turn of the requester's next run of this priority, as an expression of SQL.

    It is one after the requester's last run, and not before the turn that is being served: who comes anew is next in
    line, and who has asked for a thousand runs gets one of them for each run of everybody else's. Runs that ended
    before a worker took them do not count. Each of the two look-ups reads one entry of an index.
    """
    of_priority = _earlier.priority == priority
    served = select(func.max(_earlier.turn)).where(of_priority, _earlier.started_at.is_not(None)).scalar_subquery()
    mine = _earlier.requested_by.is_(None) if requester is None else _earlier.requested_by == requester
    counts = or_(_earlier.state == ReproductionState.queued, _earlier.started_at.is_not(None))
    last = select(func.max(_earlier.turn) + 1).where(mine, of_priority, counts).scalar_subquery()
    return func.coalesce(func.greatest(served, last), 0)
