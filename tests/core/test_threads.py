"""Work in a thread: its result, its error, its context, and that nobody goes on before it is done."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from app.core.threads import in_thread

NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


def test_what_it_returns_or_raises_comes_back() -> None:
    async def scene() -> None:
        assert await in_thread(threading.get_ident) != threading.get_ident()
        for error in (KeyError("x"), SystemExit(3)):

            def fail(error: BaseException = error) -> None:
                raise error

            with pytest.raises(type(error)) as caught:
                await in_thread(fail)
            assert caught.value is error

    asyncio.run(scene())


def test_it_sees_its_callers_context() -> None:
    async def ask(name: str) -> str:
        NAME.set(name)
        return await in_thread(NAME.get)

    async def scene() -> list[str]:
        return await asyncio.gather(*(ask(str(n)) for n in range(100)))

    assert asyncio.run(scene()) == [str(n) for n in range(100)]
    assert NAME.get() == "nobody"


def test_many_are_done_at_the_same_time() -> None:
    together = threading.Barrier(10, timeout=60)

    async def scene() -> None:
        await asyncio.gather(*(in_thread(together.wait) for _ in range(10)))

    asyncio.run(scene())


def test_work_that_waits_holds_nobody_up() -> None:
    go_on = threading.Event()

    async def scene() -> None:
        waiting = []
        for _ in range(12):
            begun = threading.Event()

            def work(begun: threading.Event = begun) -> None:
                begun.set()
                assert go_on.wait(60)

            waiting.append(asyncio.create_task(in_thread(work)))
            while not begun.is_set():  # noqa: ASYNC110  # the thread knows no loop
                await asyncio.sleep(0.001)
        go_on.set()
        await asyncio.gather(*waiting)

    asyncio.run(scene())


def test_who_is_cancelled_goes_once_the_work_is_done() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(60)
        done.set()

    async def scene() -> None:
        task = asyncio.create_task(in_thread(work))
        while not begun.is_set():  # noqa: ASYNC110  # the thread knows no loop
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done.is_set()

    asyncio.run(scene())
