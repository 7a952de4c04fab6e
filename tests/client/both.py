"""Both clients under one set of verbs, so that each test is a test of both."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from anyio.from_thread import BlockingPortal, start_blocking_portal

from app.client import AsyncClient, Client, Retries
from app.client.client import Listing

AT_ONCE: Final = Retries(first_s=0.01)
"""As many repetitions as by default, with hardly a wait."""
BOTH: Final = ("waiting", "awaiting")


@contextmanager
def client_of(way: str, server: str, key: str | None = None, **options: Any) -> Iterator[Client]:  # noqa: ANN401  # the client's
    """The client of this way; the awaiting one as if it waited. Typed as the waiting one, whose verbs both have."""
    options = {"retries": AT_ONCE, "timeout_s": 60.0, **options}
    if way == "waiting":
        with Client(server, key, **options) as client:
            yield client
        return
    with start_blocking_portal() as portal:
        made = AsyncClient(server, key, **options)
        try:
            yield _Waiting(made, portal)  # type: ignore[misc]
        finally:
            portal.call(made.aclose)


class _Waiting:
    """An AsyncClient on an event loop of its own."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client, self._portal = client, portal
        self.context = client.context

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self._client, name)
        if isinstance(getattr(type(self._client), name), Listing):
            return lambda *args, **options: self._iterate(verb(*args, **options))
        return lambda *args, **options: self._portal.call(partial(verb, *args, **options))

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        end = object()
        while (item := self._portal.call(anext, items, end)) is not end:
            yield item
