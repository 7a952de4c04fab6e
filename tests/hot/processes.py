"""Real API processes on the test's database, and what is done to the connections by which they hear of changes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from tests.factories.databases import opened
from tests.factories.forks import Forked, Forks
from tests.factories.keys import make_key, sign_changes
from tests.factories.ports import free_port

LISTENERS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'UPDATE serving_processes%'
"""
PATIENCE_S = 300.0
NOWHERE = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """One `verdicts api`, and a client of it with a connection that stays open."""

    client: httpx.Client
    process: Forked


@contextmanager
def api_process(forks: Forks, settings: dict[str, str], log: Path = NOWHERE) -> Iterator[ApiProcess]:
    """One process, up and answering."""
    with api_processes(forks, settings, 1, log) as (only,):
        yield only


@contextmanager
def api_processes(
    forks: Forks, settings: dict[str, str], number: int, log: Path = NOWHERE
) -> Iterator[list[ApiProcess]]:
    """So many, started at the same time."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
    with opened(settings["VERDICTS_DATABASE_URL"], pool_size=1) as database:
        hooks = {"request": [sign_changes(make_key(database).key)]}
    with ExitStack() as stack:
        started = []
        for _ in range(number):
            port = free_port()
            process = forks.start(["api", "--port", str(port)], inherited | settings, log)
            stack.callback(_end, process)
            base = f"http://127.0.0.1:{port}"
            client = stack.enter_context(httpx.Client(base_url=base, timeout=60, event_hooks=hooks))
            started.append(ApiProcess(client, process))
        for one in started:
            _wait_until_up(one)
        yield started


def _end(process: Forked) -> None:
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


def stop_when_idle(connection: psycopg.Connection, pid: int) -> None:
    """SIGSTOP a server process while it does nothing: within a statement it may hold what the whole server needs."""
    deadline = time.monotonic() + PATIENCE_S
    connection.execute("SET statement_timeout = '2s'")
    while True:
        os.kill(pid, signal.SIGSTOP)
        with suppress(psycopg.errors.QueryCanceled):
            state = connection.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
            if state == ("idle",):
                break
        os.kill(pid, signal.SIGCONT)
        assert time.monotonic() < deadline, f"{pid} is never idle"
        time.sleep(0.01)
    connection.execute("RESET statement_timeout")


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
