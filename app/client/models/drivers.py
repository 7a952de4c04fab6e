"""Drivers, as the service shows them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.client.problems import Answered


class Driver(Answered):
    """A driver and its whole specification."""

    slug: str
    agent_version: str
    paper_arxiv_id: str
    claim_id: UUID
    description: str
    protocol_match: str
    spec: dict[str, Any]
    spec_digest: str
    updated_at: datetime
