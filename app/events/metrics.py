"""Streams of events in the metrics."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.journal import PREFIX
from app.events.slots import Slots


class StreamMetrics(Collector):
    """Counts what is open when it is asked."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Final = slots

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told."""
        yield GaugeMetricFamily(f"{PREFIX}_event_streams", "Event streams that are open.", self._slots.taken)

    def describe(self) -> Iterator[Metric]:
        """The same names, so that two collectors cannot claim one."""
        return self.collect()
