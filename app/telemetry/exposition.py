"""The registry. This file owns how the catalogue becomes an exposition.

Rendering runs on the event loop, so it is one pass over plain integers; a gauge that cannot be read is left out and
counted, and the rest is there.
"""

import time
from collections.abc import Iterable, Mapping
from itertools import accumulate

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from app.telemetry.catalogue import (
    COUNTERS,
    HISTOGRAMS,
    CounterFamily,
    GaugeFamily,
    GaugeGroup,
    HistogramFamily,
    stats_gauges,
)
from app.telemetry.histogram import Histogram
from app.telemetry.process import ProcessMetrics
from app.telemetry.stats import Stats

_log = structlog.get_logger("metrics")


class CatalogueCollector(Collector):
    """Renders every family of the catalogue, and the gauges that `wiring` connects."""

    def __init__(self, stats: Stats, gauges: Iterable[GaugeFamily | GaugeGroup], build: Mapping[str, str]) -> None:
        self._stats = stats
        self._gauges = (*gauges, *stats_gauges(stats))
        self._build = dict(build)

    def describe(self) -> Iterable[Metric]:
        """Say nothing at registration: what there is is known only at scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Render everything there is."""
        started = time.perf_counter()
        yield InfoMetricFamily("news_build", "Build and runtime versions.", self._build)
        for counter in COUNTERS:
            yield _counter(counter, self._stats)
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, self._stats)
        for gauge in self._gauges:
            yield from self._gauge(gauge)
        self._stats.scrape_s = time.perf_counter() - started

    def _gauge(self, family: GaugeFamily | GaugeGroup) -> Iterable[Metric]:
        try:
            return _gauges(family)
        # One gauge that fails must not take the other metrics with it; it is counted, and an alert asks.
        except Exception:  # noqa: BLE001
            _log.exception("gauge_failed", name=family.name)
            self._stats.scrape_errors += 1
            return ()


def build_registry(
    stats: Stats, gauges: Iterable[GaugeFamily | GaugeGroup], build: Mapping[str, str]
) -> CollectorRegistry:
    """Give a registry with our metrics and those of the process."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    registry.register(CatalogueCollector(stats, gauges, build))
    registry.register(ProcessMetrics())
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _gauges(family: GaugeFamily | GaugeGroup) -> list[Metric]:
    if isinstance(family, GaugeGroup):
        values = zip(family.gauges, family.read(), strict=True)
        return [GaugeMetricFamily(name, text, value) for (name, text), value in values]
    metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in family.read().items():
        metric.add_metric(labels, value)
    return [metric]


def _counter(family: CounterFamily, stats: Stats) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in family.read(stats).items():
        metric.add_metric(labels, value)
    return metric


def _histogram(family: HistogramFamily, stats: Stats) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, histogram in family.read(stats).items():
        metric.add_metric(labels, _buckets(histogram), histogram.total)
    return metric


def _buckets(histogram: Histogram) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Give (upper edge, count up to there), with the bucket's example where there is one."""
    edges = [*(repr(edge) for edge in histogram.edges), "+Inf"]
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for number, (edge, count) in enumerate(zip(edges, accumulate(histogram.counts), strict=True)):
        example = histogram.examples.get(number)
        if example is None:
            buckets.append((edge, float(count)))
        else:
            buckets.append((edge, float(count), Exemplar(dict(example.labels), example.value, example.at)))
    return buckets
