"""A receiver of traces: OTLP over HTTP, as a collector speaks it."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_WAIT_S: Final = 120.0


@dataclass(frozen=True)
class Got:
    """One span that was received."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    error: str | None
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What was received so far, and where it listens."""

    endpoint: str
    spans: list[Got] = field(default_factory=list)

    def wait_for(self, trace: str, *names: str) -> list[Got]:
        """The spans of a trace, once it has spans of these names."""
        deadline = time.monotonic() + _WAIT_S
        while True:
            found = [span for span in list(self.spans) if span.trace == trace]
            if {span.name for span in found} >= set(names):
                return found
            assert time.monotonic() < deadline, [(span.name, span.trace) for span in self.spans]
            time.sleep(0.05)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            collector.spans += _decoded(
                gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _decoded(body: bytes) -> list[Got]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415  # of the extra
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest.FromString(body)
    return [
        Got(
            service=_plain(resource.resource.attributes)["service.name"],
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            error=span.status.message if span.status.code == 2 else None,
            attributes=_plain(span.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _plain(attributes: Any) -> dict[str, Any]:  # noqa: ANN401  # protobuf's
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
