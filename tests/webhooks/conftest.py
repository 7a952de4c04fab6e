"""The service with its courier, and receivers on this machine."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from app.core.db import Database
from app.core.settings import Settings, WebhookSettings
from tests.events.conftest import settings as events_settings
from tests.events.conftest import subject
from tests.events.running import PATIENCE_S, Running, running
from tests.factories.keys import make_key
from tests.webhooks.receiver import Receiver, receiving

__all__ = ["events_settings", "subject"]

QUICK = WebhookSettings(
    allow_http=True, allow_private=True, poll_s=0.05, retries_s=(0.05, 0.05, 0.05), timeout_s=30, lease_s=60
)


@pytest.fixture
def webhooks() -> WebhookSettings:
    return QUICK


@pytest.fixture
def settings(events_settings: Settings, webhooks: WebhookSettings) -> Settings:
    return events_settings.model_copy(update={"webhooks": webhooks})


@pytest.fixture
def service(settings: Settings) -> Iterator[Running]:
    with running(settings) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def client_of(service: Running, database: Database) -> Iterator[Callable[..., httpx.Client]]:
    """Clients with a key of their own each."""
    clients = []

    def make(*scopes: str) -> httpx.Client:
        key = make_key(database, *scopes).key  # type: ignore[arg-type]  # scopes are words
        clients.append(
            httpx.Client(base_url=service.base, timeout=PATIENCE_S, headers={"Authorization": f"Bearer {key}"})
        )
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(client_of: Callable[..., httpx.Client]) -> httpx.Client:
    return client_of("read")
