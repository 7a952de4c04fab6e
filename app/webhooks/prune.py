"""Forget deliveries that came to their end long ago, with their attempts."""

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.models import DeliveryState, WebhookDelivery

_AT_ONCE: Final = 1000


def prune_deliveries(session: Session, keep_days: float) -> int:
    """Delete some of the deliveries that are older than so many days and wait for nothing; returns how many."""
    old = (
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.created_at < func.now() - timedelta(days=keep_days),
            WebhookDelivery.state != DeliveryState.pending,
        )
        .order_by(WebhookDelivery.created_at)
        .limit(_AT_ONCE)
    )
    statement = delete(WebhookDelivery).where(WebhookDelivery.id.in_(old)).returning(WebhookDelivery.id)
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())
