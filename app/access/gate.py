"""The door: who asks, whether they may, and how often."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.access.actor import Actor
from app.access.address import client_address, limited_as
from app.access.errors import KeyInvalidError, KeyRequiredError, RateLimitedError, ScopeMissingError
from app.access.keyring import Key, Keyring
from app.access.limits import Count, WriteLimit, redis_storage
from app.access.local import LocalLimiter
from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import AccessSettings
from app.models.base import new_id


@dataclass(frozen=True, slots=True)
class Admitted:
    """A change that may be made: by whom, and how their limits stand."""

    actor: Actor
    counts: Sequence[Count]


class Gate:
    """One a process. `reads_are_public` and `reads` are what a faster way to the documents has to ask, too."""

    def __init__(self, settings: AccessSettings, database: Database, redis_url: str) -> None:
        self.reads_are_public: Final = settings.reads == "public"
        self.reads: Final = LocalLimiter(settings.reads_per_minute)
        self._trusted = settings.networks
        self._keyring = Keyring(database, settings.key_cache_s)
        storage = redis_storage(redis_url)
        self._storage = storage
        self._failures = LocalLimiter(settings.failures_per_minute)
        self._by_address = WriteLimit("address", settings.writes_per_minute_address, storage)
        self._by_key = WriteLimit("key", settings.writes_per_minute, storage)

    def address_of(self, request: Request) -> str:
        """The caller's address, past the trusted proxies."""
        return client_address(request.scope, self._trusted)

    async def admit_read(self, request: Request) -> None:
        """Let a reader in. Raises RateLimitedError, KeyRequiredError, KeyInvalidError.

        Asks the database only about a key that was sent.
        """
        self._count_read(request)
        token = self._token(request)
        if token is not None:
            await run_in_threadpool(self._key, request, token)
        elif not self.reads_are_public:
            raise KeyRequiredError

    async def admit_protected_read(self, request: Request, scope: Scope) -> Actor:
        """Let in a reader of what is not public. Raises ScopeMissingError besides."""
        self._count_read(request)
        return await run_in_threadpool(self._authorize, request, scope)

    async def admit_change(self, request: Request, scope: Scope) -> Admitted:
        """Let a change in. Raises LimitsUnavailableError besides."""
        return await run_in_threadpool(self._admit_change, request, scope)

    def _count_read(self, request: Request) -> None:
        wait_s = self.reads.wait_s(limited_as(self.address_of(request)), time.monotonic())
        if wait_s:
            raise RateLimitedError("address", wait_s)

    def _admit_change(self, request: Request, scope: Scope) -> Admitted:
        # Asking for runs goes on without Redis, as it always did: their number is bounded by the quota in Postgres.
        may_stand_in = scope is Scope.reproduce
        actor = self._authorize(request, scope)
        by_address = self._by_address.hit(limited_as(self.address_of(request)), may_stand_in=may_stand_in)
        by_key = self._by_key.hit(str(actor.key_id), may_stand_in=may_stand_in)
        return Admitted(actor, (by_key, by_address))

    def _authorize(self, request: Request, scope: Scope) -> Actor:
        token = self._token(request)
        if token is None:
            raise KeyRequiredError
        key = self._key(request, token)
        actor = self._actor(request, key)
        if not actor.may(scope):
            raise ScopeMissingError(scope)
        return actor

    def _token(self, request: Request) -> str | None:
        try:
            return bearer(request)
        except KeyInvalidError:
            self._count_failure(request)
            raise

    def _key(self, request: Request, token: str) -> Key:
        """The key; nothing is looked up for an address that has sent too many wrong ones."""
        if self._failures.wait_s(limited_as(self.address_of(request)), time.monotonic(), count=False):
            self._count_failure(request)
        try:
            return self._keyring.find(token)
        except KeyInvalidError:
            self._count_failure(request)
            raise

    def _count_failure(self, request: Request) -> None:
        wait_s = self._failures.wait_s(limited_as(self.address_of(request)), time.monotonic())
        if wait_s:
            raise RateLimitedError("address", wait_s)

    def _actor(self, request: Request, key: Key) -> Actor:
        return Actor(
            name=f"key:{key.prefix}",
            operation=request.scope["route"].operation_id,
            key_id=key.id,
            key_name=key.name,
            address=self.address_of(request),
            request_id=str(new_id()),
            scopes=key.scopes,
        )

    def close(self) -> None:
        """Close the connections to Redis."""
        self._storage.storage.connection_pool.disconnect()


def bearer(request: Request) -> str | None:
    """The token of the Authorization header, or None without one. Raises KeyInvalidError where it is no such header."""
    lines = request.headers.getlist("authorization")
    if not lines:
        return None
    scheme, _, token = lines[0].partition(" ")
    if len(lines) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise KeyInvalidError
    return token.strip()
