"""The kinds of metric families, and how each is described in one line.

A family's `read` returns every sample, also those at 0, so every series exists from the start.
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
    values, or one under the empty tuple if there are no labels.
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
    """Gauges without labels that are computed together; `gauges` are (name, help) in the order of
    what `read` returns.
    """

    gauges: tuple[tuple[str, str], ...]
    read: Callable[[], Sequence[float]]

    @property
    def name(self) -> str:
        return self.gauges[0][0]


def counter(name: str, text: str, read: Callable[[Stats], float]) -> CounterFamily:
    """Describe a counter without a label."""
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
    """Describe a histogram without a label."""
    return HistogramFamily(name, text, (), lambda stats: {(): read(stats)})


def gauge(name: str, text: str, read: Callable[[], float]) -> GaugeFamily:
    """Describe a gauge without a label."""
    return GaugeFamily(name, text, (), lambda: {(): read()})


def gauges(name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> GaugeFamily:
    """Describe a gauge with one label."""
    return GaugeFamily(name, text, (label,), lambda: {(word,): value for word, value in read().items()})
