"""Services with access settings of their own, and requests with keys of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from httpx2 import Response

from app.access.schemas import KeyCreated
from app.core.settings import Settings
from app.main import create_app
from tests.api.fixtures import UNLIMITED
from tests.api.helpers import Api


@contextmanager
def service(settings: Settings, **access: object) -> Iterator[Api]:
    """A client of a service with these access settings; it has no key."""
    changed = settings.model_copy(update={"access": UNLIMITED.model_copy(update=access)})
    with Api(create_app(changed)) as client:
        yield client


def with_key(client: Api, key: KeyCreated | str, method: str, path: str, **options: Any) -> Response:  # noqa: ANN401  # the client's own
    """The answer to a request that comes with this key."""
    token = key if isinstance(key, str) else key.key
    headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
    return client.request(method, path, headers=headers, **options)
