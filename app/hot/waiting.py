"""`Prefer: wait=N` (RFC 7240): the answer comes when the run has ended, or after N seconds, whichever is first."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from starlette.types import Receive

from app.hot.cache import Answer, Cache

_LOOK_AGAIN_S: Final = 1.0
"""Also without a message: the channel may be cut."""


class Waiting:
    """Those who wait, at most so many at a time; who comes then is answered at once."""

    def __init__(self, cache: Cache, most: int) -> None:
        self._cache, self._most = cache, most
        self.present = 0

    async def until_finished(
        self, subject: str, seconds: int, receive: Receive, read: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, bool]:
        """The answer, and whether it was waited for. Ends early when the client goes away."""
        answer = await read()
        if not answer.unfinished or self.present >= self._most:
            return answer, answer.status < HTTPStatus.BAD_REQUEST and not answer.unfinished
        self.present += 1
        gone = asyncio.create_task(_gone(receive))
        try:
            return await self._wait(subject, seconds, gone, read), True
        finally:
            self.present -= 1
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _wait(
        self, subject: str, seconds: int, gone: asyncio.Task[None], read: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            with self._cache.watch(subject) as changed:
                answer = await read()
                left = deadline - loop.time()
                if not answer.unfinished or left <= 0 or gone.done():
                    return answer
                both = {changed, gone}
                await asyncio.wait(both, timeout=min(left, _LOOK_AGAIN_S), return_when=asyncio.FIRST_COMPLETED)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
