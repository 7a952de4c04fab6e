"""What became of each request, noted in passing and worked up in batches: the access log and the HTTP metrics."""

import asyncio
import re
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from time import gmtime, monotonic, strftime, time
from typing import BinaryIO, Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.peers import Peer, Peers

PREFIX: Final = "paper_verdicts"
_BATCH_S: Final = 0.02
"""What a killed process may fail to write. More at once would hold up whoever comes next: this much of full load is
half a millisecond of work."""
_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FIRST: Final = _BOUNDS[0]
_KEY: Final = re.compile(r"(pv_[0-9a-f]{12}(?:\.|%2e))[A-Za-z0-9_%-]+", re.IGNORECASE)
"""A key that somebody has put into an address, where none is looked for: it is good all the same, and a log is read by
more than may use it."""
_MICROSECONDS: Final = [b"%d" % number for number in range(1000)]
"""As they stand in a line: most of a line's cost was to write them anew."""


class Seconds:
    """Of all requests of a route."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0.0


class Outcome:
    """What requests for one address with one outcome have in common: their part of the line, and where they count."""

    __slots__ = ("counts", "seconds", "text")

    def __init__(self, text: bytes, counts: list[int], seconds: Seconds) -> None:
        self.text, self.counts, self.seconds = text, counts, seconds

    def add(self, quick: int, total: float) -> None:
        """Count so many that took no longer than the first bound, and the seconds of all."""
        self.counts[0] += quick
        self.seconds.total += total


Entry: TypeAlias = tuple[float, float, bytes, Outcome, Peer]
"""One request and what became of it: when it came and when it was answered (seconds on the monotonic clock), its id,
its outcome, and who asked. A plain tuple, because the hot path makes one for each request."""


def _begin(moment: float) -> tuple[bytes, float]:
    """How the lines of this millisecond begin, and when the next one does; in seconds since the epoch."""
    milliseconds = int(moment * 1000)
    stamp = f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"
    begin = f'{{"event":"request","level":"info","logger":"access","timestamp":"{stamp}","request_id":"'
    return begin.encode(), (milliseconds + 1) / 1000


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))


def _no_counts() -> list[int]:
    return [0] * (len(_BOUNDS) + 1)


class Journal(Collector):
    """Noting costs the request a tenth of a microsecond; a line and the counts are made later, for many at a time."""

    def __init__(self, *, log: bool, stream: BinaryIO | None = None) -> None:
        self._log, self._stream = log, stream
        self.entries: Final[list[Entry]] = []
        """Those of the batch. Whoever adds the first to it has it written with `begin`."""
        self._counts: Final[defaultdict[tuple[str, str, int, bool], list[int]]] = defaultdict(_no_counts)
        """By method, route, status, and whether the lane had the answer: how many took no longer than each bound, and
        longer than the one before."""
        self._seconds: Final[defaultdict[str, Seconds]] = defaultdict(Seconds)
        self.peers: Final = Peers()
        self.outcome: Final = lru_cache(maxsize=4096)(self._outcome)

    def _outcome(
        self, method: str, path: str, query: bytes, route: str, status: int, sent: int, *, lane: bool = False
    ) -> Outcome:
        """Of an address: status and bytes of the body. The route is the address's template: so many are counted."""
        address = _KEY.sub(r"\1…", f"{path}?{query.decode('latin-1')}" if query else path)
        text = f'"method":{quoted(method)},"path":{quoted(address)},"route":"{route}","status":{status},"bytes":{sent}'
        return Outcome(
            f'",{text},"microseconds":'.encode(), self._counts[method, route, status, lane], self._seconds[route]
        )

    def note(self, entry: Entry) -> None:
        """Keep it until the next batch. On the event loop only."""
        if not self.entries:
            self.begin()
        self.entries.append(entry)

    def begin(self) -> None:
        """Have the batch written in a while, with what comes until then."""
        asyncio.get_running_loop().call_later(_BATCH_S, self.flush)

    def flush(self) -> None:
        """Write and count what is noted."""
        entries = self.entries[:]
        self.entries.clear()
        if not entries:
            return
        begin, ends, ahead, pieces = b"", 0.0, time() - monotonic(), list[bytes]()
        # One after the other with the same outcome is the rule where there are many: they are added up first.
        last, quick, total = entries[0][3], 0, 0.0
        for came, at, request_id, outcome, peer in entries:
            if outcome is not last:
                last.add(quick, total)
                last, quick, total = outcome, 0, 0.0
            seconds = at - came
            total += seconds
            if seconds <= _FIRST:
                quick += 1
            else:
                outcome.counts[bisect_left(_BOUNDS, seconds)] += 1
            if at >= ends:  # another millisecond
                begin, ends = _begin(at + ahead)
                ends -= ahead
            # One JSON object, as the other logs are.
            took = int(seconds * 1e6)
            number = _MICROSECONDS[took] if took < 1000 else b"%d" % took  # noqa: PLR2004  # so many are there
            pieces += (begin, request_id, outcome.text, number, peer.end)
        last.add(quick, total)
        if self._log:
            self._write(b"".join(pieces))

    def _write(self, lines: bytes) -> None:
        stream = self._stream or sys.stderr.buffer
        stream.write(lines)
        stream.flush()

    def by_lane(self) -> int:
        """How many of what is counted the lane answered."""
        return sum(sum(counts) for (_, _, _, lane), counts in list(self._counts.items()) if lane)

    def collect(self) -> Iterator[Metric]:
        """The requests and their latency by operation, for Prometheus."""
        requests = CounterMetricFamily(
            f"{PREFIX}_http_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        by_route: dict[str, list[int]] = defaultdict(_no_counts)
        answered: dict[tuple[str, str, str], int] = defaultdict(int)
        for (method, route, status, _), counts in list(self._counts.items()):
            answered[method, route, str(status)] += sum(counts)
            by_route[route] = [one + more for one, more in zip(by_route[route], counts, strict=True)]
        for labels, number in answered.items():
            requests.add_metric(labels, number)
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
            latency.add_metric([route], cumulated, self._seconds[route].total)
        yield latency

    def describe(self) -> Iterator[Metric]:
        """The same names, so that two collectors cannot claim one."""
        return self.collect()
