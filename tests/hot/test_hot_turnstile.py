"""Shared reads: none is older than the question, and many questions cost two."""

import asyncio

import pytest

from app.hot.turnstile import Turnstile


class Source:
    """A value that a read takes a while to bring; it is the one of the moment when the read began."""

    def __init__(self) -> None:
        self.value, self.reads, self.at_once, self.most = 0, 0, 0, 0
        self.gate = asyncio.Event()

    async def read(self) -> int:
        self.reads += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        seen = self.value
        await self.gate.wait()
        self.at_once -= 1
        if seen < 0:
            raise ValueError(seen)
        return seen


async def begin(turnstile: Turnstile, source: Source, key: str = "k") -> asyncio.Task[int]:
    task = asyncio.create_task(turnstile.fresh(key, source.read))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def test_who_comes_during_a_read_gets_the_next_one() -> None:
    async def scene() -> None:
        turnstile, source = Turnstile(), Source()
        first = await begin(turnstile, source)
        source.value = 1
        late = [await begin(turnstile, source) for _ in range(50)]
        source.gate.set()
        assert await first == 0
        assert await asyncio.gather(*late) == [1] * 50
        assert (source.reads, source.most) == (2, 1)
        assert await turnstile.fresh("k", source.read) == 1
        assert not turnstile._current
        assert not turnstile._next

    asyncio.run(scene())


def test_other_keys_do_not_wait() -> None:
    async def scene() -> None:
        turnstile, source = Turnstile(), Source()
        await begin(turnstile, source, "a")
        await begin(turnstile, source, "b")
        assert source.most == 2

    asyncio.run(scene())


def test_a_read_that_fails_fails_for_those_who_shared_it_and_for_nobody_else() -> None:
    async def scene() -> None:
        turnstile, source = Turnstile(), Source()
        source.value = -1
        first = await begin(turnstile, source)
        source.value = 5
        second = await begin(turnstile, source)
        source.gate.set()
        with pytest.raises(ValueError, match="-1"):
            await first
        assert await second == 5

    asyncio.run(scene())


def test_who_goes_away_does_not_take_the_read_along() -> None:
    async def scene() -> None:
        turnstile, source = Turnstile(), Source()
        first, second = await begin(turnstile, source), await begin(turnstile, source)
        third = await begin(turnstile, source)
        first.cancel()
        second.cancel()
        await asyncio.sleep(0)
        source.gate.set()
        assert await third == 0

    asyncio.run(scene())
