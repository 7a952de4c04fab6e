"""A receiver of webhooks: a real HTTP server that answers as it is told and remembers what it got."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

from tests.events.running import wait_until


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The message's."""
        return self.headers["webhook-id"]


Answer = Callable[[BaseHTTPRequestHandler, int], object]
"""Is given the request and how many came before."""


def status(code: int, **headers: str) -> Answer:
    """Answer with this status and nothing else."""

    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        request.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            request.send_header(name, value)
        request.end_headers()

    return answer


@dataclass
class Receiver:
    """What came, and what is answered from now on."""

    port: int = 0
    address: str = "127.0.0.1"
    received: list[Received] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: status(204))
    names: list[str | None] = field(default_factory=list)
    """What TLS clients called it, whether or not they went on."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def wait_for(self, number: int) -> list[Received]:
        """Return once so many have come."""
        wait_until(lambda: len(self.received) >= number)
        return self.received

    def verified(self, secret: str) -> list[object]:
        """The messages, each with a signature by this secret. Raises WebhookVerificationError."""
        return [Webhook(secret).verify(one.body, one.headers) for one in self.received]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0) -> Iterator[Receiver]:
    """A receiver that runs."""
    receiver = Receiver(address=address)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's own
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            receiver.answer(self, len(receiver.received) - 1)

        do_GET = do_POST  # noqa: N815  # where a redirect would lead

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((address, port), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            tls.sni_callback = lambda _, name, __: receiver.names.append(name)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
