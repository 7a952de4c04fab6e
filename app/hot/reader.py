"""The few statements that are read without SQLAlchemy: a fifth of the cost, for what is read most."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import asyncpg

from app.hot.listener import GONE
from app.reproductions.queries import version_statement

_DOCUMENTS: Final = (
    "SELECT p.arxiv_id, d.etag, d.body FROM papers p JOIN paper_documents d ON d.paper_id = p.id "
    "WHERE p.arxiv_id = ANY ($1::text[])"
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

    async def documents(self, arxiv_ids: Iterable[str]) -> dict[str, tuple[str, bytes]] | None:
        """The ETags and the bytes of the prepared documents of the papers with these ids."""
        rows = await self._rows(_DOCUMENTS, list(arxiv_ids))
        return {row[0]: (row[1], row[2]) for row in rows} if rows is not None else None

    async def run_version(self, run_id: UUID) -> str | None:
        """What changes whenever anything that GET /v1/reproductions/{id} shows has changed."""
        rows = await self._rows(self._version, run_id)
        return str(rows[0][0]) if rows else None

    async def _rows(self, statement: str, argument: object) -> "list[asyncpg.Record] | None":
        if self._pool is None:
            return None
        try:
            return await self._pool.fetch(statement, argument)
        except GONE:
            return None


async def _nothing(_connection: object) -> None:
    return
