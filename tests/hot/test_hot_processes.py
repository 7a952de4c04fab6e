"""A verdict that was acknowledged is in the next answer of every process, whatever becomes of the channel."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from tests.api.helpers import PAPER, claim_body, counts_body, paper_body
from tests.hot.processes import api_process, api_processes, hits, listeners, wait_for_listeners, wait_until_kept

DOCUMENT = f"/v1/papers/{PAPER}"
HISTORY = f"{DOCUMENT}/verdicts"
BADGE = f"{DOCUMENT}/badge.json"
WORDS = {"reproduced": "reproduced", "not_reproduced": "not reproduced", "inconclusive": "inconclusive"}


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {"VERDICTS_DATABASE_URL": database_url, "VERDICTS_REDIS_URL": redis_url, "VERDICTS_LOG_LEVEL": "ERROR"}


@pytest.fixture
def watch(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def register(client: httpx.Client) -> None:
    assert client.put(DOCUMENT, json=paper_body()).status_code == 201
    assert client.post(f"{DOCUMENT}/claims", json=claim_body()).status_code == 201


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


def test_every_process_shows_what_one_of_them_acknowledged(
    environment: dict[str, str], watch: psycopg.Connection
) -> None:
    with api_processes(environment, 3) as clients:
        register(clients[0])
        wait_for_listeners(watch, 3)
        for client in clients:
            wait_until_kept(client, DOCUMENT)
        before = [hits(client) for client in clients]
        for number in range(60):
            verdict = issue(clients[number % 3], correct=4400 + 5 * number)
            for turn in range(1, 4):
                assert_shown(clients[(number + turn) % 3], verdict)
                assert_shown(clients[(number + turn) % 3], verdict)
        # It was memory that answered: of the six questions a round that went to a process, the later three at least.
        assert all(hits(client) - start >= 60 * 3 for client, start in zip(clients, before, strict=True))


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
    environment: dict[str, str], watch: psycopg.Connection, dsn: str
) -> None:
    environment["VERDICTS_SERVING__LEASE_S"] = "0.4"
    with api_processes(environment, 2) as clients:
        register(clients[0])
        wait_for_listeners(watch, 2)
        number = 0
        with cutting(dsn) as cut:
            while number < 25 or len(cut) < 8:
                verdict = issue(clients[number % 2], correct=4400 + 5 * number)
                for client in reversed(clients):
                    assert_shown(client, verdict)
                number += 1
        for client in clients:
            wait_until_kept(client, DOCUMENT)  # the channel is back, and with it the memory


def test_a_channel_that_stalls_costs_a_change_a_lease_and_a_reader_nothing(
    environment: dict[str, str], watch: psycopg.Connection
) -> None:
    with api_processes(environment, 2) as (writer, reader):
        register(writer)
        wait_for_listeners(watch, 2)
        for client in (writer, reader):
            wait_until_kept(client, DOCUMENT)
        stalled = wait_for_listeners(watch, 2)
        for pid in stalled:  # both server processes live, and neither says anything any more
            os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(3):
                verdict = issue(writer, correct=4500 + number)
                assert_shown(reader, verdict)
                assert_shown(writer, verdict)
        finally:
            for pid in stalled:
                os.kill(pid, signal.SIGCONT)


def test_a_process_that_hangs_holds_a_change_up_no_longer_than_its_lease(
    environment: dict[str, str], watch: psycopg.Connection
) -> None:
    with api_processes(environment, 1) as (writer,), api_process(environment) as (reader, process):
        register(writer)
        wait_for_listeners(watch, 2)
        wait_until_kept(reader, DOCUMENT)
        process.send_signal(signal.SIGSTOP)
        verdict = issue(writer, correct=4500)  # returns at all
        process.send_signal(signal.SIGCONT)
        assert_shown(reader, verdict)


def test_without_a_channel_everything_is_read_through(environment: dict[str, str]) -> None:
    environment["VERDICTS_SERVING__LISTEN_URL"] = "postgresql://nobody@127.0.0.1:9/nowhere"
    with api_processes(environment, 1) as (client,):
        register(client)
        for number in range(3):
            verdict = issue(client, correct=4500 + number)
            assert_shown(client, verdict)
            time.sleep(0.2)
        assert hits(client) == 0
