"""The hot path in the metrics."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.journal import PREFIX, Journal
from app.hot.serving import Serving


class HotMetrics(Collector):
    """Reads the cache's state when it is asked; counting costs the hot path nothing."""

    def __init__(self, serving: Serving, journal: Journal) -> None:
        self._serving: Final = serving
        self._journal: Final = journal

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told."""
        serving = self._serving
        yield CounterMetricFamily(f"{PREFIX}_hot_hits", "Answers from memory.", serving.hits + self._journal.by_lane())
        yield CounterMetricFamily(f"{PREFIX}_hot_misses", "Hot answers that had to be made.", serving.misses)
        yield GaugeMetricFamily(f"{PREFIX}_hot_bytes", "Bytes that the answers in memory take.", serving.cache.bytes)
        yield GaugeMetricFamily(f"{PREFIX}_hot_answers", "Answers in memory.", len(serving.cache))
        yield GaugeMetricFamily(f"{PREFIX}_hot_waiting", "Requests that wait for a run.", serving.waiting.present)
        heard = float(serving.listener.holds)
        yield GaugeMetricFamily(f"{PREFIX}_hot_listening", "1 while changes are being heard of.", heard)

    def describe(self) -> Iterator[Metric]:
        """The same names, so that two collectors cannot claim one."""
        return self.collect()
