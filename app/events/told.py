"""One event as it is sent, and what a stream wants to hear of."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from fastapi.sse import format_sse_event

from app.models import VerdictKind


class EventType(StrEnum):
    """The names of events. `reproduction.progress` passes; the others are kept in the log."""

    queued = "reproduction.queued"
    running = "reproduction.running"
    progress = "reproduction.progress"
    finished = "reproduction.finished"
    issued = "verdict.issued"
    superseded = "verdict.superseded"


CONCLUSIVE = frozenset({EventType.finished, EventType.issued, EventType.superseded})
"""After these, clients read what has changed, perhaps from another process."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event: what tells whom it is for, and its data, one line of JSON."""

    type: EventType
    paper_id: UUID
    kind: VerdictKind
    run_id: UUID | None
    data: str
    position: int | None = None
    """Its place in the log; none for what passes."""
    message: bytes = field(init=False, repr=False)
    """As a stream sends it, made once for all streams."""

    def __post_init__(self) -> None:
        number = str(self.position) if self.position is not None else None
        message = format_sse_event(data_str=self.data, event=self.type, id=number)
        object.__setattr__(self, "message", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a stream is narrowed to; everything by default."""

    types: frozenset[EventType] = frozenset()
    paper_id: UUID | None = None
    kind: VerdictKind | None = None
    run_id: UUID | None = None

    def admits(self, told: Told) -> bool:
        """Whether the stream is told."""
        return (
            (not self.types or told.type in self.types)
            and self.paper_id in {None, told.paper_id}
            and self.kind in {None, told.kind}
            and self.run_id in {None, told.run_id}
        )

    @property
    def moves(self) -> bool:
        """Whether it hears of progress."""
        return not self.types or EventType.progress in self.types
