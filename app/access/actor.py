"""Who is at work in a session, for the audit log and for what belongs to its requester."""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.access.scopes import Scope

ACTOR: Final = "actor"
"""The actor's place in `Session.info`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A key's holder over HTTP, an operator at the command line, or a worker."""

    name: str
    operation: str
    key_id: UUID | None = None
    key_name: str | None = None
    address: str | None = None
    request_id: str | None = None
    scopes: frozenset[Scope] = field(default=frozenset())

    def may(self, scope: Scope) -> bool:
        """Whether the scopes allow it."""
        return scope in self.scopes or Scope.admin in self.scopes or scope is Scope.read


SERVICE: Final = Actor(name="service", operation="none", scopes=frozenset({Scope.admin}))
"""Where nobody said who it is: the service's own doing."""


def act_as(session: Session, actor: Actor) -> None:
    """Have what this session changes be this actor's doing."""
    session.info[ACTOR] = actor


def actor_of(session: Session) -> Actor:
    """Whose doing it is what this session changes."""
    actor = session.info.get(ACTOR, SERVICE)
    assert isinstance(actor, Actor)  # noqa: S101  # set by act_as and by the routes of this room alone
    return actor
