"""What can go wrong with webhooks."""

from http import HTTPStatus
from uuid import UUID

from app.core.errors import AppError


class WebhookNotFoundError(AppError):
    """No such webhook, or somebody else's."""

    status = HTTPStatus.NOT_FOUND
    code = "webhook_not_found"
    title = "No such webhook"

    def __init__(self, webhook_id: UUID) -> None:
        super().__init__(f"This key has no webhook {webhook_id}; GET /v1/webhooks lists those it has.")


class DeliveryNotFoundError(AppError):
    """No such delivery."""

    status = HTTPStatus.NOT_FOUND
    code = "delivery_not_found"
    title = "No such delivery"

    def __init__(self, delivery_id: UUID) -> None:
        super().__init__(f"The webhook has no delivery {delivery_id}; GET /v1/webhooks/{{id}}/deliveries lists them.")


class WebhookTargetError(AppError):
    """An address that is not told anything."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "webhook_target_refused"
    title = "Nothing is sent to this address"


class TooManyWebhooksError(AppError):
    """A key has as many webhooks as it may."""

    status = HTTPStatus.CONFLICT
    code = "too_many_webhooks"
    title = "The key has as many webhooks as it may"

    def __init__(self, most: int) -> None:
        super().__init__(f"The key has {most} webhooks, which is as many as it may; delete one first.")
