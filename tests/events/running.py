"""The service in a thread behind a real uvicorn, and clients of its streams over real sockets."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx
import uvicorn
from httpx_sse import EventSource
from httpx_sse import ServerSentEvent as Message

from app.core.patience import patient
from app.core.settings import Settings
from app.main import create_app

PATIENCE_S: Final = 90.0


class Stream:
    """An open stream: its messages as they come, read by the library that the client reads them by."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.raw = b""
        self.retry_ms: int | None = None
        self.last_event_id = ""
        self._messages = self._read()

    def _read(self) -> Iterator[Message]:
        for message in EventSource(self.response).iter_sse():
            self.retry_ms = message.retry or self.retry_ms
            self.last_event_id = message.id
            if message.data:  # a browser dispatches nothing for the others
                yield message

    def next(self, event: str | None = None) -> Message:
        """The next message, or the next of this name."""
        return next(message for message in self._messages if event is None or message.event == event)

    def lasting(self) -> Message:
        """The next message that is no progress: that comes as it may."""
        return next(message for message in self._messages if message.event != "reproduction.progress")

    def rest(self) -> list[Message]:
        """Everything until the service ends the stream."""
        return list(self._messages)

    def hear(self, what: Callable[[bytes], bool]) -> None:
        """Read on until what has come is like that."""
        pieces = self.response.iter_raw()
        while not what(self.raw):
            self.raw += next(pieces)


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    base: str
    state: Any
    server: uvicorn.Server

    @contextmanager
    def open(self, path: str = "/v1/events", **headers: str) -> Iterator[Stream]:
        """A stream that is open. Names of headers are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.stream("GET", self.base + path, headers=named, timeout=PATIENCE_S) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Stream(response)

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  # httpx's own
        """An answer that is no stream."""
        return httpx.get(self.base + path, timeout=PATIENCE_S, **options)

    def wait_for_streams(self, number: int) -> None:
        """Return once so many are open."""
        wait_until(lambda: self.state.streams.taken == number)


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """The service behind uvicorn, as `verdicts api` sets it up."""
    app = create_app(settings)
    config = uvicorn.Config(
        app.lane,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        http=patient(settings.limits),
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=30,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", app.state, server)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def wait_until(true: Callable[[], bool]) -> None:
    """Return once it is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def data_of(message: Message) -> Any:  # noqa: ANN401  # any JSON
    """The data, parsed; it has to be one line."""
    assert "\n" not in message.data
    return json.loads(message.data)


@contextmanager
def in_background(*jobs: Callable[[], object]) -> Iterator[None]:
    """The jobs run in threads while the block does; they have to come to their ends."""
    failed: list[BaseException] = []

    def guarded(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=[job], daemon=True) for job in jobs]
    with suppress(RuntimeError):
        for thread in threads:
            thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not failed
    assert not any(thread.is_alive() for thread in threads)
