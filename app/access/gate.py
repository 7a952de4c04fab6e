"""The door: who asks, whether they may, and how often."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Send
from starlette.types import Scope as AsgiScope

from app.access.actor import Actor
from app.access.address import client_address, limited_as
from app.access.count import Count, Told
from app.access.errors import KeyInvalidError, KeyRequiredError, RateLimitedError, ScopeMissingError
from app.access.keyring import Key, Keyring
from app.access.limits import Counters, WriteLimit
from app.access.local import LocalLimiter
from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import AccessSettings

COUNTED: Final = "access_counted"
"""In a request's scope: the address as which it is counted already."""
_REFUSED: Final = "access_refused"
"""In a request's scope: what its key was found to be, so that it is looked up once."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A change that may be made: by whom, and how their limits stand."""

    actor: Actor
    counts: Sequence[Count]


class Gate:
    """One a process. `reads_are_public` and `requests` are what a faster way to the documents has to ask, too."""

    def __init__(self, settings: AccessSettings, database: Database, redis_url: str) -> None:
        self.reads_are_public: Final = settings.reads == "public"
        self.requests: Final = LocalLimiter(settings.requests_per_minute)
        self._told = Told("address", settings.requests_per_minute)
        self._trusted = settings.networks
        self._keyring = Keyring(database, settings.key_cache_s)
        self._counters = Counters(redis_url)
        self._by_address = WriteLimit("address", settings.writes_per_minute_address, self._counters)
        self._by_key = WriteLimit("key", settings.writes_per_minute, self._counters)

    def address_of(self, scope: AsgiScope) -> str:
        """The caller's address, past the trusted proxies."""
        return client_address(scope, self._trusted)

    def telling(self, scope: AsgiScope, send: Send) -> Send:
        """Sends, and tells how the requests of the address stand, where nothing is told of limits yet."""
        if not self.requests.per_minute:
            return send

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start" and b"ratelimit" not in dict(message["headers"]):
                address = scope.get(COUNTED) or limited_as(self.address_of(scope))
                stands = self._told.headers(*self.requests.stands(address, time.monotonic()))
                message = {**message, "headers": [*message["headers"], *stands]}
            await send(message)

        return send_told

    async def knows(self, scope: AsgiScope) -> bool:
        """Whether the request's key is valid. Where not, or nobody can tell, whoever answers it says why."""
        try:
            token = bearer(Request(scope))
            return token is not None and bool(await run_in_threadpool(self._keyring.find, token))
        except KeyInvalidError as error:
            scope[_REFUSED] = error
        except SQLAlchemyError:
            pass
        return False

    async def admit_read(self, request: Request) -> None:
        """Let a reader in. Raises RateLimitedError, KeyRequiredError, KeyInvalidError.

        Asks the database only about a key that was sent.
        """
        self._count_here(request)
        if (refused := cast("KeyInvalidError | None", request.scope.get(_REFUSED))) is not None:
            raise refused
        token = bearer(request)
        if token is not None:
            await run_in_threadpool(self._keyring.find, token)
        elif not self.reads_are_public:
            raise KeyRequiredError

    async def admit_protected_read(self, request: Request, scope: Scope) -> Actor:
        """Let in a reader of what is not public. Raises ScopeMissingError besides."""
        self._count_here(request)
        return await run_in_threadpool(self._authorize, request, scope)

    async def admit_change(self, request: Request, scope: Scope) -> Admitted:
        """Let a change in. Raises LimitsUnavailableError besides."""
        self._count_here(request)  # so that what never gets as far as Redis is counted, too
        return await run_in_threadpool(self._admit_change, request, scope)

    def _count_here(self, request: Request) -> None:
        if COUNTED in request.scope:
            return
        wait_s = self.requests.wait_s(limited_as(self.address_of(request.scope)), time.monotonic())
        if wait_s:
            raise RateLimitedError("address", wait_s, self.requests.per_minute)

    def _admit_change(self, request: Request, scope: Scope) -> Admitted:
        # Asking for runs goes on without Redis, as it always did: their number is bounded by the quota in Postgres.
        may_stand_in = scope is Scope.reproduce
        actor = self._authorize(request, scope)
        by_address = self._by_address.hit(limited_as(self.address_of(request.scope)), may_stand_in=may_stand_in)
        by_key = self._by_key.hit(str(actor.key_id), may_stand_in=may_stand_in)
        return Admitted(actor, (by_key, by_address))

    def _authorize(self, request: Request, scope: Scope) -> Actor:
        token = bearer(request)
        if token is None:
            raise KeyRequiredError
        key = self._keyring.find(token)
        actor = self._actor(request, key)
        if not actor.may(scope):
            raise ScopeMissingError(scope)
        return actor

    def _actor(self, request: Request, key: Key) -> Actor:
        return Actor(
            name=f"key:{key.prefix}",
            operation=request.scope["route"].operation_id,
            key_id=key.id,
            key_name=key.name,
            address=self.address_of(request.scope),
            request_id=request.scope.get("request_id"),
            scopes=key.scopes,
        )

    def close(self) -> None:
        """Close the connections to Redis."""
        self._counters.close()


def bearer(request: Request) -> str | None:
    """The token of the Authorization header, or None without one. Raises KeyInvalidError where it is no such header."""
    lines = request.headers.getlist("authorization")
    if not lines:
        return None
    scheme, _, token = lines[0].partition(" ")
    if len(lines) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise KeyInvalidError
    return token.strip()
