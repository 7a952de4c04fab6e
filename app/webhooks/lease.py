"""One process at a receiver at a time, and what came of its attempts.

Nothing is held in the database while a request is under way: the lease is committed before, the outcome after it. A
process that dies in between leaves its lease to run out, and the delivery is attempted again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.core.clock import isoformat
from app.core.settings import WebhookSettings
from app.events.queries import read_events
from app.events.told import Wanted
from app.models import DeliveryState, Event, Webhook, WebhookAttempt, WebhookDelivery
from app.webhooks.plan import may_be_told

GONE: Final = 410
_PENDING: Final = WebhookDelivery.state == DeliveryState.pending
_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Errand:
    """One attempt to make."""

    webhook_id: UUID
    fence: int
    delivery_id: UUID
    position: int
    url: str
    secrets: tuple[str, ...]
    """The newest first."""
    body: str | None
    """None where the log does not know the event any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    at: datetime
    milliseconds: int
    status: int | None = None
    error: str | None = None


def take_errands(session: Session, settings: WebhookSettings, most: int) -> list[Errand]:
    """Take the leases of so many receivers at most that have something due, and what is due first for each of them."""
    due = select(WebhookDelivery.id).where(
        WebhookDelivery.webhook_id == Webhook.id, _PENDING, WebhookDelivery.next_attempt_at <= func.now()
    )
    free = (
        select(Webhook.id)
        .where(may_be_told(), or_(Webhook.lease_until.is_(None), Webhook.lease_until < func.now()), due.exists())
        .limit(most)
        .with_for_update(skip_locked=True, of=Webhook)
    )
    statement = (
        update(Webhook)
        .where(Webhook.id.in_(free))
        .values(fence=Webhook.fence + 1, lease_until=func.now() + timedelta(seconds=settings.lease_s))
        .returning(Webhook)
    )
    webhooks: Sequence[Webhook] = session.scalars(statement.execution_options(synchronize_session=False)).all()
    return [_errand(session, webhook) for webhook in webhooks]


def record_outcome(session: Session, errand: Errand, outcome: Outcome, settings: WebhookSettings) -> bool:
    """Write down the attempt, give the lease back, and say when the next attempt comes, or that there is none.

    False where the lease went to somebody else meanwhile, who has the attempt to make, too: nothing is written then.
    """
    held = (Webhook.id == errand.webhook_id) & (Webhook.fence == errand.fence)
    webhook = session.scalar(select(Webhook).where(held).with_for_update())
    if webhook is None:
        return False
    webhook.lease_until = None
    delivery = session.get_one(WebhookDelivery, errand.delivery_id)
    delivery.tries += 1
    session.add(
        WebhookAttempt(
            delivery_id=delivery.id,
            at=outcome.at,
            milliseconds=outcome.milliseconds,
            status=outcome.status,
            error=outcome.error,
        )
    )
    if outcome.error is None:
        delivery.state, delivery.next_attempt_at = DeliveryState.delivered, None
        webhook.failing_since = None
        return True
    _fail(session, webhook, delivery, outcome, settings)
    return True


def _fail(
    session: Session, webhook: Webhook, delivery: WebhookDelivery, outcome: Outcome, settings: WebhookSettings
) -> None:
    now = session.scalars(select(func.clock_timestamp())).one()
    webhook.failing_since = webhook.failing_since or now
    if outcome.status == GONE:
        webhook.disabled_at, webhook.disabled_reason = now, "gone"
    elif now - webhook.failing_since > timedelta(days=settings.disable_after_days):
        webhook.disabled_at, webhook.disabled_reason = now, "failing"
    if delivery.tries > len(settings.retries_s) or outcome.error == "forgotten":
        delivery.state, delivery.next_attempt_at = DeliveryState.failed, None
        return
    wait_s = settings.retries_s[delivery.tries - 1] * SystemRandom().uniform(1 - _JITTER, 1 + _JITTER)
    delivery.next_attempt_at = now + timedelta(seconds=wait_s)


def _errand(session: Session, webhook: Webhook) -> Errand:
    first = (
        select(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook.id, _PENDING, WebhookDelivery.next_attempt_at <= func.now())
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.position)
        .limit(1)
    )
    delivery = session.scalars(first).one()
    now = session.scalars(select(func.now())).one()
    secrets = [webhook.secret]
    if webhook.previous_secret and webhook.previous_until and webhook.previous_until > now:
        secrets.append(webhook.previous_secret)
    return Errand(
        webhook_id=webhook.id,
        fence=webhook.fence,
        delivery_id=delivery.id,
        position=delivery.position,
        url=webhook.url,
        secrets=tuple(secrets),
        body=_body(session, delivery.position),
    )


def _body(session: Session, position: int) -> str | None:
    """The message as the Standard Webhooks rules have it; the same in each attempt."""
    told = read_events(session, Wanted(), after=position - 1, upto=position, limit=1)
    at = session.scalar(select(Event.at).where(Event.position == position))
    if not told or at is None:
        return None
    return f'{{"type":"{told[0].type}","timestamp":"{isoformat(at)}","data":{told[0].data}}}'
