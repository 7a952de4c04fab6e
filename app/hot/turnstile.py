"""One read at a time for all who ask the same, and none of them gets an answer older than the question."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

Result = TypeVar("Result")


class Turnstile:
    """Shares reads between those who ask for the same thing at the same time."""

    def __init__(self) -> None:
        self._current: Final[dict[Hashable, asyncio.Task[Any]]] = {}
        self._next: Final[dict[Hashable, asyncio.Task[Any]]] = {}

    async def fresh(self, key: Hashable, read: Callable[[], Awaitable[Result]]) -> Result:
        """What a read says that starts after this call; raises what the read raises.

        A read that is under way already may have seen the state before a change that the caller knows of. So the caller
        joins the one after it, with everybody else who came in the meantime: two reads serve any number of callers.
        """
        joined: asyncio.Task[Result] | None = self._next.get(key)
        if joined is None:
            before = self._current.get(key)
            joined = asyncio.create_task(self._take_turn(key, before, read))
            (self._current if before is None else self._next)[key] = joined
        # Who goes away must not take the read from the others.
        return await asyncio.shield(joined)

    async def _take_turn(
        self, key: Hashable, before: asyncio.Task[Any] | None, read: Callable[[], Awaitable[Result]]
    ) -> Result:
        if before is not None:
            await asyncio.wait([before])
            self._current[key] = self._next.pop(key)
        try:
            return await read()
        finally:
            if key not in self._next:
                del self._current[key]
