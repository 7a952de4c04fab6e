"""Work is handed to threads: what takes long holds up nobody, and what is at work is seen to its end."""

import asyncio
import threading
from functools import partial

import pytest

from app.core.threads import in_thread

PATIENCE_S = 60


def test_something_long_holds_up_nobody_else() -> None:
    async def main() -> None:
        release = threading.Event()
        long = asyncio.create_task(in_thread(lambda: release.wait(PATIENCE_S)))
        try:
            await asyncio.sleep(0)
            for number in range(3):
                assert await asyncio.wait_for(in_thread(partial(abs, number)), PATIENCE_S / 2) == number
        finally:
            release.set()
        assert await long

    asyncio.run(main())


def test_what_is_raised_is_raised_to_the_caller() -> None:
    async def main() -> None:
        def fail() -> None:
            raise KeyError("it")

        with pytest.raises(KeyError, match="it"):
            await in_thread(fail)

    asyncio.run(main())


def test_who_is_cancelled_hears_of_it_once_the_thread_is_done() -> None:
    async def main() -> None:
        begun, release, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            release.wait(PATIENCE_S)
            ended.set()

        task = asyncio.create_task(in_thread(work))
        await in_thread(lambda: begun.wait(PATIENCE_S))
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())
