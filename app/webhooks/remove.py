"""Remove a webhook, with all that was to be told and was told."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.access.audit import record
from app.webhooks.queries import find_webhook, webhook_read
from app.webhooks.schemas import WebhookRead


def remove_webhook(session: Session, webhook_id: UUID) -> WebhookRead:
    """The webhook as it was last. Raises WebhookNotFoundError."""
    webhook = find_webhook(session, webhook_id, lock=True)
    last = webhook_read(session, webhook)
    session.delete(webhook)
    session.flush()
    record(session, "webhook.removed", f"webhooks/{webhook_id}", {"url": last.url})
    return last
