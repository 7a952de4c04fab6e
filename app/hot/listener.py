"""Hears through Postgres what has changed. What is in the cache counts only while this connection answers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import structlog

CHANNEL: Final = "verdicts"
"""Triggers of the database notify it with the subject that changed, or `*` (migration 0002)."""
GONE: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises where the database does not answer."""
_PATIENCE_S: Final = 10.0
"""For a connection and for an answer. A lease may run out meanwhile, and is renewed by a late answer all the same: to
connect anew each time would keep a busy machine from ever hearing anything."""
_BARRIER: Final = "barrier:"
_ENTER: Final = (
    "INSERT INTO serving_processes (id, heard, lease_until) SELECT $1, last_value, clock_timestamp() + $2 "
    "FROM serving_barrier"
)
_DRAWN: Final = "SELECT last_value FROM serving_barrier"
_RENEW: Final = (
    "UPDATE serving_processes SET heard = greatest(heard, $3), lease_until = clock_timestamp() + $2 WHERE id = $1 "
    "RETURNING heard"
)
_LEAVE: Final = "DELETE FROM serving_processes WHERE id = $1 OR lease_until < clock_timestamp() - interval '1 day'"
_log = structlog.get_logger(__name__)


class Listener:
    """One LISTEN connection and its lease: who changes something waits for us to hear of it, but no longer than that.

    The other side of the agreement is app.core.settle. The lease counts from before the renewal was sent, on our own
    clock, so it ends here before it ends there.
    """

    def __init__(self, dsn: str, lease_s: float, on_change: Callable[[str], None]) -> None:
        self._dsn, self._lease_s, self._on_change = dsn, lease_s, on_change
        self.until = 0.0
        """When the lease ends, on the event loop's clock."""
        self._heard = 0
        self._wake: Final = asyncio.Event()

    @property
    def holds(self) -> bool:
        """Whether changes are being heard; from any thread, as the loop's clock is the monotonic one."""
        return monotonic() < self.until

    async def run(self) -> None:
        """Listen for ever, connecting again whenever the connection is lost."""
        while True:
            try:
                await self._listen()
            except GONE as error:
                _log.warning("listener_lost", error=type(error).__name__)
            self._lose()
            await asyncio.sleep(self._lease_s / 4)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=_PATIENCE_S, command_timeout=_PATIENCE_S)
        me = uuid4()
        try:
            connection.add_termination_listener(self._terminated)
            await connection.execute(_ENTER, me, timedelta(seconds=self._lease_s))
            await connection.add_listener(CHANNEL, self._notified)
            # Of what was announced so far nothing is known, and nothing is kept: all that is read from now on is later.
            self._heard = await connection.fetchval(_DRAWN)
            self._on_change("*")
            await self._keep(connection, me)
        finally:
            self._lose()
            connection.remove_termination_listener(self._terminated)
            try:
                with suppress(*GONE):
                    await connection.execute(_LEAVE, me)
                    await connection.close(timeout=1)
            finally:
                connection.terminate()

    async def _keep(self, connection: "asyncpg.Connection[asyncpg.Record]", me: UUID) -> None:
        """Renew the lease, and say how far we have heard, as long as the server knows us."""
        loop, lease = asyncio.get_running_loop(), timedelta(seconds=self._lease_s)
        while True:
            asked = loop.time()
            self._wake.clear()
            if await connection.fetchval(_RENEW, me, lease, self._heard) is None:
                return  # the table is unlogged: a server that crashed has forgotten us
            self.until = asked + self._lease_s
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / 4):
                    await self._wake.wait()

    def _notified(self, _connection: Any, _pid: int, _channel: str, subject: Any) -> None:  # noqa: ANN401  # asyncpg's
        if subject.startswith(_BARRIER):
            self._heard = max(self._heard, int(subject.removeprefix(_BARRIER)))
            self._wake.set()
        else:
            self._on_change(subject)

    def _terminated(self, _connection: Any) -> None:  # noqa: ANN401  # asyncpg's
        self._lose()

    def _lose(self) -> None:
        """What is kept may be stale from now on."""
        self.until = 0.0
        self._on_change("*")
