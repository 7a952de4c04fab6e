"""Prepared documents, read together: all that are asked for while one read is under way come with the next."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

from app.core.threads import Outcome

Document: TypeAlias = tuple[str, bytes]
"""ETag and bytes."""


class Loader:
    """One read at a time, of whatever was asked for since the last one began: none of it is older than its question."""

    def __init__(self, read: Callable[[Iterable[str]], Awaitable[dict[str, Document] | None]]) -> None:
        self._read: Final = read
        self._asked: dict[str, Outcome] = {}
        self._reading: asyncio.Task[None] | None = None

    def document(self, arxiv_id: str) -> asyncio.Future[Document | None]:
        """The document, once it is read; None where there is no such paper or the database does not answer.

        Several may await it: who gives up hears of that once it is read.
        """
        found = self._asked.get(arxiv_id)
        if found is None:
            found = self._asked[arxiv_id] = Outcome(loop=asyncio.get_running_loop())
            if self._reading is None:
                self._reading = asyncio.create_task(self._run())
        return found

    async def _run(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                try:
                    documents = await self._read(asked) or {}
                except BaseException:
                    for future in asked.values():
                        asyncio.Future.cancel(future)
                    raise
                for arxiv_id, future in asked.items():
                    if not future.done():
                        future.set_result(documents.get(arxiv_id))
        finally:
            self._reading = None
