"""Real API processes on the test's database, and what is done to the connections by which they hear of changes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

import httpx
import psycopg

from tests.factories.databases import opened
from tests.factories.keys import make_key, sign_changes

LISTENERS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'UPDATE serving_processes%'
"""
PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """One `verdicts api`, and a client of it with a connection that stays open."""

    client: httpx.Client
    process: subprocess.Popen[bytes]


@contextmanager
def api_process(settings: dict[str, str], log: IO[bytes] | int = subprocess.DEVNULL) -> Iterator[ApiProcess]:
    """One process, up and answering."""
    with api_processes(settings, 1, log) as (only,):
        yield only


@contextmanager
def api_processes(
    settings: dict[str, str], number: int, log: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator[list[ApiProcess]]:
    """So many, started at the same time."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
    with opened(settings["VERDICTS_DATABASE_URL"], pool_size=1) as database:
        hooks = {"request": [sign_changes(make_key(database).key)]}
    with ExitStack() as stack:
        started = []
        for _ in range(number):
            port = _free_port()
            argv = [sys.executable, "-m", "app.cli", "api", "--port", str(port)]
            process = subprocess.Popen(argv, env=inherited | settings, stderr=log)
            stack.callback(_end, process)
            base = f"http://127.0.0.1:{port}"
            client = stack.enter_context(httpx.Client(base_url=base, timeout=60, event_hooks=hooks))
            started.append(ApiProcess(client, process))
        for one in started:
            _wait_until_up(one)
        yield started


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(timeout=PATIENCE_S)


def _wait_until_up(one: ApiProcess) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            one.client.get("/healthz").raise_for_status()
        except httpx.TransportError:
            assert one.process.poll() is None, "the process ended"
            assert time.monotonic() < deadline, "the process does not answer"
            time.sleep(0.1)
        else:
            return


def listeners(connection: psycopg.Connection) -> list[int]:
    """The server processes behind the connections that listen."""
    return [pid for (pid,) in connection.execute(LISTENERS)]


def wait_for_listeners(connection: psycopg.Connection, number: int) -> list[int]:
    """Return once so many listen."""
    deadline = time.monotonic() + PATIENCE_S
    while len(found := listeners(connection)) < number:
        assert time.monotonic() < deadline, f"{len(found)} of {number} listen"
        time.sleep(0.02)
    return found


def wait_until_kept(client: httpx.Client, path: str) -> None:
    """Return once the process answers this from memory."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        before = hits(client)
        client.get(path).raise_for_status()
        if hits(client) > before:
            return
        assert time.monotonic() < deadline, f"{path} is never answered from memory"
        time.sleep(0.02)


def hits(client: httpx.Client) -> float:
    """How many answers of the process came from memory."""
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("paper_verdicts_hot_hits_total "))
