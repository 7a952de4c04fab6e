"""What leaves before a request is made of it is, byte for byte, what the service would have sent: over real sockets."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.embedded import ServerUrls
from tests.api.helpers import PAPER, claim_body, counts_body, paper_body
from tests.factories.databases import copied
from tests.factories.forks import Forks
from tests.hot.processes import ApiProcess, api_process, hits, wait_for_listeners, wait_until_kept

DOCUMENT = f"/v1/papers/{PAPER}"
HOT = (DOCUMENT, f"{DOCUMENT}/verdicts", f"{DOCUMENT}/badge.json")
VARIES = re.compile(rb"(?m)^(date|x-request-id|ratelimit|ratelimit-policy): [^\r]*\r\n")
"""The limits are of who asks, and memory answers all alike: it leaves them out (docs/decisions/0032)."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wire") / "log"


@pytest.fixture(scope="module")
def service(
    forks: Forks, servers: ServerUrls, maintenance: psycopg.Connection, template_database: str, log: Path
) -> Iterator[ApiProcess]:
    with copied(servers, maintenance, template_database) as url:
        environment = {"VERDICTS_DATABASE_URL": url, "VERDICTS_REDIS_URL": servers.redis_url}
        with (
            api_process(forks, environment, log) as started,
            psycopg.connect(url.replace("+psycopg", "")) as watch,
        ):
            client = started.client
            assert client.put(DOCUMENT, json=paper_body()).status_code == 201
            assert client.post(f"{DOCUMENT}/claims", json=claim_body()).status_code == 201
            assert client.post(f"{DOCUMENT}/verdicts", json=counts_body()).status_code == 201
            wait_for_listeners(watch, 1)
            yield started


def ask(service: ApiProcess, *requests: bytes) -> bytes:
    """All that comes back on one connection, to requests that are sent at once; the last one closes it."""
    with socket.create_connection((service.client.base_url.host, service.client.base_url.port or 80), 60) as client:
        client.sendall(b"".join(requests))
        received = b""
        while piece := client.recv(65536):
            received += piece
        return received


def get(path: str, *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    head = [f"{method} {path} HTTP/{version}", "Host: localhost", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


CLOSING = get("/healthz", "Connection: close")


Sent = tuple[bytes, list[bytes], bytes]
"""Status line, header lines in the alphabet's order, body."""


def answers(service: ApiProcess, path: str, *lines: str) -> tuple[Sent, Sent]:
    """What comes at once and what the application answers to the same question, without what differs each time."""
    end = VARIES.sub(b"", ask(service, CLOSING))
    found = []
    for asked in (path, f"{path}?not=hot"):
        all_of_it = VARIES.sub(b"", ask(service, get(asked, *lines), CLOSING))
        assert all_of_it.endswith(end)
        head, _, body = all_of_it.removesuffix(end).partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        found.append((status, sorted(headers), body))
    return found[0], found[1]


@pytest.mark.parametrize("path", HOT)
def test_the_same_bytes(service: ApiProcess, path: str) -> None:
    wait_until_kept(service.client, path)
    tag = service.client.get(path, headers={"Accept-Encoding": "identity"}).headers["etag"]
    questions: list[list[str]] = [[], ["Accept-Encoding: identity"], [f"If-None-Match: {tag}"]]
    before = hits(service.client)
    for lines in questions:
        at_once, application = answers(service, path, *lines)
        assert at_once == application
        assert at_once[0] == (b"HTTP/1.1 304 Not Modified" if "If-None-Match" in str(lines) else b"HTTP/1.1 200 OK")
    assert hits(service.client) - before == len(questions)


def test_what_names_no_host_is_refused_although_its_answer_is_in_memory(service: ApiProcess) -> None:
    wait_until_kept(service.client, DOCUMENT)
    bare = f"GET {DOCUMENT} HTTP/1.1\r\nX: y\r\n\r\n".encode()
    assert ask(service, bare).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert ask(service, bare.replace(b"/1.1", b"/1.0")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_the_same_compressed_bytes(service: ApiProcess, coding: str) -> None:
    for _ in range(2):  # the first one fills the memory
        at_once, application = answers(service, DOCUMENT, f"Accept-Encoding: {coding}")
    assert at_once == application


def test_many_on_one_connection_come_in_their_order(service: ApiProcess) -> None:
    wait_until_kept(service.client, DOCUMENT)
    hot, cold = get(DOCUMENT, "X: y"), get("/v1/papers?limit=1")
    received = ask(service, hot, cold, hot, hot, cold, hot, CLOSING)
    bodies = re.findall(rb'\r\n\r\n(\{"(?:paper|items|status))', received)
    assert [body[2:] for body in bodies] == [b"paper", b"items", b"paper", b"paper", b"items", b"paper", b"status"]
    ids = re.findall(rb"(?m)^x-request-id: (\S+)\r$", received)
    assert len(set(ids)) == 7


def test_what_asks_for_more_goes_to_the_application(service: ApiProcess) -> None:
    wait_until_kept(service.client, DOCUMENT)
    closed = ask(service, get(DOCUMENT, "Connection: close"))
    assert b"\r\nconnection: close\r\n" in closed
    old = ask(service, get(DOCUMENT, version="1.0"))
    assert b"\r\nconnection: close\r\n" in old
    assert old.endswith(closed[-100:])
    head = ask(service, get(DOCUMENT, "Connection: close", method="HEAD"))
    assert head.endswith(b"\r\n\r\n")
    given = ask(service, get(DOCUMENT, "X-Request-Id: theirs"), CLOSING)
    assert b"\r\nx-request-id: theirs\r\n" in given
    page = ask(service, get(DOCUMENT, "Origin: https://example.org"), CLOSING)
    assert page.count(b"access-control-allow-origin: *") == 1
    other = ask(service, get(DOCUMENT, 'If-Match: "another"'), CLOSING)
    assert other.startswith(b"HTTP/1.1 412")
    body = ask(service, get(DOCUMENT, "Content-Length: 2", "Content-Type: application/json") + b"{}", CLOSING)
    assert body.startswith(b"HTTP/1.1 200")
    refused = ask(service, get(DOCUMENT, "Authorization: Bearer nonsense"), CLOSING)
    assert refused.startswith(b"HTTP/1.1 401")


def test_a_request_that_comes_in_pieces(service: ApiProcess) -> None:
    wait_until_kept(service.client, DOCUMENT)
    with socket.create_connection((service.client.base_url.host, service.client.base_url.port or 80), 60) as client:
        for _ in range(2):
            for piece in re.findall(rb"(?s).{1,7}", get(DOCUMENT)):
                client.sendall(piece)
            received = b""
            while not received.endswith(b"}"):
                received += client.recv(65536)
            assert received.startswith(b"HTTP/1.1 200")


def test_each_has_its_id_its_line_and_its_count(service: ApiProcess, log: Path) -> None:
    def counted() -> float:
        text = service.client.get("/metrics").text
        found = re.search(r'requests_total\{method="GET",route="/v1/papers/\{paper_id\}",status="200"\} (\S+)', text)
        return float(found[1]) if found else 0.0

    wait_until_kept(service.client, DOCUMENT)
    before = counted()
    received = ask(service, *[get(DOCUMENT)] * 300, CLOSING)
    ids = re.findall(rb"(?m)^x-request-id: (\S+)\r$", received)[:300]
    assert counted() == before + 300
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"event":"request"' in line]
    mine = {line["request_id"]: line for line in lines}
    for one in ids:
        line = mine[one.decode()]
        assert (line["path"], line["route"], line["status"]) == (DOCUMENT, "/v1/papers/{paper_id}", 200)
        assert line["bytes"] > 100
        assert line["client"] == "127.0.0.1"
    assert len(set(ids)) == 300
