"""Webhooks, as the service shows them."""

from datetime import datetime
from uuid import UUID

from app.client.problems import Answered


class Webhook(Answered):
    """Who is told of events by a request of the service; `owner` is the prefix of the key that registered it."""

    id: UUID
    url: str
    events: list[str]
    description: str | None
    owner: str | None
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime


class WebhookCreated(Webhook):
    """A webhook with its secret, which is shown this once."""

    secret: str
