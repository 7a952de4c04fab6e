"""Webhooks over HTTP. Any key may have its own: what they are told, it may read."""

from uuid import UUID

from fastapi import Request, Response

from app.access.idempotency import OnceDep
from app.access.routes import protected_router
from app.access.scopes import Scope
from app.core.etag import etag_of, json_of, reply, reply_model, require_match
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import SessionDep, SettingsDep, answered, problems
from app.webhooks.enable import enable_webhook
from app.webhooks.queries import list_deliveries, list_webhooks, read_webhook
from app.webhooks.register import register_webhook
from app.webhooks.remove import remove_webhook
from app.webhooks.replay import replay_delivery, replay_since
from app.webhooks.rotate import rotate_secret
from app.webhooks.schemas import DeliveryRead, ReplayPost, ReplayRead, WebhookCreated, WebhookPost, WebhookRead

protected = protected_router(Scope.read, tags=["webhooks"])


@protected.post(
    "/webhooks",
    operation_id="registerWebhook",
    response_model=WebhookCreated,
    status_code=201,
    responses=problems(409)
    | answered(
        201,
        webhook=("getWebhook", {"webhook_id": "id"}),
        remove=("removeWebhook", {"webhook_id": "id"}),
        deliveries=("listDeliveries", {"webhook_id": "id"}),
    ),
)
def post_webhook(
    request: Request, session: SessionDep, settings: SettingsDep, post: WebhookPost, once: OnceDep
) -> Response:
    """Have events brought to an address of yours, signed after the Standard Webhooks rules.

    The secret in the answer is shown this once.
    """

    def respond() -> Response:
        made = register_webhook(session, post, settings.webhooks)
        response = reply_model(request, made, status=201)
        response.headers["Location"] = f"/v1/webhooks/{made.id}"
        return response

    return once(post, respond)


@protected.get("/webhooks", operation_id="listWebhooks", response_model=Page[WebhookRead])
def get_webhooks(request: Request, session: SessionDep, limit: LimitQuery = 50, cursor: CursorQuery = None) -> Response:
    """The key's own webhooks, newest first; an administrator's key sees all."""
    page = list_webhooks(session, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@protected.get("/webhooks/{webhook_id}", operation_id="getWebhook", response_model=WebhookRead, responses=problems(404))
def get_webhook(request: Request, session: SessionDep, webhook_id: UUID) -> Response:
    """One webhook: whether it is enabled, and since when its receiver fails."""
    return reply_model(request, read_webhook(session, webhook_id))


@protected.delete(
    "/webhooks/{webhook_id}", operation_id="removeWebhook", response_model=WebhookRead, responses=problems(404, 412)
)
def delete_webhook(request: Request, session: SessionDep, webhook_id: UUID) -> Response:
    """Remove a webhook with its deliveries; the answer shows it as it was last."""
    last = json_of(remove_webhook(session, webhook_id))
    require_match(request, etag_of(last))
    return reply(request, last)


@protected.post(
    "/webhooks/{webhook_id}/rotate",
    operation_id="rotateWebhookSecret",
    response_model=WebhookCreated,
    responses=problems(404),
)
def post_rotate(request: Request, session: SessionDep, settings: SettingsDep, webhook_id: UUID) -> Response:
    """A new secret, shown this once; until `previous_secret_until` messages are signed with the old one, too."""
    return reply_model(request, rotate_secret(session, webhook_id, settings.webhooks))


@protected.post(
    "/webhooks/{webhook_id}/enable", operation_id="enableWebhook", response_model=WebhookRead, responses=problems(404)
)
def post_enable(request: Request, session: SessionDep, webhook_id: UUID) -> Response:
    """Enable a webhook that was disabled because its receiver failed; it goes on where it stopped."""
    return reply_model(request, enable_webhook(session, webhook_id))


@protected.post(
    "/webhooks/{webhook_id}/replay",
    operation_id="replayWebhook",
    response_model=ReplayRead,
    status_code=202,
    responses=problems(404),
)
def post_replay(request: Request, session: SessionDep, webhook_id: UUID, post: ReplayPost, once: OnceDep) -> Response:
    """Tell everything since a moment again, as far as the log goes back."""
    return once(post, lambda: reply_model(request, replay_since(session, webhook_id, post), status=202))


@protected.get(
    "/webhooks/{webhook_id}/deliveries",
    operation_id="listDeliveries",
    response_model=Page[DeliveryRead],
    responses=problems(404),
)
def get_deliveries(
    request: Request, session: SessionDep, webhook_id: UUID, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> Response:
    """What a webhook was told and is to be told, newest event first, with every attempt."""
    page = list_deliveries(session, webhook_id, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@protected.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    operation_id="replayDelivery",
    response_model=DeliveryRead,
    status_code=202,
    responses=problems(404),
)
def post_replay_delivery(request: Request, session: SessionDep, webhook_id: UUID, delivery_id: UUID) -> Response:
    """Make one delivery again, whatever became of it."""
    return reply_model(request, replay_delivery(session, webhook_id, delivery_id), status=202)
