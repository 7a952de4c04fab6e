"""What became of each request, noted in passing and worked up in batches: the access log and the HTTP metrics."""

import asyncio
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from time import gmtime, strftime
from typing import Final, TextIO, TypeAlias

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX: Final = "paper_verdicts"
_BATCH_S: Final = 0.1
"""What a killed process may fail to write."""
_BATCH: Final = 128
"""More at once would hold up whoever comes next: at 2 µs each, a tenth of a second of full load is 7 ms."""
_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


Entry: TypeAlias = tuple[float, str, str, str, bytes, str, int, int, float, tuple[str, int] | None]
"""One request and what became of it: when it was answered (seconds since the epoch), its id, method, path, query, route
(the template of the address, so that there are as many as there are operations), status, bytes of the body, seconds it
took, and the client. A plain tuple, because the hot path makes one for each request."""


# What the lines of a batch have in common is written once: most requests are for few addresses, by few clients.
@lru_cache(maxsize=16)
def _stamp(milliseconds: int) -> str:
    second, rest = divmod(milliseconds, 1000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(second))}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _address(method: str, path: str, query: bytes, route: str) -> str:
    address = f"{path}?{query.decode('latin-1')}" if query else path
    return f'"method":{quoted(method)},"path":{quoted(address)},"route":"{route}"'


@lru_cache(maxsize=4096)
def _host(name: str | None) -> str:
    return quoted(name) if name else "null"


def _no_counts() -> list[int]:
    return [0] * (len(_BOUNDS) + 1)


class Journal(Collector):
    """Noting costs the request a tenth of a microsecond; a line and the counts are made later, for many at a time."""

    def __init__(self, *, log: bool, stream: TextIO | None = None) -> None:
        self._log, self._stream = log, stream
        self._entries: list[Entry] = []
        self._counts: Final[defaultdict[tuple[str, str, int], list[int]]] = defaultdict(_no_counts)
        """By method, route and status: how many took no longer than each bound, and longer than the one before."""
        self._seconds: Final[defaultdict[str, float]] = defaultdict(float)

    def note(self, entry: Entry) -> None:
        """Keep it until the next batch. On the event loop only."""
        entries = self._entries
        entries.append(entry)
        if len(entries) == 1:
            asyncio.get_running_loop().call_later(_BATCH_S, self.flush)
        elif len(entries) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write and count what is noted."""
        entries, self._entries = self._entries, []
        for _, _, method, _, _, route, status, _, seconds, _ in entries:
            self._counts[method, route, status][bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[route] += seconds
        if self._log and entries:
            stream = self._stream or sys.stderr
            stream.write("".join([self._line(*entry) for entry in entries]))
            stream.flush()

    @staticmethod
    def _line(  # the fields of an entry, in its order
        at: float,
        request_id: str,
        method: str,
        path: str,
        query: bytes,
        route: str,
        status: int,
        sent: int,
        seconds: float,
        client: tuple[str, int] | None,
    ) -> str:
        """One JSON object, as the other logs are."""
        return (
            f'{{"event":"request","level":"info","logger":"access","timestamp":"{_stamp(int(at * 1000))}",'
            f'"request_id":"{request_id}",{_address(method, path, query, route)},'
            f'"status":{status},"bytes":{sent},"microseconds":{int(seconds * 1e6)},'
            f'"client":{_host(client and client[0])}}}\n'
        )

    def collect(self) -> Iterator[Metric]:
        """The requests and their latency by operation, for Prometheus."""
        requests = CounterMetricFamily(
            f"{PREFIX}_http_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        by_route: dict[str, list[int]] = defaultdict(_no_counts)
        for (method, route, status), counts in list(self._counts.items()):
            requests.add_metric([method, route, str(status)], sum(counts))
            by_route[route] = [one + more for one, more in zip(by_route[route], counts, strict=True)]
        yield requests
        latency = HistogramMetricFamily(
            f"{PREFIX}_http_request_seconds",
            "From the request's headers to the last byte handed to the server.",
            labels=["route"],
        )
        for route, counts in by_route.items():
            below, cumulated = 0, []
            for bound, count in zip([*map(str, _BOUNDS), "+Inf"], counts, strict=True):
                below += count
                cumulated.append((bound, below))
            latency.add_metric([route], cumulated, self._seconds[route])
        yield latency

    def describe(self) -> Iterator[Metric]:
        """The same names, so that two collectors cannot claim one."""
        return self.collect()
