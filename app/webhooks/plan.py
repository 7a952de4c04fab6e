"""Events become deliveries: one for each webhook that is to be told, in the order of the log."""

from sqlalchemy import ColumnElement, any_, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.events.queries import last_position
from app.models import ApiKey, DeliveryState, Event, Webhook, WebhookDelivery


def may_be_told() -> ColumnElement[bool]:
    """Whether a webhook is enabled, and its owner's key still valid."""
    revoked = select(ApiKey.id).where(ApiKey.id == Webhook.owner_id, ApiKey.revoked_at.is_not(None)).exists()
    return Webhook.disabled_at.is_(None) & ~revoked


def plan_deliveries(session: Session) -> int:
    """Make a delivery of each event that has come since the last time, for each webhook that wants it; how many.

    Positions of the log grow in the order of the commits, so what lies behind a webhook's position is all there is.
    A webhook that another process is just planning for is left to it.
    """
    upto = last_position(session)
    behind = (
        select(Webhook.id, Webhook.position, Webhook.events)
        .where(Webhook.position < upto, may_be_told())
        .with_for_update(skip_locked=True, of=Webhook)
    )
    webhooks = session.execute(behind).all()
    if not webhooks:
        return 0
    ids = [row.id for row in webhooks]
    found = (
        select(
            func.gen_random_uuid(),
            Webhook.id,
            Event.position,
            Event.type,
            literal(DeliveryState.pending, WebhookDelivery.state.type),
            func.now(),
        )
        .join(Event, (Event.position > Webhook.position) & (Event.position <= upto))
        .where(Webhook.id.in_(ids), or_(Event.type == any_(Webhook.events)))
        .order_by(Event.position)
    )
    columns = ["id", "webhook_id", "position", "type", "state", "next_attempt_at"]
    made = session.execute(
        insert(WebhookDelivery).from_select(columns, found).on_conflict_do_nothing().returning(WebhookDelivery.id)
    ).all()
    session.execute(update(Webhook).where(Webhook.id.in_(ids)).values(position=upto))
    return len(made)
