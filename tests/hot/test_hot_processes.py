"""A verdict that was acknowledged is in the next answer of every process, whatever becomes of the channel."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from app.embedded import ServerUrls
from app.embedded.postgres import plain_dsn
from tests.api.helpers import PAPER, claim_body, counts_body, paper_body
from tests.factories.databases import copied
from tests.factories.forks import Forks
from tests.hot.processes import (
    ApiProcess,
    api_process,
    api_processes,
    hits,
    listeners,
    stop_when_idle,
    wait_for_listeners,
    wait_until_kept,
)

DOCUMENT = f"/v1/papers/{PAPER}"
HISTORY = f"{DOCUMENT}/verdicts"
BADGE = f"{DOCUMENT}/badge.json"
WORDS = {"reproduced": "reproduced", "not_reproduced": "not reproduced", "inconclusive": "inconclusive"}


@pytest.fixture(scope="module")
def database_url(servers: ServerUrls, maintenance: psycopg.Connection, template_database: str) -> Iterator[str]:
    """One for the module: a process takes seconds to start."""
    with copied(servers, maintenance, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def watch(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain_dsn(database_url), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def processes(
    forks: Forks, servers: ServerUrls, database_url: str, watch: psycopg.Connection
) -> Iterator[list[ApiProcess]]:
    """Three, with the paper registered."""
    environment = {
        "VERDICTS_DATABASE_URL": database_url,
        "VERDICTS_REDIS_URL": servers.redis_url,
        "VERDICTS_LOG_LEVEL": "ERROR",
        "VERDICTS_SERVING__LEASE_S": "0.5",
    }
    with api_processes(forks, environment, 3) as started:
        client = started[0].client
        assert client.put(DOCUMENT, json=paper_body()).status_code == 201
        assert client.post(f"{DOCUMENT}/claims", json=claim_body()).status_code == 201
        wait_for_listeners(watch, 3)
        yield started


@pytest.fixture
def clients(processes: list[ApiProcess]) -> list[httpx.Client]:
    """Of the three processes, each of them answering from memory."""
    for process in processes:
        wait_until_kept(process.client, DOCUMENT)
    return [process.client for process in processes]


def issue(client: httpx.Client, correct: int) -> dict[str, object]:
    answer = client.post(HISTORY, json=counts_body((4998, correct, 9815)))
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def assert_shown(client: httpx.Client, verdict: dict[str, object]) -> None:
    """The three hot addresses show it, not one of them an earlier state."""
    assert client.get(DOCUMENT).json()["verdict"]["id"] == verdict["id"]
    assert client.get(HISTORY).json()["items"][0]["id"] == verdict["id"]
    assert client.get(BADGE).json()["message"] == WORDS[str(verdict["status"])]


def test_every_process_shows_what_one_of_them_acknowledged(clients: list[httpx.Client]) -> None:
    enough = [hits(client) + 150 for client in clients]
    number = 0
    # Of the six questions a round that go to a process, memory answers the later three, unless its lease has run out.
    while number < 60 or any(hits(client) < least for client, least in zip(clients, enough, strict=True)):
        verdict = issue(clients[number % 3], correct=4400 + 5 * (number % 60))
        for turn in range(1, 4):
            assert_shown(clients[(number + turn) % 3], verdict)
            assert_shown(clients[(number + turn) % 3], verdict)
        number += 1


@contextmanager
def cutting(dsn: str) -> Iterator[list[int]]:
    """Ends every listening connection again and again; what was cut."""
    cut: list[int] = []
    stop = threading.Event()

    def run() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not stop.wait(0.05):
                for pid in listeners(connection):
                    connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                    cut.append(pid)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield cut
    finally:
        stop.set()
        thread.join()


def test_nothing_is_stale_while_the_channel_is_cut_again_and_again(
    clients: list[httpx.Client], database_url: str
) -> None:
    number = 0
    with cutting(plain_dsn(database_url)) as cut:
        while number < 20 or len(cut) < 8:
            verdict = issue(clients[number % 3], correct=4500 + number)
            for client in reversed(clients):
                assert_shown(client, verdict)
            number += 1
    for client in clients:
        wait_until_kept(client, DOCUMENT)  # the channel is back, and with it the memory


def test_a_channel_that_stalls_costs_a_change_a_lease_and_a_reader_nothing(
    clients: list[httpx.Client], watch: psycopg.Connection
) -> None:
    stalled: list[int] = []
    try:
        for pid in wait_for_listeners(watch, 3):  # the server's processes live, and say nothing any more
            stalled.append(pid)
            stop_when_idle(watch, pid)
        for number in range(3):
            verdict = issue(clients[number], correct=4600 + number)
            for client in clients:
                assert_shown(client, verdict)
    finally:
        for pid in stalled:
            os.kill(pid, signal.SIGCONT)


def test_a_process_that_hangs_holds_a_change_up_no_longer_than_its_lease(
    clients: list[httpx.Client], processes: list[ApiProcess]
) -> None:
    processes[1].process.send_signal(signal.SIGSTOP)
    try:
        verdict = issue(clients[0], correct=4700)  # returns at all
    finally:
        processes[1].process.send_signal(signal.SIGCONT)
    for client in clients:
        assert_shown(client, verdict)


def test_without_a_channel_everything_is_read_through(
    forks: Forks, servers: ServerUrls, database_url: str, clients: list[httpx.Client]
) -> None:
    environment = {
        "VERDICTS_DATABASE_URL": database_url,
        "VERDICTS_REDIS_URL": servers.redis_url,
        "VERDICTS_LOG_LEVEL": "ERROR",
        "VERDICTS_SERVING__LISTEN_URL": "postgresql://nobody@127.0.0.1:9/nowhere",
    }
    with api_process(forks, environment) as deaf:
        for number in range(3):
            verdict = issue(clients[0], correct=4800 + number)
            assert_shown(deaf.client, verdict)
            assert_shown(deaf.client, verdict)
        assert hits(deaf.client) == 0
