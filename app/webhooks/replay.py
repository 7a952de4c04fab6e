"""Tell it again, from the log: one delivery, or everything since a moment."""

from typing import Final
from uuid import UUID

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.access.audit import record
from app.models import DeliveryState, Event, WebhookDelivery
from app.webhooks.queries import delivery_read, find_delivery, find_webhook
from app.webhooks.schemas import DeliveryRead, ReplayPost, ReplayRead

_AGAIN: Final = {"state": DeliveryState.pending, "tries": 0}


def replay_delivery(session: Session, webhook_id: UUID, delivery_id: UUID) -> DeliveryRead:
    """The delivery, due now. Raises WebhookNotFoundError, DeliveryNotFoundError."""
    delivery = find_delivery(session, webhook_id, delivery_id)
    now = session.scalars(select(func.now())).one()
    delivery.state, delivery.tries, delivery.next_attempt_at = DeliveryState.pending, 0, now
    session.flush()
    record(session, "webhook.replayed", f"webhooks/{webhook_id}", {"delivery": delivery_id})
    return delivery_read(session, delivery)


def replay_since(session: Session, webhook_id: UUID, post: ReplayPost) -> ReplayRead:
    """Have every event since that moment told again that the log still holds. Raises WebhookNotFoundError."""
    webhook = find_webhook(session, webhook_id, lock=True)
    found = select(
        func.gen_random_uuid(),
        literal(webhook.id),
        Event.position,
        Event.type,
        literal(DeliveryState.pending, WebhookDelivery.state.type),
        func.now(),
    ).where(Event.at >= post.since, Event.position <= webhook.position, Event.type.in_(webhook.events))
    columns = ["id", "webhook_id", "position", "type", "state", "next_attempt_at"]
    made = session.execute(
        insert(WebhookDelivery)
        .from_select(columns, found)
        .on_conflict_do_update(
            index_elements=["webhook_id", "position"], set_={**_AGAIN, "next_attempt_at": func.now()}
        )
        .returning(WebhookDelivery.id)
    ).all()
    record(session, "webhook.replayed", f"webhooks/{webhook_id}", {"since": post.since, "deliveries": len(made)})
    return ReplayRead(deliveries=len(made))
