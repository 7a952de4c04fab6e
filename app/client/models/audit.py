"""The audit log, as the service shows it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.client.problems import Answered


class AuditEntry(Answered):
    """One change: who, how, what, to what."""

    id: UUID
    at: datetime
    actor: str
    key_id: UUID | None
    key_name: str | None
    address: str | None
    request_id: str | None
    operation: str
    action: str
    subject: str
    changes: dict[str, Any]
