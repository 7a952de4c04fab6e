"""Drivers on the wire."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from app.core.clock import Instant


class DriverRead(BaseModel):
    """A driver and its whole specification."""

    slug: str
    agent_version: str
    paper_arxiv_id: str
    claim_id: UUID
    description: str
    protocol_match: str
    spec: dict[str, Any]
    spec_digest: str
    updated_at: Instant
