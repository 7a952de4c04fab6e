"""The few statements that are read without SQLAlchemy: a fifth of the cost, for what is read most."""

from typing import Any, Final
from uuid import UUID

import asyncpg

from app.hot.listener import GONE
from app.reproductions.queries import version_statement

_DOCUMENT: Final = (
    "SELECT d.etag, d.body FROM paper_documents d JOIN papers p ON p.id = d.paper_id WHERE p.arxiv_id = $1"
)


class Reader:
    """A small pool of its own. Where the database does not answer, every read is None: the usual way will tell."""

    def __init__(self, dsn: str, size: int) -> None:
        self._dsn, self._size = dsn, size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._version: Final = version_statement()

    async def open(self) -> None:
        """Make the pool; connections come with the first reads."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._size,
            timeout=5,
            command_timeout=10,
            # Nothing here leaves anything behind in a session, and the reset would cost as much as the read.
            reset=_nothing,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.terminate()

    async def document(self, arxiv_id: str) -> tuple[str, bytes] | None:
        """The ETag and the bytes of the prepared document of the paper with this id."""
        row = await self._row(_DOCUMENT, arxiv_id)
        return (row["etag"], row["body"]) if row is not None else None

    async def run_version(self, run_id: UUID) -> str | None:
        """What changes whenever anything that GET /v1/reproductions/{id} shows has changed."""
        row = await self._row(self._version, run_id)
        return str(row[0]) if row is not None else None

    async def _row(self, statement: str, argument: object) -> Any:  # noqa: ANN401  # asyncpg's
        if self._pool is None:
            return None
        try:
            return await self._pool.fetchrow(statement, argument)
        except GONE:
            return None


async def _nothing(_connection: object) -> None:
    return
