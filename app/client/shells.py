"""The two shells that carry out what programs ask for: one waits, the other awaits. Nothing is decided here."""

import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Final, Generic, Self, TypeVar, cast

import anyio
import httpx
from httpx_sse import EventSource, ServerSentEvent

from app.client.effects import (
    Close,
    Effect,
    Emit,
    Event,
    NextEvent,
    Open,
    Program,
    Read,
    Request,
    Response,
    Send,
    Sleep,
    Tell,
)
from app.client.programs import Items

Result = TypeVar("Result")
Item = TypeVar("Item")
_FIRST_REFUSAL: Final = 400


class _Run(Generic[Result]):
    """A program under way. `result` is there once no effect is left."""

    def __init__(self, program: Program[Result]) -> None:
        self._program = program
        self.result: Result

    def go_on(self, given: object = None) -> Effect | None:
        """The next effect, after the result of the one before; None where the program has ended."""
        try:
            return self._program.send(given)
        except StopIteration as end:
            self.result = end.value
            return None

    def fail(self, error: Exception) -> Effect | None:
        """The next effect, after one that failed."""
        try:
            return self._program.throw(error)
        except StopIteration as end:
            self.result = end.value
            return None


class SyncShell:
    """Carries programs out with an httpx.Client."""

    def __init__(self, http: httpx.Client) -> None:
        self.http: Final = http

    @classmethod
    def opened(cls, **options: Any) -> Self:  # noqa: ANN401  # httpx's own
        """With a client of its own."""
        return cls(httpx.Client(**options))

    def run(self, program: Program[Result]) -> Result:
        """The program's result."""
        run = _Run(program)
        for _ in self._emitted(run):
            raise AssertionError("a program with a result emits nothing")
        return run.result

    def iterate(self, items: Items[Item]) -> Iterator[Item]:
        """What the program emits, as it goes along."""
        return cast("Iterator[Item]", self._emitted(_Run(items.program)))

    def _emitted(self, run: _Run[Any]) -> Iterator[object]:
        with _Stream(self.http) as stream:
            effect = run.go_on()
            while effect is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    effect = run.go_on()
                    continue
                try:
                    given = _wait(effect, stream)
                except httpx.RequestError as error:
                    effect = run.fail(error)
                else:
                    effect = run.go_on(given)


def _wait(effect: Effect, stream: "_Stream") -> object:
    given: object = None
    match effect:
        case Send(request):
            given = _answer(stream.http.send(_built(stream.http, request)))
        case Open(request):
            given = stream.open(request)
        case Read():
            given = next(stream.pieces, None)
        case NextEvent():
            given = _event(next(stream.events, None))
        case Close():
            stream.close()
        case Sleep(seconds):
            time.sleep(seconds)
        case Tell(listener, said):
            listener(said)
    return given


class _Stream:
    """What is open; ended at the latest with the program."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self._response: httpx.Response | None = None
        self.pieces: Iterator[bytes] = iter(())
        self.events: Iterator[ServerSentEvent] = iter(())

    def open(self, request: Request) -> Response:
        self.close()
        self._response = self.http.send(_built(self.http, request), stream=True)
        if self._response.status_code >= _FIRST_REFUSAL:
            self._response.read()
            return _answer(self._response)
        self.pieces = self._response.iter_bytes()
        self.events = EventSource(self._response).iter_sse()
        return _head(self._response)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncShell:
    """Carries programs out with an httpx.AsyncClient, on asyncio or trio."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http: Final = http

    @classmethod
    def opened(cls, **options: Any) -> Self:  # noqa: ANN401  # httpx's own
        """With a client of its own."""
        return cls(httpx.AsyncClient(**options))

    async def run(self, program: Program[Result]) -> Result:
        """The program's result."""
        run = _Run(program)
        async for _ in self._emitted(run):
            raise AssertionError("a program with a result emits nothing")
        return run.result

    def iterate(self, items: Items[Item]) -> AsyncIterator[Item]:
        """What the program emits, as it goes along."""
        return cast("AsyncIterator[Item]", self._emitted(_Run(items.program)))

    async def _emitted(self, run: _Run[Any]) -> AsyncIterator[object]:
        async with _AsyncStream(self.http) as stream:
            effect = run.go_on()
            while effect is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    effect = run.go_on()
                    continue
                try:
                    given = await _await(effect, stream)
                except httpx.RequestError as error:
                    effect = run.fail(error)
                else:
                    effect = run.go_on(given)


async def _await(effect: Effect, stream: "_AsyncStream") -> object:
    given: object = None
    match effect:
        case Send(request):
            given = _answer(await stream.http.send(_built(stream.http, request)))
        case Open(request):
            given = await stream.open(request)
        case Read():
            given = await anext(stream.pieces, None)
        case NextEvent():
            given = _event(await anext(stream.events, None))
        case Close():
            await stream.close()
        case Sleep(seconds):
            await anyio.sleep(seconds)
        case Tell(listener, said):
            told = listener(said)
            if isinstance(told, Awaitable):
                await told
    return given


class _AsyncStream:
    """As _Stream."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self._response: httpx.Response | None = None
        self.pieces: AsyncIterator[bytes]
        self.events: AsyncIterator[ServerSentEvent]

    async def open(self, request: Request) -> Response:
        await self.close()
        self._response = await self.http.send(_built(self.http, request), stream=True)
        if self._response.status_code >= _FIRST_REFUSAL:
            await self._response.aread()
            return _answer(self._response)
        self.pieces = self._response.aiter_bytes()
        self.events = EventSource(self._response).aiter_sse()
        return _head(self._response)

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _built(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    timeout = http.timeout if request.timeout_s is None else httpx.Timeout(http.timeout.connect, read=request.timeout_s)
    return http.build_request(
        request.method,
        request.path,
        params=request.params or None,
        headers=request.headers,
        json=request.json,
        content=request.content,
        timeout=timeout,
    )


def _head(response: httpx.Response, body: bytes = b"") -> Response:
    return Response(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _answer(response: httpx.Response) -> Response:
    return _head(response, response.content)


def _event(found: ServerSentEvent | None) -> Event | None:
    return None if found is None else Event(found.id, found.event, found.data)
