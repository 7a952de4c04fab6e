"""A real `verdicts api` process on a port of its own."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.factories.forks import Forked, Forks
from tests.factories.ports import free_port

_READY_S = 400.0


@dataclass(frozen=True)
class Served:
    """Where it runs, and where its log goes."""

    port: int
    log: Path
    process: Forked

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(forks: Forks, database_url: str, redis_url: str, folder: Path, **settings: str) -> Iterator[Served]:
    """The service, ready; `settings` are environment variables. It is ended with the block."""
    with serving_at(None, forks, database_url, redis_url, folder, **settings) as served:
        yield served


@contextmanager
def serving_at(
    port: int | None, forks: Forks, database_url: str, redis_url: str, folder: Path, **settings: str
) -> Iterator[Served]:
    """The same on the port of a service that was there before."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VERDICTS_", "OTEL_"))}
    kept |= {"VERDICTS_DATABASE_URL": database_url, "VERDICTS_REDIS_URL": redis_url, **settings}
    for attempt in range(5):  # somebody else may look for a port at the same moment
        served = _start(forks, kept, folder / f"api-{port}-{attempt}.log", port or free_port())
        try:
            if _is_ready(served):
                yield served
                return
        finally:
            served.process.terminate()
            served.process.wait(timeout=120)
    raise AssertionError(served.log.read_text())


def _start(forks: Forks, environment: dict[str, str], log: Path, port: int) -> Served:
    return Served(port, log, forks.start(["api", "--port", str(port)], environment, log))


def _is_ready(served: Served) -> bool:
    """Whether it answers; False where it ended, most likely because the port was taken."""
    deadline = time.monotonic() + _READY_S
    while served.process.poll() is None:
        assert time.monotonic() < deadline, served.log.read_text()
        try:
            if httpx.get(f"{served.base}/readyz", timeout=30).status_code == httpx.codes.OK:
                return True
        except httpx.HTTPError:
            time.sleep(0.05)
    return False
