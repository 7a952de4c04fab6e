"""Webhooks on the wire."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core.clock import Instant
from app.models import DeliveryState
from app.papers.schemas import NO_NUL


class WebhookEvent(StrEnum):
    """What a webhook can be told of."""

    issued = "verdict.issued"
    superseded = "verdict.superseded"
    finished = "reproduction.finished"


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookPost(_In):
    """Where to send what."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.org/verdicts", "events": ["verdict.issued"]}]},
    )

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[\x21-\x7e]*$")] = Field(
        description="https, at an address that is reachable from anywhere."
    )
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=10)] = list(WebhookEvent)
    description: Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)] | None = None


class ReplayPost(_In):
    """From when on to tell everything again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"since": "2026-11-25T00:00:00Z"}]})

    since: Instant


class WebhookRead(BaseModel):
    """A webhook, without its secret."""

    id: UUID
    url: str
    events: list[WebhookEvent]
    description: str | None
    owner: str | None = Field(description="The prefix of the key that registered it; null for the command line.")
    enabled: bool
    disabled_at: Instant | None
    disabled_reason: str | None = Field(description="`gone` (it answered 410) or `failing`.")
    failing_since: Instant | None = Field(description="Since then no attempt has succeeded.")
    previous_secret_until: Instant | None = Field(description="Until then messages are signed with both secrets.")
    created_at: Instant


class WebhookCreated(WebhookRead):
    """A webhook with its new secret: this is the only time that it is shown."""

    secret: str


class AttemptRead(BaseModel):
    """One request that was made."""

    at: Instant
    milliseconds: int
    status: int | None
    error: str | None


class DeliveryRead(BaseModel):
    """One event for one webhook."""

    id: UUID
    event_id: str = Field(description="The `webhook-id` of the message, the same in each attempt.")
    type: WebhookEvent
    state: DeliveryState
    next_attempt_at: Instant | None
    created_at: Instant
    attempts: list[AttemptRead] = Field(description="The newest 50, oldest first.")


class ReplayRead(BaseModel):
    """What will be told again."""

    deliveries: int
