"""Clients that take their time, that stop half-way, or that are many: over real sockets, against a real process."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest

from app.embedded import ServerUrls
from tests.api.helpers import PAPER
from tests.embedded.up_harness import wait_until
from tests.factories.databases import copied
from tests.factories.forks import Forks
from tests.factories.served import Served, serving

PATIENCE_S: Final = 120
"""How long these tests wait for what has to come; the service's own clocks are set to a second."""
HEAD: Final = b"POST /v1/papers:batchGet HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
"""It takes no key: who has none where one is asked for is refused before any body is read."""


IMPATIENT: Final = {"HEAD_S": "0.5", "BODY_S": "0.5", "BODY_BYTES_PER_S": "100", "WRITE_S": "0.5"}
CROWDED: Final = {"HEAD_S": "120", "BODY_S": "1", "BODY_BYTES_PER_S": "100", "CONNECTIONS": "40"}


@pytest.fixture(scope="module")
def url(servers: ServerUrls, maintenance: psycopg.Connection, template_database: str) -> Iterator[str]:
    with copied(servers, maintenance, template_database) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(
    forks: Forks, servers: ServerUrls, url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """On a busy machine it gives up those who are not slow, too: for tests that want it to give up."""
    with limited(forks, servers, url, tmp_path_factory.mktemp("impatient"), IMPATIENT) as running:
        yield running


@pytest.fixture(scope="module")
def served(forks: Forks, servers: ServerUrls, url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with limited(forks, servers, url, tmp_path_factory.mktemp("crowded"), CROWDED) as running:
        yield running


@contextmanager
def limited(forks: Forks, servers: ServerUrls, url: str, folder: Path, limits: dict[str, str]) -> Iterator[Served]:
    settings = {f"VERDICTS_LIMITS__{name}": value for name, value in limits.items()}
    with serving(forks, url, servers.redis_url, folder, **settings) as running:
        yield running


@contextmanager
def connected(served: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_S) as client:
        yield client


def answer(client: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    client.settimeout(PATIENCE_S)
    received = b""
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionResetError:  # it closed while the client was still sending
        pass
    return received


def dribble(client: socket.socket, piece: bytes = b" ") -> bytes:
    """Send a piece now and then, until the service closes the connection; what it said."""
    deadline, received = time.monotonic() + PATIENCE_S, b""
    client.settimeout(0.1)
    while time.monotonic() < deadline:
        try:
            client.sendall(piece)
            if not (got := client.recv(65536)):
                return received
            received += got
        except TimeoutError:
            continue
        except OSError:  # reset, or a broken pipe
            return received
    raise AssertionError("the service waited for ever")


def problem(received: bytes) -> tuple[int, dict[str, Any]]:
    """The status of an HTTP answer and its problem document."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    return int(lines[0].split()[1]), json.loads(body)


def given_up(served: Served, sent: bytes) -> None:
    """What is sent is not waited on for ever: 408."""

    def ask(client: socket.socket) -> bytes:
        client.sendall(sent)
        return answer(client)

    status, said = problem(an_answer(served, ask))
    assert (status, said["code"]) == (408, "request_timeout")


def an_answer(served: Served, ask: Callable[[socket.socket], bytes]) -> bytes:
    """What was said in the end. Where one side was starved, the connection may be closed before anything is read."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with connected(served) as client, suppress(OSError):
            if received := ask(client):
                return received
    raise AssertionError("never an answer")


@pytest.mark.parametrize("sent", [b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"], ids=["letter", "no last line"])
def test_a_head_that_never_ends_is_given_up(impatient: Served, sent: bytes) -> None:
    given_up(impatient, sent)


@pytest.mark.parametrize("piece", [b"a", b"\r\n"], ids=["letters", "empty lines"])
def test_a_head_that_dribbles_is_given_up(impatient: Served, piece: bytes) -> None:
    with connected(impatient) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " if piece == b"a" else piece)
        received = dribble(client, piece)
    assert b" 408 " in received or received == b""  # what came after the answer may have reset the connection


def test_a_connection_that_says_nothing_is_closed_without_a_word(impatient: Served) -> None:
    with connected(impatient) as client:
        assert answer(client) == b""


def test_the_next_head_of_a_kept_connection_has_its_clock_too(impatient: Served) -> None:
    def ask(client: socket.socket) -> bytes:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return dribble(client, b"\r\n")

    assert an_answer(impatient, ask).startswith((b"HTTP/1.1 200", b"HTTP/1.1 408"))


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\n"])
def test_a_body_that_stops_is_given_up(impatient: Served, framing: bytes) -> None:
    given_up(impatient, HEAD + framing + b"{")


def test_a_body_that_dribbles_is_given_up(impatient: Served) -> None:
    with connected(impatient) as client:
        client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n{")
        received = dribble(client)  # ten bytes a second at most; the service asks for a hundred
    assert b" 408 " in received or received == b""


def test_a_body_that_nobody_wants_is_not_waited_for(impatient: Served) -> None:
    def ask(client: socket.socket) -> bytes:
        client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        return dribble(client)

    assert an_answer(impatient, ask).startswith((b"HTTP/1.1 404", b"HTTP/1.1 408"))


def test_a_slow_body_that_keeps_coming_is_read(served: Served) -> None:
    body = json.dumps({"ids": [PAPER]}).encode().ljust(60_000)
    head = HEAD + b"Content-Length: 60000\r\nConnection: close\r\n\r\n"
    with connected(served) as client:
        client.sendall(
            head + body[:6_000]
        )  # each piece is worth a minute more; alone, the head would be worth a second
        for start in range(6_000, 60_000, 6_000):
            time.sleep(0.15)
            client.sendall(body[start : start + 6_000])
        assert answer(client).startswith(b"HTTP/1.1 200")


def test_a_head_without_bound_is_refused(served: Served) -> None:
    with connected(served) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        received = flood(client, b"a" * 8192)
    assert b" 431 " in received or received == b""


def test_an_address_without_bound_is_too_large_and_not_unreadable(served: Served) -> None:
    with connected(served) as client:
        client.sendall(b"GET /v1/papers?q=" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert problem(answer(client))[1]["code"] == "headers_too_large"


def flood(client: socket.socket, piece: bytes) -> bytes:
    """Send without end, until the service closes the connection; what it said."""
    client.settimeout(PATIENCE_S)
    for _ in range(100_000):
        try:
            client.sendall(piece)
        except OSError:
            break
    else:
        raise AssertionError("the service took it all")
    try:
        return answer(client)
    except OSError:
        return b""


def test_a_head_of_a_little_less_is_read(served: Served) -> None:
    assert httpx.get(f"{served.base}/healthz", headers={"X-A": "a" * 60_000}).status_code == 200


OVERSIZED: Final[dict[str, Callable[[], bytes]]] = {
    "stated": lambda: HEAD + b"Content-Length: 99999999999\r\n\r\n",
    "chunked": lambda: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65536 + b"\r\n",
}


@pytest.mark.parametrize("framing", OVERSIZED)
def test_an_oversized_body_is_refused_and_not_read_to_its_end(served: Served, framing: str) -> None:
    with connected(served) as client:
        client.sendall(OVERSIZED[framing]())
        for _ in range(20 if framing == "chunked" else 0):
            client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        received = answer(client)
    assert received.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in received


CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("piece", [b"X-A: b\r\n" * 2000, b"a" * 8192], ids=["many", "long"])
def test_trailers_without_bound_are_refused(served: Served, piece: bytes) -> None:
    with connected(served) as client:
        client.sendall(CHUNKED + b"2\r\n{}\r\n0\r\nX: ")
        received = flood(client, piece)
    assert b" 431 " in received or received == b""


def test_an_extension_of_a_chunk_without_bound_is_refused(served: Served) -> None:
    with connected(served) as client:
        client.sendall(CHUNKED + b"2;")
        received = flood(client, b"a" * 8192)
    assert b" 431 " in received or received == b""


def test_what_stands_in_trailers_is_no_header(served: Served) -> None:
    body = json.dumps({"ids": [PAPER]}).encode()
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    with connected(served) as client:
        head = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close")
        client.sendall(head + chunk + b"Authorization: Bearer nobody's\r\n\r\n")
        received = answer(client)
    assert received.startswith(b"HTTP/1.1 200")


def test_requests_that_wait_for_an_answer_before_theirs_are_few(served: Served) -> None:
    with connected(served) as client:
        client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        flood(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
    assert wait_until(
        lambda: "paper_verdicts_event_streams 0.0" in httpx.get(f"{served.base}/metrics").text, PATIENCE_S
    )


NO_HTTP: Final = {
    "both lengths": HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 6\r\nContent-Length: 5\r\n\r\n{}",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a header over two lines": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "a header with NUL": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: a\0b\r\n\r\n",
    "a blank before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "another coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a chunk without a length": CHUNKED + b"nonsense\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_two_readers_could_take_for_different_requests_is_refused(served: Served, name: str) -> None:
    with connected(served) as client:
        client.sendall(NO_HTTP[name])
        received = answer(client)
    status, said = problem(received)
    assert (status, said["code"]) == (400, "request_unreadable")
    assert b"\r\nCache-Control: no-store\r\n" in received
    assert b"Retry-After" not in received  # it is no better later


HALF_A_BODY: Final = HEAD + b"Content-Length: 24000\r\n\r\n" + b" " * 12_000
"""It is waited on for two minutes."""


def test_many_slow_connections_give_way_to_a_normal_request(served: Served) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(served)) for _ in range(120)]  # three times as many as it holds
        for number, client in enumerate(slow):
            with suppress(OSError):  # the first ones had to go by now
                client.sendall(HALF_A_BODY if number % 2 else b"GET / HTTP/1.1\r\nX-A: ")
        assert httpx.get(f"{served.base}/v1/papers", timeout=PATIENCE_S).status_code == 200
        answers = [answer(client) for client in slow[:70]]
    assert set(answers) == {b""}


def test_a_client_that_does_not_take_its_answers_is_cut_off(impatient: Served) -> None:
    with connected(impatient) as client:
        assert is_held(impatient, client)
        client.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(2_000):  # what is sent back is far more than all buffers on the way hold
                client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wait_until(lambda: not is_held(impatient, client), PATIENCE_S)
    assert "Traceback" not in impatient.log.read_text()


def is_held(served: Served, client: socket.socket) -> bool:
    """Whether the service has the connection; the client cannot see it while what was sent to it waits unread."""
    ends = f":{served.port:04X} ", f":{client.getsockname()[1]:04X} "
    established = "01 "
    return any(
        f"{ends[0]}0100007F{ends[1]}{established}" in line for line in Path("/proc/net/tcp").read_text().splitlines()
    )
