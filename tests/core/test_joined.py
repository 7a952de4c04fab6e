"""How an answer's bytes come: head and body in one piece, and a head whose body takes its time without waiting."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.core.quick import quick
from app.core.settings import LimitSettings
from tests.events.running import PATIENCE_S, wait_until

BODY = b"b" * 3000


class Slow:
    """An application whose bodies come when they are told to, by the path that is asked for."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = [(b"content-length", b"%d" % len(BODY))]
        if scope["path"] == "/takes-a-body":
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": length})
        if scope["path"] == "/breaks-off":
            raise ConnectionError
        if scope["path"] == "/takes-its-time":
            await asyncio.to_thread(self.go_on.wait, PATIENCE_S)
        await send({"type": "http.response.body", "body": BODY[:1000], "more_body": True})
        await send({"type": "http.response.body", "body": BODY[1000:]})


@contextmanager
def connected(application: Slow) -> Iterator[socket.socket]:
    config = uvicorn.Config(
        application, port=0, log_config=None, lifespan="off", ws="none", http=quick(LimitSettings()), loop="uvloop"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        address = server.servers[0].sockets[0].getsockname()
        with socket.create_connection(address, timeout=PATIENCE_S) as connection:
            yield connection
    finally:
        application.go_on.set()
        server.should_exit = True
        thread.join(PATIENCE_S)


@pytest.fixture
def application() -> Slow:
    return Slow()


@pytest.fixture
def connection(application: Slow) -> Iterator[socket.socket]:
    with connected(application) as connection:
        yield connection


def asked(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: here", *headers, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    """One whole answer."""
    came = b""
    while not came.endswith(BODY):
        piece = connection.recv(65_536)
        assert piece, came
        came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == BODY
    return came


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells how many segments came")
def test_head_and_body_come_together(connection: socket.socket) -> None:
    before = segments(connection)
    for _ in range(20):
        connection.sendall(asked("/"))
        answer(connection)
    assert segments(connection) - before <= 2 * 20  # the body comes in two pieces


def segments(connection: socket.socket) -> int:
    """How many segments with data have come: `tcpi_data_segs_in`."""
    (number,) = struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 152)
    return int(number)


def test_a_head_does_not_wait_for_its_body(application: Slow, connection: socket.socket) -> None:
    connection.sendall(asked("/takes-its-time"))
    assert connection.recv(65_536).endswith(b"\r\n\r\n")
    application.go_on.set()
    came = b""
    while len(came) < len(BODY):
        came += connection.recv(65_536)
    assert came == BODY


def test_an_answer_that_breaks_off_has_its_head_and_an_end(connection: socket.socket) -> None:
    connection.sendall(asked("/breaks-off"))
    came = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b"\r\n\r\n")


class Written(asyncio.Transport):
    """What a protocol has sent."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.bytes += bytes(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""


def test_an_answer_without_a_body_has_gone_out_when_it_is_complete() -> None:
    """The next request of the connection may be answered from memory, past whatever waits for the loop's next turn."""
    sent: list[bytes] = []

    async def ask() -> None:
        transport, answered = Written(), asyncio.Event()

        async def head(scope: Scope, receive: Receive, send: Send) -> None:
            await Slow()(scope, receive, send)
            sent.append(transport.bytes)
            answered.set()

        config = uvicorn.Config(head, lifespan="off", ws="none", log_config=None)
        config.load()
        protocol = quick(LimitSettings())(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(transport)
        protocol.data_received(asked("/").replace(b"GET", b"HEAD"))
        await answered.wait()
        protocol.connection_lost(None)

    asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))
    assert sent[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent[0].endswith(b"\r\n\r\n")


def test_the_leave_to_go_on_comes_before_the_body(connection: socket.socket) -> None:
    connection.sendall(asked("/takes-a-body", "Expect: 100-continue", "Content-Length: 2"))
    assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"{}")
    answer(connection)


def test_requests_in_line_are_answered_one_after_the_other(connection: socket.socket) -> None:
    connection.sendall(asked("/") * 3 + asked("/", "Connection: close"))
    came = b"".join(iter(lambda: connection.recv(65_536), b""))
    answers = came.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(answers) == 4
    assert all(one.partition(b"\r\n\r\n")[2] == BODY for one in answers)
