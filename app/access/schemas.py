"""Keys and the audit log on the wire."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.access.scopes import Scope
from app.core.clock import Instant


class KeyRead(BaseModel):
    """A key, without its secret."""

    id: UUID
    prefix: str
    name: str
    scopes: list[Scope]
    created_at: Instant
    last_used_at: Instant | None = Field(description="To the minute.")
    revoked_at: Instant | None


class KeyCreated(KeyRead):
    """A new key, with the whole of it: this is the only time that it is shown."""

    key: str


class AuditRead(BaseModel):
    """One change."""

    id: UUID
    at: Instant
    actor: str = Field(description="`key:<prefix>`, `cli:<user>` or `worker:<name>`.")
    key_id: UUID | None
    key_name: str | None
    address: str | None
    request_id: str | None
    operation: str = Field(description="The operation of the API, the command, or the task.")
    action: str = Field(examples=["paper.changed"])
    subject: str = Field(examples=["papers/2111.09543"])
    changes: dict[str, Any]
