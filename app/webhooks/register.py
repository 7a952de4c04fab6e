"""Register a webhook: from now on its receiver is told."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.actor import actor_of
from app.access.audit import record
from app.core.settings import WebhookSettings
from app.events.queries import last_position
from app.models import ApiKey, Webhook
from app.webhooks.errors import TooManyWebhooksError
from app.webhooks.queries import webhook_read
from app.webhooks.schemas import WebhookCreated, WebhookPost
from app.webhooks.signing import new_secret
from app.webhooks.targets import address_of, parse_target


def register_webhook(session: Session, post: WebhookPost, settings: WebhookSettings) -> WebhookCreated:
    """Register it for the session's actor. What is returned holds the secret, which cannot be had again.

    Raises WebhookTargetError and TooManyWebhooksError.
    """
    address_of(parse_target(post.url, settings), settings)
    owner = actor_of(session).key_id
    if owner is not None:
        _refuse_more_than(session, owner, settings.most_of_owner)
    webhook = Webhook(
        owner_id=owner,
        url=post.url,
        events=sorted(set(post.events)),
        description=post.description,
        secret=new_secret(),
        position=last_position(session),
    )
    session.add(webhook)
    session.flush()
    session.refresh(webhook)
    record(session, "webhook.registered", f"webhooks/{webhook.id}", {"url": webhook.url, "events": webhook.events})
    return with_secret(session, webhook)


def with_secret(session: Session, webhook: Webhook) -> WebhookCreated:
    """The webhook with its secret, for the one time that it is shown."""
    return WebhookCreated(**webhook_read(session, webhook).model_dump(), secret=webhook.secret)


def _refuse_more_than(session: Session, owner: object, most: int) -> None:
    session.execute(select(ApiKey.id).where(ApiKey.id == owner).with_for_update())  # requests of one key in a row
    if (session.scalar(select(func.count()).where(Webhook.owner_id == owner)) or 0) >= most:
        raise TooManyWebhooksError(most)
