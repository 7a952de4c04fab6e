"""Enable a webhook again: it goes on where it stopped."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.access.audit import record
from app.webhooks.queries import find_webhook, webhook_read
from app.webhooks.schemas import WebhookRead


def enable_webhook(session: Session, webhook_id: UUID) -> WebhookRead:
    """The webhook, enabled; doing so twice is fine. Raises WebhookNotFoundError."""
    webhook = find_webhook(session, webhook_id, lock=True)
    if webhook.disabled_at is not None:
        facts = {"reason": webhook.disabled_reason, "since": webhook.disabled_at}
        webhook.disabled_at = webhook.disabled_reason = webhook.failing_since = None
        session.flush()
        record(session, "webhook.enabled", f"webhooks/{webhook.id}", facts)
    return webhook_read(session, webhook)
