"""Build the Prometheus registry, and collect the samples of every metric family at a scrape.

Collecting runs on the event loop, so it must be fast: it is one pass over numbers that the server keeps anyway. A gauge
that cannot be read is omitted and counted as an error; the others are still exposed.
"""

import platform
import time
from collections.abc import Iterable, Mapping
from functools import cache

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, InfoMetricFamily, Metric, Sample
from prometheus_client.registry import Collector

from app.telemetry.catalogue import COUNTERS, stats_gauges
from app.telemetry.distributions import HISTOGRAMS
from app.telemetry.families import CounterFamily, GaugeFamily, GaugeGroup, HistogramFamily, Labels
from app.telemetry.histogram import Example, Histogram
from app.telemetry.process import ProcessMetrics
from app.telemetry.stats import Stats

_log = structlog.get_logger("metrics")


class CatalogueCollector(Collector):
    """Collects every family of the catalogue, the gauges that it is given, and the metric `news_build_info`, whose
    labels are the entries of `build` and the Python version.
    """

    def __init__(self, stats: Stats, gauges: Iterable[GaugeFamily | GaugeGroup], build: Mapping[str, str]) -> None:
        self._stats = stats
        self._gauges = (*gauges, *stats_gauges(stats))
        self._build = {"python": platform.python_version(), **build}

    def describe(self) -> Iterable[Metric]:
        """Return no metric, so the registry registers this collector without the names of its metrics and does not
        collect from it at registration.
        """
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every family with its samples, and record how many seconds that took."""
        started = time.perf_counter()
        yield InfoMetricFamily("news_build", "Build and runtime versions.", self._build)
        for counter in COUNTERS:
            yield _counter(counter, self._stats)
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, self._stats)
        for gauge in self._gauges:
            yield from self._gauge(gauge)
        self._stats.server.record_scrape(time.perf_counter() - started)

    def _gauge(self, family: GaugeFamily | GaugeGroup) -> Iterable[Metric]:
        try:
            return _gauges(family)
        # A gauge that fails must not hide the other metrics. The failure is counted, and an alert watches the count.
        except Exception:  # noqa: BLE001
            _log.exception("gauge_failed", name=family.name)
            self._stats.server.record_scrape_error()
            return ()


def build_registry(
    stats: Stats, gauges: Iterable[GaugeFamily | GaugeGroup], build: Mapping[str, str]
) -> CollectorRegistry:
    """Return a registry with the server's metrics and those of the process, the Python platform and the garbage
    collector.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]
    # No collector registers the names of its metrics, so a scrape with ?name[]= collects every metric and then keeps
    # only those that it names.
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(CatalogueCollector(stats, gauges, build))
    registry.register(ProcessMetrics(stats.server.record_scrape_error))
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
    metric = Metric(family.name, family.help, "histogram")
    for labels, histogram in family.read(stats).items():
        metric.samples += _samples(family, labels, histogram)
    return metric


def _samples(family: HistogramFamily, labels: Labels, histogram: Histogram) -> Iterable[Sample]:
    """Yield a histogram's samples with cached label sets. prometheus_client's `add_metric` is not used, because it
    would build the label sets again at each scrape.
    """
    bucket, examples = f"{family.name}_bucket", histogram.examples
    total = 0
    for number, edge in enumerate(_bucket_labels(family.labels, labels, histogram.edges)):
        total += histogram.counts[number]
        yield Sample(bucket, edge, total, None, _exemplar(examples[number]) if number in examples else None)
    own = dict(zip(family.labels, labels, strict=True))
    yield Sample(f"{family.name}_count", own, total)
    yield Sample(f"{family.name}_sum", own, histogram.total)


@cache
def _bucket_labels(names: Labels, values: Labels, edges: tuple[float, ...]) -> tuple[dict[str, str], ...]:
    own = dict(zip(names, values, strict=True))
    return tuple({**own, "le": edge} for edge in (*(repr(edge) for edge in edges), "+Inf"))


def _exemplar(example: Example) -> Exemplar:
    return Exemplar(dict(example.labels), example.value, example.at)
