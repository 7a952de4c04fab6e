"""Hears through Postgres what has changed. What is in the cache counts only while this connection answers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg
import structlog

CHANNEL: Final = "verdicts"
"""Triggers of the database notify it with the subject that changed, or `*` (migration 0002)."""
GONE: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What asyncpg raises where the database does not answer."""
_log = structlog.get_logger(__name__)


class Listener:
    """One LISTEN connection and its lease: for `lease_s` after each answer of the server, it is known to be heard.

    Notifications come before the answer to anything that was asked after them, so whoever holds the lease has heard
    whatever was committed before the question.
    """

    def __init__(self, dsn: str, lease_s: float, on_change: Callable[[str], None]) -> None:
        self._dsn, self._lease_s, self._on_change = dsn, lease_s, on_change
        self.until = 0.0
        """When the lease ends, on the event loop's clock."""

    @property
    def holds(self) -> bool:
        """Whether changes are being heard."""
        return asyncio.get_running_loop().time() < self.until

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
        connection = await asyncpg.connect(self._dsn, timeout=self._lease_s, command_timeout=self._lease_s)
        try:
            connection.add_termination_listener(self._terminated)
            await connection.add_listener(CHANNEL, self._notified)
            self._on_change("*")  # what was kept before may have changed unheard
            while not connection.is_closed():
                asked = asyncio.get_running_loop().time()
                await connection.execute("SELECT 1")
                self.until = asked + self._lease_s
                await asyncio.sleep(self._lease_s / 4)
        finally:
            self._lose()
            connection.remove_termination_listener(self._terminated)
            with suppress(*GONE):
                await connection.close(timeout=1)

    def _notified(self, _connection: Any, _pid: int, _channel: str, subject: Any) -> None:  # noqa: ANN401  # asyncpg's
        self._on_change(str(subject))

    def _terminated(self, _connection: Any) -> None:  # noqa: ANN401  # asyncpg's
        self._lose()

    def _lose(self) -> None:
        """What is kept may be stale from now on."""
        self.until = 0.0
        self._on_change("*")
