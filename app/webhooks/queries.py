"""Reading webhooks: a key sees its own, an administrator all."""

from collections import defaultdict
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from app.access.actor import actor_of
from app.access.scopes import Scope
from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import ApiKey, Webhook, WebhookAttempt, WebhookDelivery
from app.webhooks.errors import DeliveryNotFoundError, WebhookNotFoundError
from app.webhooks.schemas import AttemptRead, DeliveryRead, WebhookEvent, WebhookRead
from app.webhooks.signing import message_id

_SHOWN_ATTEMPTS = 50


def find_webhook(session: Session, webhook_id: UUID, *, lock: bool = False) -> Webhook:
    """The webhook, where the session's actor may see it. Raises WebhookNotFoundError."""
    query = select(Webhook).where(Webhook.id == webhook_id, _may_see(session))
    webhook = session.scalar(query.with_for_update() if lock else query)
    if webhook is None:
        raise WebhookNotFoundError(webhook_id)
    return webhook


def read_webhook(session: Session, webhook_id: UUID) -> WebhookRead:
    """One webhook. Raises WebhookNotFoundError."""
    return webhook_read(session, find_webhook(session, webhook_id))


def list_webhooks(session: Session, limit: int, cursor: str | None) -> Page[WebhookRead]:
    """A page of webhooks, newest first."""
    before = decode_cursor("webhooks", cursor, lambda key: UUID(key[0]))
    query = select(Webhook, ApiKey.prefix).outerjoin(ApiKey, ApiKey.id == Webhook.owner_id).where(_may_see(session))
    query = query.where(Webhook.id < before) if before is not None else query
    rows = session.execute(query.order_by(Webhook.id.desc()).limit(limit + 1)).all()
    items = [_read(*row) for row in rows[:limit]]
    following = encode_cursor("webhooks", [str(items[-1].id)]) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


def webhook_read(session: Session, webhook: Webhook) -> WebhookRead:
    """The webhook as it is shown."""
    return _read(webhook, session.scalar(select(ApiKey.prefix).where(ApiKey.id == webhook.owner_id)))


def list_deliveries(session: Session, webhook_id: UUID, limit: int, cursor: str | None) -> Page[DeliveryRead]:
    """A page of a webhook's deliveries, newest event first. Raises WebhookNotFoundError."""
    webhook = find_webhook(session, webhook_id)
    before = decode_cursor("deliveries", cursor, lambda key: int(key[0]))
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id)
    query = query.where(WebhookDelivery.position < before) if before is not None else query
    rows = session.scalars(query.order_by(WebhookDelivery.position.desc()).limit(limit + 1)).all()
    attempts = _attempts(session, [row.id for row in rows[:limit]])
    following = encode_cursor("deliveries", [rows[limit - 1].position]) if len(rows) > limit else None
    return Page(items=[_delivery(row, attempts[row.id]) for row in rows[:limit]], next_cursor=following)


def find_delivery(session: Session, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """The delivery of a webhook. Raises WebhookNotFoundError, DeliveryNotFoundError."""
    webhook = find_webhook(session, webhook_id, lock=True)
    wanted = (WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook.id)
    delivery = session.scalar(select(WebhookDelivery).where(*wanted))
    if delivery is None:
        raise DeliveryNotFoundError(delivery_id)
    return delivery


def delivery_read(session: Session, delivery: WebhookDelivery) -> DeliveryRead:
    """The delivery as it is shown."""
    return _delivery(delivery, _attempts(session, [delivery.id])[delivery.id])


def _may_see(session: Session) -> ColumnElement[bool]:
    actor = actor_of(session)
    return true() if actor.may(Scope.admin) else Webhook.owner_id == actor.key_id


def _read(webhook: Webhook, prefix: str | None) -> WebhookRead:
    return WebhookRead(
        id=webhook.id,
        url=webhook.url,
        events=[WebhookEvent(one) for one in webhook.events],
        description=webhook.description,
        owner=prefix,
        enabled=webhook.disabled_at is None,
        disabled_at=webhook.disabled_at,
        disabled_reason=webhook.disabled_reason,
        failing_since=webhook.failing_since,
        previous_secret_until=webhook.previous_until,
        created_at=webhook.created_at,
    )


def _attempts(session: Session, delivery_ids: list[UUID]) -> defaultdict[UUID, list[AttemptRead]]:
    place = func.row_number().over(partition_by=WebhookAttempt.delivery_id, order_by=WebhookAttempt.id.desc())
    newest = (
        select(WebhookAttempt.id, place.label("place")).where(WebhookAttempt.delivery_id.in_(delivery_ids)).subquery()
    )
    rows = session.scalars(
        select(WebhookAttempt)
        .join(newest, newest.c.id == WebhookAttempt.id)
        .where(newest.c.place <= _SHOWN_ATTEMPTS)
        .order_by(WebhookAttempt.id)
    )
    found: defaultdict[UUID, list[AttemptRead]] = defaultdict(list)
    for row in rows:
        found[row.delivery_id].append(AttemptRead.model_validate(row, from_attributes=True))
    return found


def _delivery(row: WebhookDelivery, attempts: list[AttemptRead]) -> DeliveryRead:
    return DeliveryRead(
        id=row.id,
        event_id=message_id(row.position),
        type=WebhookEvent(row.type),
        state=row.state,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        attempts=attempts,
    )
