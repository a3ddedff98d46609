"""The registry. This file owns every metric's name, help and labels, and renders `Stats` at scrape.

Every label value is present from the start, at 0. Gauges are functions, asked at scrape: a gauge that is counted up and
down drifts. Labels come from enums only; nothing from outside ever becomes one.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple, TypeVar

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.core.closing import Ending
from app.core.matching import Outcome
from app.telemetry.stats import (
    Broadcast,
    Fetch,
    Histogram,
    Inbound,
    Intake,
    Refusal,
    Rejection,
    Sent,
    Stats,
)

Label = TypeVar("Label", bound=StrEnum)


class Gauge(NamedTuple):
    """A value that is asked for at scrape."""

    name: str
    help: str
    read: Callable[[], float]


class _StatsCollector(Collector):
    """Renders `Stats` and the gauges."""

    def __init__(self, stats: Stats, gauges: Iterable[Gauge], build: Mapping[str, str]) -> None:
        self._stats = stats
        self._gauges = tuple(gauges)
        self._build = dict(build)

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("news_build", "Build and runtime versions.", self._build)
        yield from self._connections()
        yield from self._items()
        for gauge in self._gauges:
            yield GaugeMetricFamily(gauge.name, gauge.help, gauge.read())

    def _connections(self) -> Iterable[Metric]:
        stats = self._stats
        yield CounterMetricFamily("news_connections_opened", "WebSocket connections accepted.", stats.opened)
        yield _counter(
            "news_connections_closed", "Connections closed, by what ended them.", "reason", Ending, stats.closed
        )
        yield _counter(
            "news_handshake_failures", "Upgrade requests refused, by reason.", "reason", Refusal, stats.refused
        )
        yield _counter("news_client_messages", "Messages received from clients.", "type", Inbound, stats.inbound)

    def _items(self) -> Iterable[Metric]:
        stats = self._stats
        yield _counter(
            "news_items_accepted", "Items stored, by the way they came in.", "source_type", Intake, stats.accepted
        )
        yield _counter("news_items_rejected", "Items not stored, by reason.", "reason", Rejection, stats.rejected)
        yield _counter("news_items_broadcast", "Items that left the broadcaster.", "result", Broadcast, stats.broadcast)
        yield _counter(
            "news_filter_decisions",
            "Item x slot decisions: matched, or the first step that rejected. Sums to items x live slots.",
            "outcome",
            Outcome,
            stats.decisions,
        )
        yield _counter("news_sends", "Item x connection sends by result. Sums to matched.", "result", Sent, stats.sends)
        yield _counter("news_feed_fetches", "Looks at feeds by result.", "result", Fetch, stats.fetches)
        yield _histogram(
            "news_delivery_latency_seconds", "Item accepted to frame handed to the socket.", stats.delivery_latency
        )
        yield _histogram("news_broadcast_recipients", "Slots matched by one item.", stats.recipients)


def build_registry(stats: Stats, gauges: Iterable[Gauge], build: Mapping[str, str]) -> CollectorRegistry:
    """Give a registry with our metrics and those of the process."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    registry.register(_StatsCollector(stats, gauges, build))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _counter(name: str, text: str, label: str, values: type[Label], counts: Mapping[Label, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value in values:
        family.add_metric((value.value,), counts.get(value, 0))
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    edges = [*(repr(float(edge)) for edge in histogram.edges), "+Inf"]
    buckets = list(zip(edges, map(float, accumulate(histogram.counts)), strict=True))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.total)
