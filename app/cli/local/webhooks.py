"""Webhooks of this machine's database."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError

from app.cli.failures import CommandError
from app.cli.local.base import Local
from app.webhooks.queries import list_webhooks
from app.webhooks.register import register_webhook
from app.webhooks.remove import remove_webhook
from app.webhooks.schemas import WebhookEvent, WebhookPost


class LocalWebhooks(Local):
    """As `app.cli.source.Webhooks`."""

    def register_webhook(self, url: str, events: Sequence[str]) -> str:
        """Register a webhook; it, with its secret."""
        try:
            post = WebhookPost(url=url, events=[WebhookEvent(one) for one in events] or list(WebhookEvent))
        except ValidationError as error:
            raise CommandError(f"{url} is no URL that could be told") from error
        with self.session() as session:
            return register_webhook(session, post, self.settings.webhooks).model_dump_json()

    def webhooks(self, limit: int) -> str:
        """A page of webhooks."""
        with self.session() as session:
            return list_webhooks(session, limit, None).model_dump_json()

    def remove_webhook(self, webhook_id: UUID) -> str:
        """Remove a webhook; it, as it was last."""
        with self.session() as session:
            return remove_webhook(session, webhook_id).model_dump_json()
