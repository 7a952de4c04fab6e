"""Drivers on the wire."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel

from app.core.clock import Instant
from app.core.openapi import ShownAs
from app.protocol.axes import ProtocolMatch
from app.protocol.driver import DriverSpec


class DriverRead(BaseModel):
    """A driver and its whole specification."""

    slug: str
    agent_version: str
    paper_arxiv_id: str
    claim_id: UUID
    description: str
    protocol_match: ProtocolMatch
    spec: Annotated[dict[str, Any], ShownAs(DriverSpec)]
    spec_digest: str
    updated_at: Instant
