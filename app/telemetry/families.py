"""The kinds of metric families, and functions that describe a family in one line.

A family's `read` returns every sample, including samples that are 0, so every series exists from the start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from app.telemetry.histogram import Histogram
from app.telemetry.stats import Stats

Word = TypeVar("Word", bound=StrEnum)
Labels = tuple[str, ...]


class CounterFamily(NamedTuple):
    """A counter: name, help, label names, and `read`, which returns the count for each tuple of label values. The
    exposition adds `_total` to the name.
    """

    name: str
    help: str
    labels: Labels
    read: Callable[[Stats], Mapping[Labels, float]]


class HistogramFamily(NamedTuple):
    """A histogram metric: name, help, label names, and `read`, which returns a histogram for each tuple of label
    values. If there are no labels, the only tuple is the empty one.
    """

    name: str
    help: str
    labels: Labels
    read: Callable[[Stats], Mapping[Labels, Histogram]]


class GaugeFamily(NamedTuple):
    """A gauge: name, help, label names, and `read`, which is called at every scrape and returns the value for each
    tuple of label values.
    """

    name: str
    help: str
    labels: Labels
    read: Callable[[], Mapping[Labels, float]]


class GaugeGroup(NamedTuple):
    """Gauges without labels that are computed together. `gauges` has a (name, help) pair for each value that `read`
    returns, in the same order.
    """

    gauges: tuple[tuple[str, str], ...]
    read: Callable[[], Sequence[float]]

    @property
    def name(self) -> str:
        return self.gauges[0][0]


def counter(name: str, text: str, read: Callable[[Stats], float]) -> CounterFamily:
    """Return a counter without a label."""
    return CounterFamily(name, text, (), lambda stats: {(): read(stats)})


def counters(
    name: str, text: str, label: str, values: Iterable[Word], read: Callable[[Stats], Mapping[Word, int]]
) -> CounterFamily:
    """Return a counter with one label. `values` are the enum members that the label may have; a member that `read` does
    not return is exposed as 0.
    """
    words = tuple(values)
    return CounterFamily(
        name, text, (label,), lambda stats: {(word.value,): read(stats).get(word, 0) for word in words}
    )


def histogram(name: str, text: str, read: Callable[[Stats], Histogram]) -> HistogramFamily:
    """Return a histogram without a label."""
    return HistogramFamily(name, text, (), lambda stats: {(): read(stats)})


def gauge(name: str, text: str, read: Callable[[], float]) -> GaugeFamily:
    """Return a gauge without a label."""
    return GaugeFamily(name, text, (), lambda: {(): read()})


def gauges(name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> GaugeFamily:
    """Return a gauge with one label. `read` returns the value for each label value."""
    return GaugeFamily(name, text, (label,), lambda: {(word,): value for word, value in read().items()})
