"""Give a webhook a new secret; for a while messages are signed with both."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.audit import record
from app.core.settings import WebhookSettings
from app.webhooks.queries import find_webhook
from app.webhooks.register import with_secret
from app.webhooks.schemas import WebhookCreated
from app.webhooks.signing import new_secret


def rotate_secret(session: Session, webhook_id: UUID, settings: WebhookSettings) -> WebhookCreated:
    """The webhook with its new secret, which cannot be had again; the old one goes on for a while.

    Raises WebhookNotFoundError.
    """
    webhook = find_webhook(session, webhook_id, lock=True)
    until = func.now() + timedelta(hours=settings.previous_secret_hours)
    webhook.previous_secret, webhook.previous_until = webhook.secret, session.scalars(select(until)).one()
    webhook.secret = new_secret()
    session.flush()
    record(session, "webhook.secret_rotated", f"webhooks/{webhook.id}")
    return with_secret(session, webhook)
