"""What the hot path needs while the service runs: cache, listener, reader."""

import asyncio
from contextlib import suppress
from typing import Final
from uuid import UUID

from anyio import to_thread
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.core.db import Database
from app.core.settings import Settings
from app.core.settle import settle
from app.hot.cache import Answer, Cache, Key
from app.hot.listener import Listener
from app.hot.loader import Loader
from app.hot.reader import Reader
from app.hot.turnstile import Turnstile
from app.hot.waiting import Waiting


class Serving:
    """One for each process; open while the service runs."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        serving, direct = settings.serving, settings.serving.listen_url or settings.database_url or ""
        self.cache: Final = Cache(serving.cache_bytes)
        self.turnstile: Final = Turnstile()
        self.reader: Final = Reader(_dsn(settings.database_url or ""), serving.raw_pool)
        self.loader: Final = Loader(self.reader.documents)
        self.listener: Final = Listener(_dsn(direct), serving.lease_s, self.cache.forget)
        self.waiting: Final = Waiting(self.cache, serving.most_waiting)
        self.hits = 0
        self.misses = 0
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to listen. Until the listener holds its lease, every read goes through."""
        await self.reader.open()
        self._listening = asyncio.create_task(self.listener.run(), name="listener")

    async def close(self) -> None:
        """End the connections."""
        # More than once: libraries under us may take a cancellation for a time-out of theirs.
        while self._listening is not None and not self._listening.done():
            self._listening.cancel()
            await asyncio.wait([self._listening], timeout=1)
        await self.reader.close()

    def kept(self, key: Key) -> Answer | None:
        """The answer that may be sent again, if there is one and changes are being heard."""
        return self.cache.get(key) if self.listener.holds else None

    async def settled(self) -> None:
        """Return once every process knows of all that is committed, or the database does not answer."""
        with suppress(SQLAlchemyError):
            await to_thread.run_sync(settle, self._database.engine)

    async def version(self, run_id: UUID) -> str | None:
        """The present version of a run, read once for all who ask at the same time; None where it cannot be read."""
        return await self.turnstile.fresh(run_id, lambda: self.reader.run_version(run_id))


def _dsn(url: str) -> str:
    """The URL as asyncpg takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
