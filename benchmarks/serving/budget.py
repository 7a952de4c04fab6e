"""Where the microseconds of a request go: the layers in one process, over a connection that is none.

CPU time of the process, the kernel's share of a connection left out; the least of some runs in turn, as noise only
adds. What is logged goes to a file. `python -m serving.budget` prints it, run in `benchmarks/` with the repository on
the path.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from tempfile import TemporaryFile
from typing import Any, Final
from uuid import UUID

import uvloop
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.access.door import Door
from app.access.tally import Tally
from app.core.collector import freeze
from app.core.compression import Compression
from app.core.cors import PublicCors
from app.core.plan import Plans
from app.core.quick import quick
from app.core.requests import Requests
from app.core.settings import AccessSettings, Settings
from app.core.threads import in_thread
from app.hot.cache import Answer
from app.hot.dispatcher import Hot
from app.main import Service, create_app
from app.verdicts.endpoints import get_verdict
from serving.apps import SilentLane, stub_verdict

ROUTE: Final = "/v1/verdicts/00000000-0000-7000-8000-000000000000"
HOT: Final = "/v1/papers/2111.09543"
TAG: Final = '"0123456789abcdef0123456789abcdef"'
HEADERS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"etag", TAG.encode()),
    (b"cache-control", b"public, no-cache"),
    (b"vary", b"Accept-Encoding"),
    (b"content-length", b"1500"),
    (b"content-type", b"application/json"),
]
WIDTH: Final = 32
REQUESTS: Final = 4000
RUNS: Final = 9


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The shortest application there is."""
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"x" * 1500})


class _Nowhere(asyncio.Transport):
    """Takes what is written, and tells that an answer is out."""

    def __init__(self, answered: Callable[[], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._answered = answered

    def write(self, data: Any) -> None:  # noqa: ANN401  # bytes of any kind
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 5"):
            self._answered()

    def writelines(self, list_of_data: Any) -> None:  # noqa: ANN401  # as above
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""

    def close(self) -> None:
        """Nothing is open."""


class Asked:
    """An application, and 32 connections that ask it for an address all at once."""

    def __init__(self, app: ASGIApp, path: str, lines: str = "", protocol: Any = None) -> None:  # noqa: ANN401  # a class or a partial
        http = protocol or quick(Settings().limits)
        self._config = Config(app, http=http, log_config=None, access_log=False, ws="none", proxy_headers=False)
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"date", b"Thu, 26 Nov 2026 00:00:00 GMT"), (b"server", b"uvicorn")]
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n{lines}\r\n".encode()
        self._loop = asyncio.get_running_loop()
        self._left, self._done = 0, self._loop.create_future()
        self._askers = [self._connection() for _ in range(WIDTH)]

    def _connection(self) -> Callable[[], None]:
        made: Any = self._config.http_protocol_class
        own = made(config=self._config, server_state=self._state, app_state={})

        def ask() -> None:
            own.data_received(self._request)

        def answered() -> None:
            self._left -= 1
            if self._left > 0:
                self._loop.call_soon(ask)
            elif not self._done.done():
                self._done.set_result(None)

        own.connection_made(_Nowhere(answered))
        return ask

    async def run(self) -> float:
        """Microseconds of CPU of a request, of so many."""
        self._left, self._done = REQUESTS, self._loop.create_future()
        began = time.process_time()
        for ask in self._askers:
            self._loop.call_soon(ask)
        await self._done
        took = time.process_time() - began
        await asyncio.sleep(0.03)  # what was noted last is written
        return took / REQUESTS * 1e6


async def _least(*asked: Asked) -> list[float]:
    """Of each the least of some runs, in turn."""
    found = [[await one.run() for one in asked] for _ in range(RUNS)]
    return [min(of_one) for of_one in zip(*found, strict=True)]


async def _each(work: Callable[[], Awaitable[object]]) -> float:
    """CPU time of one of these, 32 at once."""
    found = []
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(REQUESTS // WIDTH):
            await asyncio.gather(*(work() for _ in range(WIDTH)))
        found.append((time.process_time() - began) / (REQUESTS // WIDTH * WIDTH) * 1e6)
    return min(found)


def _service() -> Service:
    stub_verdict()
    access = AccessSettings(requests_per_minute=10**8)
    nowhere = "127.0.0.1:9"
    settings = Settings(
        database_url=f"postgresql+psycopg://x@{nowhere}/x", redis_url=f"redis://{nowhere}/0", access=access
    )
    service = create_app(settings)
    serving = service.state.serving
    serving.listener.until = inf
    with serving.cache.fill("paper:2111.09543") as fill:
        answer = Answer(200, HEADERS, b"x" * 1500, "/v1/papers/{paper_id}")
        serving.cache.put((HOT, ""), answer, fill)
    return service


async def _route(service: Service) -> dict[str, float]:
    """Of a route whose SQL is left out, piece by piece."""
    state = service.state
    layers = PublicCors(Door(Hot(bare, state.serving, Compression(bare)), bare, state.gate))
    plain, noted, layered, whole, usual = await _least(
        Asked(bare, ROUTE),
        Asked(Requests(bare, state.journal, state.ids), ROUTE),
        Asked(Requests(layers, state.journal, state.ids), ROUTE),
        Asked(service.lane, ROUTE),
        Asked(service.lane, ROUTE, "Content-Length: 0\r\n"),
    )
    pieces = {
        "server, scope, task": plain,
        "id, log, metrics": noted - plain,
        "CORS, door and limit, hot addresses": layered - noted,
        **await _endpoint(service),
    }
    return pieces | {"the rest": whole - sum(pieces.values()), "whole": whole, "by FastAPI's way": usual}


async def _endpoint(service: Service) -> dict[str, float]:
    """From the plan on, each piece alone."""
    state = service.state
    plans = Plans(service.router.routes)
    scope = {"type": "http", "method": "GET", "path": ROUTE, "headers": [], "query_string": b"", "app": service}

    async def plan() -> None:
        found = plans.find(ROUTE)
        assert found is not None  # noqa: S101  # it is one of ours
        scope["path_params"] = found[1]
        await found[0].values(Request(scope))

    async def begun() -> None:
        state.database.begin()

    async def ended() -> None:
        unit = state.database.begin()
        get_verdict(Request(scope), unit.session, UUID(int=0))
        unit.finish()

    return {
        "plan: address, parameters, unit of work": await _each(plan),
        "to a thread and back": await _each(partial(in_thread, int)),
        "endpoint: JSON, tag, headers": await _each(ended) - await _each(begun),
    }


async def _hot(service: Service) -> dict[str, float]:
    """Of an answer from memory, and what ids, log, metrics and limit are of that."""
    state = service.state
    silent = SilentLane(service.usual_way, state.serving, state.journal, state.ids, Tally(state.gate.requests, ()))
    found: dict[str, float] = {}
    for name, lines in (("hot 200", ""), ("hot 304", f"If-None-Match: {TAG}\r\n")):
        whole, without = await _least(Asked(service.lane, HOT, lines), Asked(silent, HOT, lines))
        found |= {name: whole, f"{name}, without id, log, metrics, limit": without}
    return found


def measure() -> dict[str, float]:
    """Microseconds by name."""

    async def run() -> dict[str, float]:
        (stock,) = await _least(Asked(bare, ROUTE, protocol=HttpToolsProtocol))
        service = _service()
        freeze()
        return {"bare, stock uvicorn": stock, **await _route(service), **await _hot(service)}

    return {name: round(value, 2) for name, value in uvloop.run(run()).items()}


if __name__ == "__main__":
    with TemporaryFile() as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    for name, value in measure().items():
        print(f"{name:44}{value:8.1f}", file=sys.stdout)
