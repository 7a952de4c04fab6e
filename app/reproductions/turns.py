"""The order of the queue: by priority, then in turn between those who ask, then by age (docs/decisions/0012)."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Subquery, func, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from app.models import Reproduction, ReproductionState

QUEUE_ORDER: Final = (Reproduction.priority, Reproduction.turn, Reproduction.id)

_STATE: Final = Reproduction.state.type
# Written into the statement: with a parameter in its place, a prepared statement could not use the partial indexes.
_QUEUED: Final = literal(ReproductionState.queued, _STATE, literal_execute=True)
_RUNNING: Final = literal(ReproductionState.running, _STATE, literal_execute=True)
WAITS: Final = Reproduction.state == _QUEUED
RUNS: Final = Reproduction.state == _RUNNING

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
    counts = or_(_earlier.state == _QUEUED, _earlier.started_at.is_not(None))
    last = select(func.max(_earlier.turn) + 1).where(mine, of_priority, counts).scalar_subquery()
    return func.coalesce(func.greatest(served, last), 0)


def queue_position() -> ScalarSelect[int]:
    """The place of a run that waits, from 1, as an expression of SQL: how many wait that come before it, and one."""
    ahead = aliased(Reproduction)
    before = tuple_(ahead.priority, ahead.turn, ahead.id) < tuple_(*QUEUE_ORDER)
    waiting = select(func.count() + 1).select_from(ahead).where(ahead.state == _QUEUED, before)
    return waiting.correlate(Reproduction).scalar_subquery()


def places() -> Subquery:
    """The runs that wait, each with its place from 1: read once along their index, however many of them are shown."""
    waiting = aliased(Reproduction)
    place = func.row_number().over(order_by=(waiting.priority, waiting.turn, waiting.id))
    return select(waiting.id, place.label("place")).where(waiting.state == _QUEUED).subquery("places")
