"""A real HTTP server that answers as it is told: for what a service in good health never does."""

import json
import socket
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Answer:
    """What one request is answered with. `cut`: only so many bytes of the body come. `pieces` are a stream."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    pieces: Iterable[bytes] | None = None
    dropped: bool = False


DROPPED: Final = Answer(dropped=True)
"""The connection ends without an answer."""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Script:
    """The answers to each path, one after another; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._lock = threading.Lock()

    def on(self, path: str, *answers: Answer) -> None:
        """Answer this path so."""
        with self._lock:
            self._answers[path] = list(answers)

    def next(self, asked: Asked) -> Answer:
        """The answer to this request."""
        with self._lock:
            self.asked.append(asked)
            left = self._answers[asked.path]
            assert left, asked
            return left.pop(0) if len(left) > 1 else left[0]

    def to(self, path: str) -> list[Asked]:
        """What came for this path."""
        return [one for one in self.asked if one.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ClassVar[Script]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        with suppress(OSError):  # whoever asked may be gone
            self._answer(self.script.next(Asked(self.command, path, query, headers, body)))

    do_GET = do_POST = _serve  # noqa: N815  # http.server's names

    def _answer(self, answer: Answer) -> None:
        if answer.dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.pieces is not None:
            self._send_pieces(answer.pieces)
            return
        body = b"" if answer.body is None else _bytes(answer.body)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.cut])
        self.close_connection = answer.cut is not None

    def _send_pieces(self, pieces: Iterable[bytes]) -> None:
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        pass


@contextmanager
def scripted() -> Iterator[Script]:
    """The script, served on a port of its own."""
    script = Script()
    handler = type("Handler", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


def _bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
